"""For tests: a world in memory in which purchases are made: chain, relays, key holders, DHT."""

from collections.abc import Coroutine
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.config import LOCAL
from bitsnode.ids import ContentId
from bitsnode.ledger.redeem import Prepared
from bitsnode.ledger.wallet.voucher_values import Ticket
from bitsnode.market.offer import SignedOffer
from bitsnode.market.offer_record import offer_record
from bitsnode.market.purchase_needs import pause
from bitsnode.market.testing import (
    CONTENT,
    NOW,
    PRICE,
    PUBLISHER_SEED,
    WHITENING,
    make_offer,
    sign,
)
from bitsnode.wire.record import SignedRecord

T = TypeVar("T")
PASSWORD: Final = "canary password"  # noqa: S105 — of a wallet in memory
KEY: Final = b"\x0e" * 32  # of the journal
BLOCK_SECONDS: Final = 10.0
FINAL_BLOCKS: Final = 6
GROUP: Final = 3
FEE: Final = PRICE // 100


class Killed(BaseException):
    """The node was killed here."""


class TooLong(Exception):
    """The work takes longer than it may."""


class Fate:
    """Counts all points at which a node can die, and kills it at one of them.

    Attributes:
        passed: names of the points passed so far.
        at: number of the point, from 1, at which to die; 0 for never.
        dead: it was killed; nothing that still runs of it may do anything.
    """

    def __init__(self, at: int = 0) -> None:
        self.passed: list[str] = []
        self.at = at
        self.dead = False

    def point(self, name: str) -> None:
        """Pass a point, or die."""
        if self.dead:
            raise Killed
        self.passed.append(name)
        if len(self.passed) == self.at:
            self.dead = True
            raise Killed(name)


@attrs.frozen
class Landed:
    """A redemption that somebody submitted.

    Attributes:
        prepared: what.
        at: when, Unix time in seconds.
    """

    prepared: Prepared
    at: float


@attrs.define(eq=False)
class World:
    """All that outlives the buyer's node: chain, relays, key holders, DHT, the wallet's file.

    Attributes:
        clock: moves everything.
        signed, shares: what is sold.
        submitted: redemptions that reached the chain's nodes, in order.
        reorganised_at: what was in a block and not final then was put off to a later block.
        chain_down: no server answers.
        relays: by onion key; what each does: "honest", "idle" (takes it and does nothing) or
            "refuses".
        holders: by index, from 1; "honest", "dead", "slow" (answers after an hour), "lies".
        asked: indexes of holders that were asked.
        vouchers: denomination of each.
        reserved: tickets by purpose.
        prepared: by ticket's name.
        records: in the DHT.
        whitening: W that the manifest commits to.
    """

    clock: Clock
    signed: SignedOffer
    shares: tuple[bytes, ...]
    submitted: list[Landed] = attrs.Factory(list)
    reorganised_at: float = 0.0
    chain_down: bool = False
    relays: dict[bytes, str] = attrs.Factory(lambda: {b"\x21" * 32: "honest"})
    fees: dict[bytes, int] = attrs.Factory(dict)
    holders: dict[int, str] = attrs.Factory(dict)
    asked: list[int] = attrs.Factory(list)
    vouchers: list[int] = attrs.Factory(lambda: [1])
    reserved: dict[str, Ticket] = attrs.Factory(dict)
    prepared: dict[str, Prepared] = attrs.Factory(dict)
    records: list[SignedRecord] = attrs.Factory(list)
    whitening: bytes = WHITENING

    @classmethod
    def of(cls, threshold: int = 2, holders: int = 4, **changes: Any) -> "World":
        """A world in which one content is sold."""
        offer, shares = make_offer(threshold, holders, **changes)
        clock = Clock()
        clock.advance(NOW)
        world = cls(clock, sign(offer), shares)
        world.announce(world.signed)
        return world

    @property
    def content_id(self) -> ContentId:
        """What is sold."""
        return ContentId(CONTENT)

    def announce(self, signed: SignedOffer) -> None:
        """Put an offer into the DHT."""
        now = self.clock.seconds()
        self.records.append(offer_record(signed, PUBLISHER_SEED, int(now), LOCAL.record_bits, now))

    # The chain. A redemption is mined with the next block, and final six blocks later.

    def block_of(self, time: float) -> int:
        """The number of the newest block at a time."""
        return int((time - NOW) // BLOCK_SECONDS) + 100

    def landed(self) -> dict[int, tuple[Prepared, int]]:
        """What the contract took: redemption and block of each nullifier."""
        found: dict[int, tuple[Prepared, int]] = {}
        for each in sorted(self.submitted, key=lambda each: each.at):
            block = self.block_of(each.at) + 1
            if each.at < self.reorganised_at and block + FINAL_BLOCKS > self.block_of(
                self.reorganised_at
            ):
                continue  # its block was replaced, and nobody kept the transaction
            if (block - 100) * BLOCK_SECONDS + NOW > each.prepared.redemption.deadline:
                continue
            for spend in each.prepared.spends:
                found.setdefault(spend.nullifier, (each.prepared, block))
        newest = self.block_of(self.clock.seconds())
        return {key: value for key, value in found.items() if value[1] <= newest}

    def final(self, block: int) -> bool:
        """Whether a block is final."""
        return block + FINAL_BLOCKS <= self.block_of(self.clock.seconds())

    def paid(self) -> list[Prepared]:
        """Redemptions that the contract carried out."""
        return [prepared for prepared, _block in self.landed().values()]


def nullifier(index: int) -> int:
    """The nullifier of a voucher."""
    return 5000 + index


class Living(Protocol):
    """A node in a world.

    Attributes:
        world: has the clock.
        fate: of the node.
    """

    world: Any
    fate: Fate


def drive(node: Living, work: Coroutine[Any, Any, T], limit: float = 10 * 86_400.0) -> T:
    """Move the clock until some work is done, or the node is killed.

    Raises:
        Killed: it was.
        BaseException: what ``work`` raises.
        TooLong: it takes more seconds than the limit.
        AssertionError: it waits for nothing.
    """
    outcome: list[Any] = []
    clock = node.world.clock
    Deferred.fromCoroutine(work).addBoth(outcome.append)
    end = clock.seconds() + limit
    while not outcome and not node.fate.dead:
        calls = clock.getDelayedCalls()
        if not calls:
            raise AssertionError("the work hangs")
        if calls[0].getTime() > end:
            raise TooLong
        clock.advance(max(0.0, min(call.getTime() for call in calls) - clock.seconds()))
    if node.fate.dead:
        raise Killed
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return outcome[0]  # type: ignore[no-any-return]


def idle(node: Living, seconds: float) -> None:
    """Let time pass."""
    drive(node, _sleep(node.world.clock, seconds))


async def _sleep(clock: Clock, seconds: float) -> None:
    await pause(clock, seconds)
