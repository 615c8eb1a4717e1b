"""Putting content on sale: chosen holders, offers that replace each other, and crashes."""

import attrs
import pytest
from twisted.internet.task import Clock

from bitsnode.codec.link import Link
from bitsnode.codec.share_puzzle import solve
from bitsnode.config import LOCAL
from bitsnode.ids import ContentId
from bitsnode.ledger.voucher_events import REDEEMED
from bitsnode.market.asking import KeyHolderClient
from bitsnode.market.errors import TooFewHolders, UnknownDenomination
from bitsnode.market.offer_record import best_offer, offers_in
from bitsnode.market.purchase_testing import Fate, Killed, World, drive
from bitsnode.market.purchase_testing_node import Node
from bitsnode.market.receipt import Receipt
from bitsnode.market.selling import (
    DAY,
    RENEW_SECONDS,
    RETRY_SECONDS,
    VALID_SECONDS,
    Selling,
)
from bitsnode.market.selling_errors import NotAnnounced, NotOnSale, SalesSealed
from bitsnode.market.selling_needs import SellingTools
from bitsnode.market.selling_progress import HolderFailed, InCustody, OfferAnnounced
from bitsnode.market.selling_store import SellingStore
from bitsnode.market.shares import USUAL_HOLDERS
from bitsnode.market.testing import (
    CHAIN_ID,
    CONTENT,
    MARKET,
    META,
    NOW,
    PRICE,
    PUBLISHER_SEED,
    SECRET,
    VIEWING,
    WHITENING,
    custody_key,
    onion_key,
)
from bitsnode.market.testing_holders import Holder, MemoryChain, MemoryHolders, redeemed_log
from bitsnode.wire.card import Capability, NodeCard, SignedCard
from bitsnode.wire.record import SignedRecord

pytestmark = pytest.mark.usefixtures("no_fsync")
LINK = Link(ContentId(CONTENT), SECRET, WHITENING)
KEY = b"\x0f" * 32
COUNT = 13  # nodes that keep key shares


class TimedHolder(Holder):
    """A key holder whose time is the clock's."""

    clock: Clock

    @property
    def now(self) -> float:
        """Unix time in seconds."""
        return self.clock.seconds()

    @now.setter
    def now(self, _seconds: float) -> None:
        """It is the clock's."""


class Network:
    """Nodes, DHT and clock, which outlive the seller's node."""

    def __init__(self, folder):
        self.clock = Clock()
        self.clock.advance(NOW)
        self.chain = MemoryChain()
        self.holders = []
        for index in range(1, COUNT + 1):
            holder = TimedHolder(folder / f"{index}.db", index, self.chain)
            holder.clock = self.clock
            self.holders.append(holder)
        self.peers = MemoryHolders(self.clock, self.holders)
        self.records = []
        self.taken = 20
        self.found = COUNT
        self.without = set()  # indexes of nodes without the capability

    async def find_custodians(self, count, _isolation):
        """See `Custodians`."""
        return [self.card(index) for index in range(1, self.found + 1)][:count]

    def card(self, index):
        """The card of a node."""
        can = Capability.STORAGE | (0 if index in self.without else Capability.CUSTODY)
        card = NodeCard(
            version=1,
            network=LOCAL.name,
            onion_key=onion_key(index).public_key,
            signing_key=bytes(32),
            sealing_key=custody_key(index).public_key().public_bytes_raw(),
            capabilities=can,
            nonce=bytes(16),
            sequence=1,
            expires=NOW + 3600,
        )
        return SignedCard.sign(card, onion_key(index).sign)

    async def put_records(self, records, _isolation):
        """See `Records`; a storer takes only what is newer than what it has."""
        for record in records:
            now = self.clock.seconds()
            SignedRecord.parse(record.data, puzzle_bits=LOCAL.record_bits, now=now)
            newest = max((each.record.sequence for each in self.records), default=-1)
            if self.taken and record.record.sequence > newest:
                self.records.append(record)
        return [self.taken for _record in records]

    async def get_records(self, _key, _isolation):
        """See `Records`."""
        return self.records[-1:]

    def offer(self):
        """The offer that buyers find."""
        publisher = self.records[0]
        (first,) = offers_in(CONTENT, [publisher])
        now = self.clock.seconds()
        return best_offer(CONTENT, first.offer.publisher, self.records[-1:], MARKET, now).signed


