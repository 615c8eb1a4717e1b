"""For tests: the node of a buyer in a world in memory, which can die at every step."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import nacl.signing
from twisted.internet.defer import Deferred, succeed

from bitsnode.codec.keys import whitening_commitment
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.manifest import Manifest
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
from bitsnode.market.purchase_errors import KeyHolderFault
from bitsnode.market.purchase_facts import Reserved, Settled
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_needs import Sighting, Tools, pause
from bitsnode.market.purchase_progress import Event, OnEvent, Terms
from bitsnode.market.purchase_testing import (
    BLOCK_SECONDS,
    FINAL_BLOCKS,
    GROUP,
    KEY,
    PASSWORD,
    Fate,
    Killed,
    World,
    nullifier,
)
from bitsnode.market.purchase_testing_relays import OwnAccount, Relaying
from bitsnode.market.purchases import Purchases
from bitsnode.market.receipt import Receipt
from bitsnode.market.testing import (
    CHAIN_ID,
    MARKET,
    NOW,
    PRICE,
    PUBLISHER_SEED,
    VOUCHERS,
)
from bitsnode.wire.record import SignedRecord
from onion.isolation import Isolation

T = TypeVar("T")


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
            relays=Relaying(world, self.fate, self.isolations["relays"], self.written),
            chain=self,
            holders=self,
            own_relay=OwnAccount(world, self.fate, self.written),
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
