"""A fetch among holders that lie, hang, vanish, and without tor."""

from collections.abc import Callable
from typing import Any

import attrs
import nacl.signing
import pytest

from bitsnode.codec.keys import manifest_key, whitening_key
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.link import Link
from bitsnode.codec.manifest import SealedManifest
from bitsnode.codec.merkle import block_root
from bitsnode.codec.sealing import seal, unseal
from bitsnode.codec.whitening import whiten
from bitsnode.config import LOCAL
from bitsnode.content.announce import placement_record
from bitsnode.content.errors import NotFound, TorDown, Unavailable
from bitsnode.content.journal import Stored
from bitsnode.content.locate import PATIENCE
from bitsnode.content.progress import Fetching, HolderFailed, Resuming, Waiting
from bitsnode.content.testing import NOW, drive
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import ContentId
from bitsnode.wire.messages import Data, Part, ReadShare
from bitsnode.wire.record import RecordKind
from onion.keys import OnionKey

MIB = CHUNK_SIZE
Swarms = Callable[[int, int], Any]


def flip(part: int, at: int) -> Callable[[ReadShare, Data], Data]:
    """Flip one bit of every reply for a part of a share."""

    def change(request: ReadShare, reply: Data) -> Data:
        if request.part != part or not reply.data:
            return reply
        data = bytearray(reply.data)
        data[at % len(data)] ^= 0x04
        return Data(bytes(data), reply.total)

    return change


@pytest.mark.parametrize("part", [Part.SHARE, Part.LAYER, Part.MANIFEST])
@pytest.mark.parametrize("at", [0, 77, -1])
def test_c1_a_flipped_bit_is_detected_and_other_shares_are_fetched(
    swarm: Swarms, part: int, at: int
) -> None:
    """With 5 of 7 holders damaged, the other 2 give the same bytes."""
    s = swarm(7, 3 * MIB + 5)
    for holder in s.network.holders[:5]:
        holder.change = flip(part, at)
    assert s.get() == s.data
    if part == Part.SHARE:
        assert any(isinstance(event, HolderFailed) for event in s.events)


def test_c1_a_holder_that_lied_is_asked_nothing_more(swarm: Swarms) -> None:
    """One bad block ends a holder's part in this fetch."""
    s = swarm(3, 12 * MIB)
    s.network.holders[0].change = flip(Part.SHARE, 0)
    assert s.get() == s.data
    # what was under way when the first block was found bad, and nothing after that
    assert s.network.holders[0].read_bytes <= 2 * MIB


def test_c2_k_minus_1_holders_are_unavailable_and_leave_no_plaintext(swarm: Swarms) -> None:
    """Too few holders end in one sentence; when one returns, the rest is fetched and no more."""
    s = swarm(10, 4 * MIB)
    for holder in s.network.holders[2:]:
        holder.dead = True
    begun = s.clock.seconds()
    with pytest.raises(Unavailable, match="unavailable: 2 of 3"):
        s.get()
    assert s.clock.seconds() - begun < 30
    assert s.traces() == []
    s.network.holders[7].dead = False
    assert s.get() == s.data
    assert s.read_bytes == s.needed_bytes


def test_c2_no_holder_at_all(swarm: Swarms) -> None:
    """When nobody has even the manifest, k is guessed from the placement."""
    s = swarm(10, 100)
    for holder in s.network.holders:
        holder.dead = True
    with pytest.raises(Unavailable, match="unavailable: 0 of 3"):
        s.get()


def test_c3_a_third_of_the_holders_lying_consistently_is_rejected(swarm: Swarms) -> None:
    """Forged blocks whose layer fits them do not fit the root in the signed manifest."""
    s = swarm(30, 2 * MIB + 1)
    layout = s.layout
    sizes = [layout.block_size(chunk) for chunk in range(layout.chunks)]
    layer = b"".join(block_root(bytes(size)) for size in sizes)
    manifest = _forged_manifest(s)

    def liar(onion_key: bytes) -> Callable[[ReadShare, Data], Data]:
        def lie(request: ReadShare, _reply: Data) -> Data:
            key = whitening_key(s.link.whitening, onion_key, request.index)
            share = b"".join(whiten(key, 0, chunk, bytes(at)) for chunk, at in enumerate(sizes))
            whole = (share, layer, manifest)[request.part]
            return Data(whole[request.offset : request.offset + request.length], len(whole))

        return lie

    for holder in s.network.holders[:10]:
        holder.change = liar(holder.key.public_key)
    assert s.get() == s.data
    assert sum(isinstance(event, HolderFailed) for event in s.events) <= 10