class Seller:
    """The seller's node, for one life."""

    def __init__(self, network, path, fate=None, own_key=None):
        self.world = self.network = network
        self.fate = fate or Fate()
        self.store = SellingStore(path, KEY, CHAIN_ID)
        self.store.database.before = self._before
        self.events = []
        client = KeyHolderClient(network.peers, network.clock)
        tools = SellingTools(
            network.clock,
            self.run,
            MARKET,
            LOCAL.record_bits,
            LOCAL.share_bits,
            self,
            self,
            client,
            own_key,
        )
        self.selling = Selling(tools, self.store)

    def _before(self, statement):
        if statement == "COMMIT":
            self.fate.point("before a commit")

    async def run(self, call):
        """A `Run` without threads."""
        if getattr(call, "func", None) is solve:  # leaves nothing behind, wherever it dies
            return call()
        self.fate.point("before the disk")
        found = call()
        self.fate.point("after the disk")
        return found

    async def find_custodians(self, count, isolation):
        """See `Custodians`."""
        self.fate.point("looked for holders")
        return await self.network.find_custodians(count, isolation)

    async def put_records(self, records, isolation):
        """See `Records`."""
        self.fate.point("before the record")
        taken = await self.network.put_records(records, isolation)
        self.fate.point("after the record")
        return taken

    def sell(self, price=PRICE):
        """Put it on sale."""
        return drive(self, self.selling.sell(LINK, PUBLISHER_SEED, META, price, self.events.append))

    def tend(self):
        """Do what is due."""
        return drive(self, self.selling.tend())

    def die(self):
        """Let nothing of it go on."""
        self.fate.dead = True
        for call in self.network.clock.getDelayedCalls():
            call.cancel()
        self.store.close()


@pytest.fixture
def network(tmp_path, no_fsync):
    """Thirteen nodes that keep key shares."""
    network = Network(tmp_path)
    yield network
    for holder in network.holders:
        holder.store.close()


@pytest.fixture
def seller(network, tmp_path):
    """A node that sells."""
    seller = Seller(network, tmp_path / "sales.db")
    yield seller
    seller.die()


def test_what_is_sold_can_be_bought(network, seller, tmp_path):
    """An offer from this side is paid, and real gates give the key for the receipt."""
    shown = seller.sell()
    assert (shown.price, shown.threshold, shown.holders, shown.announced) == (PRICE, 3, 11, True)
    world = World.of()
    world.clock, world.records = network.clock, network.records
    buyer = Node(world, tmp_path / "purchases.db")

    class Followed(MemoryChain):
        """What the gates know of the world's chain."""

        def _follow(self):
            self.blocks = {}
            for prepared, block in world.landed().values():
                if world.final(block):
                    self.final = max(self.final, block)
                    log = redeemed_log(receipt_like(prepared), block=block)
                    self.blocks[block] = (NOW + (block - 100) * 10, [log])

        def redeemed(self, after, limit):
            self._follow()
            return super().redeemed(after, limit)

    def receipt_like(prepared):
        groups = tuple(spend.group for spend in prepared.spends)
        nullifiers = tuple(spend.nullifier for spend in prepared.spends)
        return Receipt.of(
            prepared.redemption,
            groups,
            nullifiers,
            ephemeral_private_key=VIEWING,
            offer_hash=bytes(32),
            public_key=bytes(32),
            salt=bytes(32),
        )

    followed = Followed()
    for holder in network.holders:
        holder.gate._chain = followed
    buyer.change(holders=KeyHolderClient(network.peers, network.clock))
    assert drive(buyer, buyer.buy()).link == LINK
    assert followed.redeemed(None, 1)[0].topics[0] == REDEEMED
    buyer.die()


