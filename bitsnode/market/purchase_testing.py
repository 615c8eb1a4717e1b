"""For tests: a world in memory in which purchases are made, and in which a buyer's node dies."""

from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import attrs
import nacl.signing
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from bitsnode.codec.keys import whitening_commitment
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.manifest import Manifest
from bitsnode.config import LOCAL
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId, sha256
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.errors import RpcUnreachable
from bitsnode.ledger.redeem import Prepared
from bitsnode.ledger.redemption import Redemption, Spend, address_text, message_of
from bitsnode.ledger.trees import Crowd
from bitsnode.ledger.voucher_events import Redeemed
from bitsnode.ledger.wallet.errors import NoVoucher, TicketUnknown, VoucherHandedOut
from bitsnode.ledger.wallet.voucher_values import Ticket, Voucher, VoucherState
from bitsnode.ledger.wallet.vouchers import RELEASE_SECONDS
from bitsnode.market.agreeing import Consent
from bitsnode.market.errors import NotFinalYet, WrongShare
from bitsnode.market.library import Bought
from bitsnode.market.offer import SignedOffer
from bitsnode.market.offer_record import offer_record
from bitsnode.market.purchase_errors import KeyHolderFault, RelayFault
from bitsnode.market.purchase_facts import Reserved, Sent, Settled
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_needs import RelayFound, Sighting, Tools, pause
from bitsnode.market.purchase_progress import Event, OnEvent, Terms
from bitsnode.market.purchases import Purchases
from bitsnode.market.receipt import Receipt
from bitsnode.market.testing import (
    CHAIN_ID,
    CONTENT,
    MARKET,
    NOW,
    PRICE,
    PUBLISHER_SEED,
    VOUCHERS,
    WHITENING,
    make_offer,
    sign,
)
from bitsnode.wire.record import SignedRecord
from onion.isolation import Isolation

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
        self.records.append(offer_record(signed, int(now), LOCAL.record_bits, now))

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


