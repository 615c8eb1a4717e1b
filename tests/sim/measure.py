"""Measures lookups: what is found, at what cost, after how many hops."""

import math
import secrets

import attrs

from bitsnode.errors import BitsError
from bitsnode.ids import distance
from bitsnode.wire.card import HOUR
from bitsnode.wire.messages import Contacts, K, Records
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.isolation import Isolation
from tests.sim.records import make_record
from tests.sim.world import SimNode, World

LIFE = 30 * 24 * HOUR  # seconds that a record is good for: its share's lease
AT_ONCE = 50  # lookups side by side, at least; at most as many as there are nodes


@attrs.frozen
class Outcome:
    """What one reader saw.

    Attributes:
        found: whether the record came back.
        stored: nodes that said they keep it, when it was put.
        seconds: of the lookup.
        questions: that it took.
        hops: from the reader's table to the nearest node asked.
    """

    found: bool
    stored: int
    seconds: float
    questions: int
    hops: int


@attrs.frozen
class Measured:
    """Outcomes of many lookups, summed up.

    Attributes:
        lookups: how many.
        found: share of them that found the record.
        at_least: that share with 95 % confidence, were the lookups independent.
        questions: on average.
        hops: on average.
        median: seconds.
        p95: seconds.
    """

    lookups: int
    found: float
    at_least: float
    questions: float
    hops: float
    median: float
    p95: float

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "Measured":
        """Sum up."""
        count = len(outcomes)
        times = sorted(outcome.seconds for outcome in outcomes)
        found = sum(outcome.found for outcome in outcomes)
        return cls(
            count,
            found / count,
            1 - most_failing(count, count - found),
            sum(outcome.questions for outcome in outcomes) / count,
            sum(outcome.hops for outcome in outcomes) / count,
            times[count // 2],
            times[min(count - 1, math.ceil(count * 0.95))],
        )


def most_failing(count: int, failed: int) -> float:
    """Return the 95 % upper bound of a rate of which so many failures were seen.

    Clopper and Pearson, 1934, one-sided: the rate at which so few failures have a chance of 5 %.
    """
    low, high = failed / count, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        chance = math.fsum(
            math.comb(count, number) * rate**number * (1 - rate) ** (count - number)
            for number in range(failed + 1)
        )
        low, high = (rate, high) if chance > 0.05 else (low, rate)
    return high


@attrs.frozen
class Stored:
    """A record that was put.

    Attributes:
        seed: that signed it.
        record: it.
        taken: nodes that said they keep it.
    """

    seed: bytes
    record: SignedRecord
    taken: int

    @property
    def key(self) -> bytes:
        """Where it is, 32 bytes."""
        return self.record.record.key

    @property
    def data(self) -> bytes:
        """The signed record."""
        return self.record.data


async def put(world: World, node: SimNode, seed: bytes, slot: bytes = b"") -> Stored:
    """Put a record signed with a seed, as nobody."""
    expires = world.clock.seconds() // HOUR * HOUR + LIFE
    record = make_record(seed, slot, expires=expires)
    return Stored(seed, record, await keep(node, record))


async def keep(node: SimNode, record: SignedRecord) -> int:
    """Put a record, perhaps again, as nobody; returns how many nodes keep it."""
    isolation = Isolation.fresh("put")
    taken = await node.service.put_record(record, isolation)
    node.peers.close(isolation)
    return taken


async def get(world: World, node: SimNode, stored: Stored) -> Outcome:
    """Look the record up as nobody."""
    isolation = Isolation.fresh("get")
    begun = world.clock.seconds()
    log = node.peers.log(isolation)
    try:
        found = await node.service.get_records(stored.key, isolation)
    except BitsError:
        found = []
    node.peers.close(isolation)
    return Outcome(
        any(signed.data == stored.data for signed in found),
        stored.taken,
        world.clock.seconds() - begun,
        len(log),
        _hops(world, stored.key, log),
    )


def puts(world: World, count: int) -> list[Stored]:
    """Have honest nodes put records, a few at a time."""
    stored: list[Stored] = []
    while len(stored) < count:
        batch = min(_at_once(world), count - len(stored))
        joined = world.joined
        nodes = [world.draws.choice(joined) for _ in range(batch)]
        work = [put(world, node, secrets.token_bytes(32)) for node in nodes]
        stored += world.run_all(work)
    return stored


def _at_once(world: World) -> int:
    """Return how many lookups go side by side: one of each node on average.

    In turn they would take hours of virtual time, in which the upkeep of all nodes costs far more
    than the lookups.
    """
    return max(AT_ONCE, len(world.living))


def put_at(world: World, stored: Stored) -> Stored:
    """Have an honest node put another record of a record's key."""
    node = world.draws.choice(world.living)
    return world.run(put(world, node, stored.seed, b"another"))


def gets(world: World, stored: list[Stored]) -> Measured:
    """Have honest nodes that have joined look records up, a few at a time."""
    outcomes: list[Outcome] = []
    most = _at_once(world)
    for first in range(0, len(stored), most):
        batch, readers = stored[first : first + most], world.joined
        work = [get(world, world.draws.choice(readers), one) for one in batch]
        outcomes += world.run_all(work)
    return Measured.of(outcomes)


def _hops(world: World, key: bytes, log: list[tuple[OnionAddress, object]]) -> int:
    """Return how many hops from the reader's own table the nearest node that answered was."""
    depth: dict[bytes, int] = {}
    nearest = 0
    best = 1 << 256
    for address, reply in log:
        own = depth.setdefault(address.public_key, 1)
        end = world.fabric.ends.get(address.public_key)
        if end is None:
            continue
        far = distance(end.card.card.node_id, key)
        if far < best:
            best, nearest = far, own
        cards = reply.cards if isinstance(reply, Contacts | Records) else ()
        for data in cards[:K]:
            child = world.keys_of.get(data)
            if child is not None:
                depth.setdefault(child, own + 1)
    return nearest