def test_progress_says_who_has_the_key(seller):
    """How many keep it, of how many, and that it can be found."""
    seller.sell()
    (custody,) = [event for event in seller.events if isinstance(event, InCustody)]
    assert (custody.threshold, custody.holders, custody.taken) == (3, USUAL_HOLDERS, 11)
    assert not custody.fewer_than_usual
    assert isinstance(seller.events[-1], OfferAnnounced)
    assert seller.events[-1].nodes == 20


def test_dead_nodes_are_replaced(network, seller):
    """Whoever does not take a share is not in the offer."""
    network.peers.dead = {2, 5}
    shown = seller.sell()
    assert shown.holders == 11
    named = {holder.onion_key for holder in network.offer().offer.holders}
    assert not named & {onion_key(index).public_key for index in (2, 5)}
    failed = [event for event in seller.events if isinstance(event, HolderFailed)]
    assert len(failed) <= 2


def test_only_nodes_that_offer_custody_are_asked(network, seller):
    """And never the seller's own, whose name all its offers would share."""
    network.without = {1, 2, 3}
    seller.die()
    own = Seller(network, seller.store.database.path, own_key=onion_key(4).public_key)
    assert own.sell().holders == COUNT - 4
    assert {index for index, _isolation in network.peers.asked} == set(range(5, COUNT + 1))
    own.die()


def test_a_small_network_is_said(network, seller):
    """Three nodes keep it: one is enough to open, as availability wins."""
    network.found = 3
    assert seller.sell().threshold == 1
    assert next(event for event in seller.events if isinstance(event, InCustody)).fewer_than_usual


def test_without_holders_it_is_tried_again(network, seller):
    """Nothing is announced that nobody could open; `tend` takes it up."""
    network.found = 0
    with pytest.raises(TooFewHolders):
        seller.sell()
    assert not network.records
    assert seller.tend() == 1
    network.found = COUNT
    assert seller.tend() == 0
    assert not network.records  # who fails is not tried every minute
    network.clock.advance(RETRY_SECONDS)
    assert seller.tend() == 0
    assert network.offer().offer.price == PRICE


def test_a_record_that_nobody_takes_is_put_again(network, seller):
    """The offer itself is not made anew."""
    network.taken = 0
    with pytest.raises(NotAnnounced):
        seller.sell()
    made = seller.store.find(CONTENT).signed
    network.taken = 20
    assert seller.tend() == 0
    assert network.offer().hash == made.hash


def test_a_price_that_no_voucher_has_is_refused(seller):
    """Sums of several vouchers would mark who pays them."""
    with pytest.raises(UnknownDenomination):
        seller.sell(PRICE + 1)
    with pytest.raises(NotOnSale):
        drive(seller, seller.selling.offer(LINK.content_id))


def test_a_new_price_replaces_the_old_one(network, seller):
    """Within the same hour, too; and what was signed before can still be paid, which is said."""
    seller.sell()
    first = network.offer()
    seller.sell(10**16)
    second = network.offer()
    assert second.offer.price == 10**16
    assert second.offer.valid_from > first.offer.valid_from
    assert second.offer.valid_from <= network.clock.seconds()
    shown = drive(seller, seller.selling.offer(LINK.content_id))
    assert shown.payable_until == max(first.offer.valid_until, second.offer.valid_until)
    network.records.append(network.records[0])  # somebody announces the cheap one again
    publisher = first.offer.publisher
    found = best_offer(CONTENT, publisher, network.records, MARKET, network.clock.seconds())
    assert found.signed.hash == second.hash