class Node:
    """The buyer's node, for one life.

    Args:
        world: in which it lives.
        path: of the journal.
        fate: when it dies.
    """

    def __init__(self, world: World, path: Path, fate: Fate | None = None) -> None:
        self.world = world
        self.fate = fate or Fate()
        self.journal = PurchaseJournal(path, KEY, CHAIN_ID)
        self.journal.database.before = self._before
        self.events: list[Event] = []
        self.isolations: dict[str, set[Isolation]] = {"records": set(), "relays": set()}
        self.says = True
        self.tools = Tools(
            world.clock,
            self.run,
            MARKET,
            records=self,
            manifests=self,
            vouchers=self,
            proofs=self,
            relays=_Relays(self),
            chain=self,
            holders=self,
            own_relay=_OwnRelay(self),
        )
        self.purchases = Purchases(self.tools, self.journal)

    def _written(self, purpose: str, kind: type[Any]) -> None:
        """See that what leads to an act is on the disk before it."""
        facts = self.journal.facts(bytes.fromhex(purpose))
        if not any(isinstance(fact, kind) for fact in facts):
            raise AssertionError(f"it acts without a {kind.__name__} in the journal")

    def written(self, tag: bytes, kind: type[Any]) -> None:
        """The same, of the purchase with the tag of a redemption."""
        made = [name for name, each in self.world.prepared.items() if each.redemption.tag == tag]
        for ticket in self.world.reserved.values():
            if ticket.name in made:
                self._written(ticket.purpose, kind)

    def change(self, **tools: Any) -> None:
        """Give it other tools."""
        self.tools = attrs.evolve(self.tools, **tools)
        self.purchases = Purchases(self.tools, self.journal)

    def _before(self, statement: str) -> None:
        if statement == "COMMIT":
            self.fate.point("before a commit")

    def run(self, call: Callable[[], T]) -> Deferred[T]:
        """A `Run` without threads."""
        return succeed(None).addCallback(lambda _: self._ran(call))

    def _ran(self, call: Callable[[], T]) -> T:
        self.fate.point("before the disk")
        found = call()
        self.fate.point("after the disk")
        return found

    async def confirm(self, terms: Terms) -> bool:
        """What the buyer says."""
        self.fate.point("asked the buyer")
        return self.says

    def consent(self, *, own_relay: bool = False) -> Consent:
        """Of the buyer."""
        return Consent(self.confirm, PASSWORD, own_relay)

    def buy(self, *, own_relay: bool = False) -> Coroutine[Any, Any, Bought]:
        """Buy what is sold."""
        on_event: OnEvent = lambda event: self.events.append(event)  # noqa: E731 — one each
        consent = self.consent(own_relay=own_relay)
        return self.purchases.buy(self.world.content_id, consent, on_event)

    def die(self) -> None:
        """Let nothing of it go on."""
        self.fate.dead = True
        for call in self.world.clock.getDelayedCalls():
            call.cancel()
        self.journal.close()

    # Records and Manifests

    async def get_records(self, _key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """See `Records`."""
        self.isolations["records"].add(isolation)
        self.fate.point("asked the DHT")
        return list(self.world.records)

    async def put_records(
        self, records: Sequence[SignedRecord], _isolation: Isolation
    ) -> list[int]:
        """See `Records`."""
        raise NotImplementedError

    async def manifest(self, _content: ContentId, _isolation: Isolation) -> Manifest:
        """See `Manifests`."""
        self.fate.point("asked for the manifest")
        publisher = bytes(nacl.signing.SigningKey(PUBLISHER_SEED).verify_key)
        commitment = whitening_commitment(self.world.whitening)
        return Manifest(1, 0, CHUNK_SIZE, 1, 1, (bytes(32),), publisher, commitment)

    # Vouchers and Proofs

    async def reserve(self, denomination: int, purpose: str) -> Ticket:
        """See `Vouchers`."""
        self.fate.point("before the reservation")
        world = self.world
        if purpose not in world.reserved:
            taken = {ticket.index for ticket in world.reserved.values()}
            spent = world.landed()
            for index, of in enumerate(world.vouchers):
                if of == denomination and index not in taken and nullifier(index) not in spent:
                    name = sha256(purpose.encode(), bytes([index])).hex()[:32]
                    world.reserved[purpose] = Ticket(name, index, denomination, purpose)
                    break
            else:
                raise NoVoucher
        self.fate.point("after the reservation")
        return world.reserved[purpose]

    async def release(self, ticket: Ticket) -> None:
        """See `Vouchers`."""
        self.fate.point("before the release")
        made = self.world.prepared.get(ticket.name)
        now = self.world.clock.seconds()
        if made is not None and now <= made.redemption.deadline + RELEASE_SECONDS:
            raise VoucherHandedOut
        self.world.reserved.pop(ticket.purpose, None)
        self.fate.point("after the release")

    async def voucher(self, ticket: Ticket) -> Voucher:
        """See `Vouchers`."""
        return Voucher(
            ticket.index,
            ticket.denomination,
            PRICE,
            VoucherState.RESERVED,
            crowd=Crowd(41, 17, 50),
            age=300,
            bought_at=float(NOW - 86_400),
        )

    async def prepare(self, ticket: Ticket, redemption: Redemption, *, password: str) -> Prepared:
        """See `Proofs`."""
        self.fate.point("before the proof")
        self._written(ticket.purpose, Reserved)
        world = self.world
        if password != PASSWORD:
            raise BitsError("Wrong password.")
        if world.reserved.get(ticket.purpose) != ticket:
            raise TicketUnknown
        await pause(world.clock, 1.0)
        spend = Spend(GROUP, nullifier(ticket.index), 77, (0,) * 8)
        contract = address_text(VOUCHERS)
        message = message_of(CHAIN_ID, contract, redemption, [GROUP], [spend.nullifier])
        made = Prepared(message, redemption, (spend,))
        earlier = world.prepared.setdefault(ticket.name, made)
        if earlier != made:
            raise AssertionError("two redemptions of one voucher were proved")
        self.fate.point("after the proof")
        return made

    # Chain

    async def look(self, group: int, nullifier: int) -> Sighting | None:
        """See `Chain`."""
        self.fate.point("asked the chain")
        if self.world.chain_down:
            raise RpcUnreachable("all of them")
        found = self.world.landed().get(nullifier)
        if found is None or group != GROUP:
            return None
        prepared, block = found
        transaction = sha256(prepared.message, bytes([block % 256]))
        return Sighting(prepared.message, block, transaction, self.world.final(block))

    async def settled_until(self) -> int:
        """See `Chain`."""
        self.fate.point("asked the chain's time")
        if self.world.chain_down:
            raise RpcUnreachable("all of them")
        newest = self.world.block_of(self.world.clock.seconds())
        return int(NOW + (newest - FINAL_BLOCKS - 100) * BLOCK_SECONDS)

    # KeyHolders

    async def ask(
        self, signed: SignedOffer, index: int, receipt: Receipt, receipt_seed: bytes
    ) -> bytes:
        """See `KeyHolders`."""
        await self._point("before a key holder is asked")
        world = self.world
        self.written(receipt.tag, Settled)
        world.asked.append(index)
        does = world.holders.get(index, "honest")
        await pause(world.clock, 3600.0 if does == "slow" else 1.0)
        if does == "dead":
            raise KeyHolderFault("There is no such service.")
        if does == "lies":
            return bytes([index]) * 16
        if bytes(nacl.signing.SigningKey(receipt_seed).verify_key) != receipt.public_key:
            raise WrongShare
        receipt.check_offer(signed)
        receipt.check_record(*self._record(receipt), signed.offer)
        await self._point("after a key holder answered")
        return world.shares[index - 1]

    async def _point(self, name: str) -> None:
        """As `Fate.point`, for what is done beside the purchase: it just never goes on."""
        try:
            self.fate.point(name)
        except Killed:
            await Deferred()

    def _record(self, receipt: Receipt) -> tuple[Redeemed, int]:
        found = self.world.landed().get(receipt.nullifiers[0])
        if found is None or not self.world.final(found[1]):
            raise KeyHolderFault(str(NotFinalYet()), retry_after=30)
        prepared, block = found
        redemption, spends = prepared.redemption, prepared.spends
        recorded = Redeemed(
            Cursor(block, 0),
            bytes(32),
            prepared.message,
            redemption.tag,
            redemption.payee,
            PRICE,
            redemption.fee,
            tuple(spend.group for spend in spends),
            tuple(spend.nullifier for spend in spends),
        )
        return recorded, int(NOW + (block - 100) * BLOCK_SECONDS)


@attrs.frozen
class Proving:
    """A `Proofs` of a test's own making.

    Attributes:
        prepare: see `Proofs`.
    """

    prepare: Callable[..., Coroutine[Any, Any, Prepared]]


@attrs.frozen
class _Relays:
    node: Node

    async def find(self, fee_limit: int, isolation: Isolation) -> list[RelayFound]:
        """See `Relays`."""
        self.node.isolations["relays"].add(isolation)
        self.node.fate.point("looked for relays")
        fees = self.node.world.fees
        found = [RelayFound(relay, fees.get(relay, FEE)) for relay in self.node.world.relays]
        if not found:
            raise RelayFault("There are no relays.")
        return [relay for relay in found if relay.fee <= fee_limit]

    async def submit(
        self,
        relay: bytes,
        redemption: Redemption,
        spends: Sequence[Spend],
        isolation: Isolation,
    ) -> None:
        """See `Relays`."""
        self.node.isolations["relays"].add(isolation)
        world, fate = self.node.world, self.node.fate
        fate.point("before a relay is asked")
        self.node.written(redemption.tag, Sent)
        does = world.relays.get(relay, "refuses")
        if does == "refuses":
            raise RelayFault("The relay takes no payments now.")
        if does == "honest":
            groups, nullifiers = [s.group for s in spends], [s.nullifier for s in spends]
            contract = address_text(VOUCHERS)
            message = message_of(CHAIN_ID, contract, redemption, groups, nullifiers)
            prepared = Prepared(message, redemption, tuple(spends))
            world.submitted.append(Landed(prepared, world.clock.seconds()))
        fate.point("after a relay was asked")


@attrs.frozen
class _OwnRelay:
    node: Node

    async def submit(
        self, prepared: Prepared, *, password: str, accept: Collection[Literal["link"]] = ()
    ) -> None:
        """See `OwnRelay`."""
        if password != PASSWORD or "link" not in accept:
            raise BitsError("Not allowed.")
        self.node.fate.point("before it is sent from an own account")
        self.node.written(prepared.redemption.tag, Sent)
        world = self.node.world
        world.submitted.append(Landed(prepared, world.clock.seconds()))


def nullifier(index: int) -> int:
    """The nullifier of a voucher."""
    return 5000 + index


def drive(node: Node, work: Coroutine[Any, Any, T], limit: float = 10 * 86_400.0) -> T:
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


def idle(node: Node, seconds: float) -> None:
    """Let time pass."""
    drive(node, _sleep(node.world.clock, seconds))


async def _sleep(clock: Clock, seconds: float) -> None:
    await pause(clock, seconds)