def _forged_manifest(s: Any) -> bytes:
    """Return a manifest with other roots, signed by another key and sealed under this name."""
    digest = s.link.content_id.digest
    seen: list[bytes] = []

    def watch(request: ReadShare, reply: Data) -> Data:
        if request.part == Part.MANIFEST:
            seen.append(reply.data)
        return reply

    for holder in s.network.holders:
        holder.change = watch
    s.get((0, 0))
    sealed = SealedManifest.parse(seen[0], s.link.content_id)
    seed = b"x" * 32
    other = attrs.evolve(
        sealed.manifest,
        publisher=bytes(nacl.signing.SigningKey(seed).verify_key),
        share_roots=tuple(bytes(len(roots)) for roots in sealed.manifest.share_roots),
    )
    forged = SealedManifest.build(other, seed)
    return seal(manifest_key(digest), unseal(manifest_key(forged.content_id.digest), forged.data))


def test_a_forged_placement_leads_nobody_astray(swarm: Swarms) -> None:
    """A newer placement that the publisher did not sign is no more than a hint."""
    s = swarm(7, 1000)
    digest, bits = s.link.content_id.digest, LOCAL.record_bits
    bogus = tuple(
        Stored(index, OnionKey.generate().public_key, bytes(32), NOW + 86400) for index in range(30)
    )
    forged = placement_record(digest, bogus, b"x" * 32, 99, bits, NOW)
    for key in list(s.network.records):
        if key[1] == RecordKind.PROVIDER:
            del s.network.records[key]
    s.network.records[forged.record.key, RecordKind.PLACEMENT, b"forged"] = forged
    assert s.get() == s.data
    named = {line.onion_key for line in bogus}
    asked = [address.public_key for address in s.network.asked if address.public_key in named]
    assert len(set(asked)) == len(asked)  # once each for the manifest, never for a block


def test_n2_tor_lost_in_mid_fetch_is_waited_for_and_nothing_is_fetched_twice(
    swarm: Swarms,
) -> None:
    """The fetch says so within 2 s, goes on by itself, and asks for no verified block again."""
    s = swarm(7, 8 * MIB)
    lost: list[float] = []

    def watch(event: object) -> None:
        s.events.append(event)
        if isinstance(event, Fetching) and event.done >= 3 * MIB and not lost:
            lost.append(s.clock.seconds())
            s.clock.callLater(0, s.network.lose_tor)
            s.clock.callLater(30, setattr, s.network, "tor_down", False)
        if isinstance(event, Waiting):
            lost.append(s.clock.seconds())

    drive(s.clock, s.service.get(s.link, s.output, None, watch))
    assert s.output.read_bytes() == s.data
    assert lost[1] - lost[0] <= 2
    assert s.read_bytes == s.needed_bytes


@pytest.mark.parametrize("done", [0, 3 * MIB])
def test_n2_tor_that_stays_away_is_a_typed_error(swarm: Swarms, done: int) -> None:
    """After `PATIENCE` the fetch gives up; a later one fetches only the rest."""
    s = swarm(7, 8 * MIB)

    def watch(event: object) -> None:
        if isinstance(event, Fetching) and event.done >= done:
            s.clock.callLater(0, s.network.lose_tor)

    if not done:
        s.network.lose_tor()
    begun = s.clock.seconds()
    with pytest.raises(TorDown):
        drive(s.clock, s.service.get(s.link, s.output, None, watch))
    assert PATIENCE <= s.clock.seconds() - begun <= PATIENCE + 30
    assert s.traces() == []
    s.network.tor_down = False
    assert s.get() == s.data
    assert s.read_bytes == s.needed_bytes
    assert any(isinstance(event, Resuming) for event in s.events) == bool(done)


def test_n3_holders_that_hang_are_hedged(swarm: Swarms) -> None:
    """With 4 of 7 holders silent the others stand in, in bounded time."""
    s = swarm(7, 4 * MIB)
    for holder in s.network.holders[:4]:
        holder.hangs = True
    begun = s.clock.seconds()
    assert s.get() == s.data
    assert s.clock.seconds() - begun < 30