def test_a_price_is_changed_without_publishing_again(network, seller):
    """The same key and publisher; what was withdrawn comes back; what was never sold does not."""
    with pytest.raises(NotOnSale):
        drive(seller, seller.selling.price(LINK.content_id, PRICE))
    seller.sell()
    first = network.offer()
    drive(seller, seller.selling.withdraw(LINK.content_id))
    shown = drive(seller, seller.selling.price(LINK.content_id, 10**16, seller.events.append))
    second = network.offer()
    assert (shown.price, shown.withdrawn, shown.announced) == (10**16, False, True)
    assert second.offer.price == 10**16
    assert second.offer.publisher == first.offer.publisher
    assert second.offer.secret_commitment == first.offer.secret_commitment
    assert seller.store.find(CONTENT).whitening == LINK.whitening
    with pytest.raises(UnknownDenomination):
        drive(seller, seller.selling.price(LINK.content_id, PRICE + 1))


def test_an_offer_is_announced_again_and_renewed_in_time(network, seller):
    """For a year there is at every moment an offer that buyers find and can pay."""
    seller.sell()
    first = network.offer()
    for _ in range(365 * 2):
        network.clock.advance(DAY / 2)
        assert seller.tend() == 0
        newest = network.records[-1].record
        assert newest.expires > network.clock.seconds() + DAY
        assert network.offer().offer.valid_until > network.clock.seconds() + RENEW_SECONDS - DAY
    assert network.offer().hash != first.hash
    assert len(seller.store.find(CONTENT).older) <= 2


def test_what_is_withdrawn_is_neither_renewed_nor_announced(network, seller):
    """It ends with what was signed."""
    seller.sell()
    count = len(network.records)
    shown = drive(seller, seller.selling.withdraw(LINK.content_id))
    assert shown.withdrawn
    assert shown.payable_until <= NOW + VALID_SECONDS
    network.clock.advance(VALID_SECONDS - DAY)
    assert seller.tend() == 0
    assert len(network.records) == count
    assert seller.sell().announced  # and may come back
    assert not drive(seller, seller.selling.offers())[0].withdrawn


def test_killed_at_each_point_it_ends_on_sale(tmp_path_factory):
    """Each disk write, before and after its commit, and each thing done outside."""
    at = 0
    while True:
        at += 1
        folder = tmp_path_factory.mktemp("life")
        network = Network(folder)
        seller = Seller(network, folder / "sales.db", Fate(at))
        died = False
        try:
            seller.sell()
        except Killed:
            died = True
        seller.die()
        if not died:
            break
        again = Seller(network, folder / "sales.db")
        assert again.tend() == 0
        if not again.store.all():  # before anything was noted: the publisher asks again
            again.sell()
        assert network.offer().offer.price == PRICE
        (sale,) = again.store.all()
        assert not sale.pending
        assert sale.signed.hash == network.offer().hash
        again.die()
        for holder in network.holders:
            holder.store.close()
    assert at > 15


def test_m1_the_store_and_its_reprs_show_nothing(network, seller, tmp_path):
    """Neither link, keys nor what is sold."""
    seller.sell()
    sale = seller.store.find(CONTENT)
    printed = repr(sale) + repr(seller.events) + repr(drive(seller, seller.selling.offers()))
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("sales.db*"))
    for canary in (SECRET, WHITENING, PUBLISHER_SEED):
        assert repr(canary)[2:-1] not in printed
        assert canary not in raw
    assert CONTENT not in raw
    other = SellingStore(tmp_path / "sales.db", bytes(32), CHAIN_ID)
    with pytest.raises(SalesSealed):
        other.all()
    assert other.find(CONTENT) is None
    other.close()


def test_an_offer_from_the_disk_is_what_was_signed(network, seller):
    """What is kept is enough to go on after a restart."""
    seller.sell()
    sale = seller.store.find(CONTENT)
    assert sale.signed == network.offer()
    assert sale.payee == META
    assert attrs.evolve(sale) == sale
