"""A node's keys and card."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from bitsnode.config import LOCAL
from bitsnode.identity import CardStateDamaged, CardStateTooNew, NodeIdentity
from bitsnode.wire.card import Capability, SignedCard

NOW = 1_800_000_123.0


async def at_once(work: Callable[[], bytes | None]) -> bytes | None:
    """Do the work in this thread."""
    return work()


def solved(keys: Path) -> NodeIdentity:
    """Return an identity whose puzzle is solved."""
    identity = NodeIdentity(keys, LOCAL, Capability.STORAGE)
    done = Deferred.fromCoroutine(identity.solve(at_once))
    assert done.called
    assert identity.solved
    return identity


def test_the_card_passes_the_checks_of_others(tmp_path: Path) -> None:
    """What we sign is what they accept, and it says who we are."""
    identity = solved(tmp_path)
    assert identity.card is None
    card = identity.renew(NOW)
    parsed = SignedCard.parse(card.data, network="local", puzzle_bits=LOCAL.card_bits, now=NOW)
    assert parsed == card
    assert parsed.card.onion_key == identity.onion_key.public_key
    assert parsed.card.can(Capability.STORAGE)
    assert not parsed.card.can(Capability.CUSTODY)


def test_keys_and_position_survive_a_restart(tmp_path: Path) -> None:
    """A node comes back as the same node, with a later card."""
    first = solved(tmp_path)
    before = first.renew(NOW)
    again = NodeIdentity(tmp_path, LOCAL, Capability.STORAGE)
    assert again.solved
    after = again.renew(NOW)
    assert after.card.node_id == before.card.node_id
    assert after.card.sealing_key == before.card.sealing_key
    assert after.card.signing_key == before.card.signing_key
    assert after.card.sequence == before.card.sequence + 1


def test_a_nonce_paid_for_another_key_does_not_count(tmp_path: Path) -> None:
    """With a new onion key the node must pay anew, and knows it."""
    solved(tmp_path)
    wrong = 0
    for _ in range(20):  # one in 256 keys accepts a foreign nonce by luck
        (tmp_path / "onion.seed").unlink()
        wrong += NodeIdentity(tmp_path, LOCAL, 0).solved
    assert wrong <= 3


def test_no_two_secrets_are_the_same(tmp_path: Path) -> None:
    """Each key has a seed of its own, in a private file."""
    solved(tmp_path)
    seeds = [path.read_bytes() for path in tmp_path.glob("*.seed")]
    assert len(seeds) == 3
    assert len(set(seeds)) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_a_damaged_card_file_is_refused(tmp_path: Path) -> None:
    """A position that cannot be read is not silently given up."""
    solved(tmp_path)
    (tmp_path / "card.json").write_text('{"version": 1, "nonce": "zz"}')
    with pytest.raises(CardStateDamaged):
        NodeIdentity(tmp_path, LOCAL, 0)


def test_a_newer_card_file_is_refused(tmp_path: Path) -> None:
    """An older bits must not overwrite what a newer one wrote."""
    solved(tmp_path)
    state = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(state | {"version": 2}))
    with pytest.raises(CardStateTooNew):
        NodeIdentity(tmp_path, LOCAL, 0)