def test_n3_a_holder_that_falls_silent_in_mid_fetch_is_hedged(swarm: Swarms) -> None:
    """Blocks that are late are asked of spare holders long before the request times out."""
    s = swarm(7, 10 * MIB)

    def watch(event: object) -> None:
        if isinstance(event, Fetching) and event.done > 3 * MIB:
            for holder in s.network.holders[:4]:
                holder.hangs = True

    begun = s.clock.seconds()
    drive(s.clock, s.service.get(s.link, s.output, None, watch))
    assert s.output.read_bytes() == s.data
    assert s.clock.seconds() - begun < 30


def test_a_slow_holder_does_not_hold_up_the_fetch(swarm: Swarms) -> None:
    """The fastest holders carry most of it."""
    s = swarm(7, 10 * MIB)
    s.network.holders[0].latency = 3.0
    begun = s.clock.seconds()
    assert s.get() == s.data
    assert s.clock.seconds() - begun < 10


def test_a_range_reads_only_its_chunks(swarm: Swarms) -> None:
    """Bytes across a chunk boundary need those two chunks' blocks and no others."""
    s = swarm(7, 10 * MIB)
    first, last = 5 * MIB - 10, 5 * MIB + 9
    assert s.get((first, last)) == s.data[first : last + 1]
    size = s.layout.full_block_size
    assert s.read_bytes == 2 * 2 * size
    reads = [read for holder in s.network.holders for read in holder.reads]
    assert all(4 * size <= at and at + length <= 6 * size for at, length in reads)


@pytest.mark.parametrize(
    ("first", "last"), [(0, 0), (0, 10**9), (2 * MIB, 3 * MIB), (3 * MIB + 4, 3 * MIB + 4)]
)
def test_ranges_at_the_edges(swarm: Swarms, first: int, last: int) -> None:
    """Ranges are inclusive, and one beyond the end is cut there."""
    s = swarm(3, 3 * MIB + 5)
    assert s.get((first, last)) == s.data[first : last + 1]


@pytest.mark.parametrize("wanted", [(5, 4), (-1, 4), (100, 200)])
def test_a_range_outside_is_one_sentence(swarm: Swarms, wanted: tuple[int, int]) -> None:
    """A range that holds no byte is refused."""
    s = swarm(1, 100)
    with pytest.raises(Exception, match="The range"):
        s.get(wanted)


def test_fewer_bytes_than_asked_are_a_fault(swarm: Swarms) -> None:
    """A holder that cuts its replies is replaced."""
    s = swarm(3, 2 * MIB)
    for holder in s.network.holders[:2]:
        holder.change = lambda request, reply: Data(reply.data[:-1], reply.total)
    assert s.get() == s.data


def test_an_unknown_content_is_not_found(swarm: Swarms) -> None:
    """A link that nobody announced says so."""
    s = swarm(1, 100)
    other = Link(ContentId(bytes(32)), bytes(16), bytes(16))
    with pytest.raises(NotFound):
        drive(s.clock, s.service.get(other, s.output, None, s.events.append))


def test_a_link_with_a_wrong_key_is_one_sentence_and_no_plaintext(swarm: Swarms) -> None:
    """Neither half of the key can be another one's."""
    s = swarm(1, 100)
    wrong = attrs.evolve(s.link, whitening=bytes(16))
    with pytest.raises(RemoteProtocolError, match="second half"):
        drive(s.clock, s.service.get(wrong, s.output, None, s.events.append))
    wrong = attrs.evolve(s.link, content_secret=bytes(16))
    with pytest.raises(Exception, match="key does not fit"):
        drive(s.clock, s.service.get(wrong, s.output, None, s.events.append))
    assert s.traces() == []


def test_every_fetch_has_an_isolation_of_its_own_and_closes_it(swarm: Swarms) -> None:
    """Two fetches share no circuit with each other nor with the publish."""
    s = swarm(3, 100)
    published = set(s.network.isolations)
    s.get()
    first = s.network.isolations - published
    s.get()
    second = s.network.isolations - published - first
    assert len(published) == len(first) == len(second) == 1
    assert {each.purpose for each in published} == {"publish"}
    assert s.network.closed == s.network.isolations
