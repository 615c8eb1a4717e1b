"""Purchases against relays, key holders, publishers and chains that do what they should not."""

import logging

import attrs
import nacl.signing
import pytest
from twisted.internet.defer import Deferred, gatherResults

from bitsnode.codec.link import Link
from bitsnode.ledger.wallet.errors import NoVoucher
from bitsnode.market import purchase_errors as errors
from bitsnode.market.collecting import SLOW_SECONDS
from bitsnode.market.complaint import CheckedComplaint
from bitsnode.market.errors import OfferExpired
from bitsnode.market.library import Bought
from bitsnode.market.offer import SignedOffer
from bitsnode.market.purchase_facts import Reserved, Sent
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_needs import pause
from bitsnode.market.purchase_progress import (
    HolderLied,
    InBlock,
    KeyShareCame,
    ProofMade,
    RelayFailed,
    Reorganised,
    Submitting,
    Terms,
)
from bitsnode.market.purchase_testing import (
    FEE,
    KEY,
    PASSWORD,
    Landed,
    TooLong,
    World,
    drive,
    idle,
    nullifier,
)
from bitsnode.market.purchase_testing_node import Node, Proving
from bitsnode.market.sending import RELAY_SECONDS
from bitsnode.market.testing import (
    CHAIN_ID,
    CONTENT,
    DAY,
    NOW,
    PRICE,
    SECRET,
    VOUCHERS,
    WHITENING,
    sign,
)
from onion.errors import TorUnavailable

pytestmark = pytest.mark.usefixtures("no_fsync")


@pytest.fixture
def world():
    """A content that is sold, with 2 of 4 key holders."""
    return World.of()


@pytest.fixture
def start(world, tmp_path):
    """Starts the buyer's node again and again on the same files."""
    nodes = []

    def started(**changes):
        if nodes:
            nodes[-1].die()
        nodes.append(Node(world, tmp_path / "purchases.db", **changes))
        return nodes[-1]

    yield started
    nodes[-1].die()


def of(kind, node):
    """The events of a kind that the buyer was shown."""
    return [event for event in node.events if isinstance(event, kind)]


def test_a_purchase_ends_with_a_link_that_opens_the_content(world, start):
    """The buyer gets exactly the publisher's secrets, for one payment of the price."""
    node = start()
    bought = drive(node, node.buy())
    assert bought.link == Link(world.content_id, SECRET, WHITENING)
    assert bought.price == PRICE
    (paid,) = world.paid()
    assert paid.redemption.fee == FEE
    assert paid.redemption.relayer == bytes(20)
    assert len(world.asked) == 2  # who is asked learns what was bought, so no more than t are


def test_the_terms_are_shown_before_anything_is_spent(world, start):
    """Price, fee, crowd and age come first, then proof, relay, block, and each key share."""
    node = start()
    drive(node, node.buy())
    (terms,) = of(Terms, node)
    assert (terms.price, terms.fee, terms.crowd.unspent, terms.voucher_blocks) == (
        PRICE,
        FEE,
        41,
        300,
    )
    assert terms.voucher_seconds >= DAY
    assert (terms.threshold, terms.holders, terms.relays) == (2, 4, 1)
    kinds = [type(event) for event in node.events]
    order = [Terms, ProofMade, Submitting, InBlock, InBlock, KeyShareCame, KeyShareCame]
    assert [kind for kind in kinds if kind in order] == order
    assert [event.count for event in of(KeyShareCame, node)] == [1, 2]
    assert of(ProofMade, node)[0].seconds == 1.0


def test_who_says_no_pays_nothing_and_has_the_voucher_back(world, start):
    """A purchase that is not confirmed leaves no trace but a closed entry."""
    node = start()
    node.says = False
    with pytest.raises(errors.NotConfirmed):
        drive(node, node.buy())
    assert not world.submitted
    assert not world.reserved
    assert drive(node, node.purchases.library()) == []


def test_bought_content_is_not_paid_twice(world, start):
    """To buy it again gives what is in the library, at once and after a restart."""
    node = start()
    bought = drive(node, node.buy())
    assert drive(node, node.buy()) == bought
    node = start()
    assert drive(node, node.buy()) == bought
    assert drive(node, node.purchases.library()) == [bought]
    assert drive(node, node.purchases.link(world.content_id)) == bought.link
    assert len(world.submitted) == 1


def test_two_purchases_of_one_content_at_a_time_are_one(world, start):
    """Two impatient clicks cost one voucher."""
    world.vouchers = [1, 1]
    node = start()

    async def both():
        return await gatherResults([Deferred.fromCoroutine(node.buy()) for _ in range(2)])

    first, second = drive(node, both())
    assert first == second
    assert len(world.paid()) == 1


def test_a1_one_voucher_is_never_given_to_two_purchases(world, start, tmp_path):
    """Even a wallet that gives it out twice does not make this node spend it twice."""
    node = start()
    drive(node, node.buy())
    reserved = Reserved("ff", 0, bytes(32), bytes(32), bytes(32), 0, NOW)
    (name,) = node.journal.purchases()
    node.journal.begin(b"\x01" * 16, node.journal.facts(name)[0])
    with pytest.raises(errors.VoucherTaken):
        node.journal.note(b"\x01" * 16, reserved)
    assert len(node.journal.facts(b"\x01" * 16)) == 1


def test_a1_two_spends_of_one_voucher_at_the_same_time(world, start, tmp_path):
    """Two copies of one wallet, neither of which knows of the other: one buys, one is told."""
    copy = attrs.evolve(world, reserved={}, prepared={})
    nodes = [start(), Node(copy, tmp_path / "copy.db")]
    outcomes = []

    async def both():
        buying = [Deferred.fromCoroutine(node.buy()).addBoth(outcomes.append) for node in nodes]
        await gatherResults(buying)

    drive(nodes[0], both())
    assert len(world.submitted) == 2
    assert len(world.paid()) == 1
    (bought,) = (each for each in outcomes if isinstance(each, Bought))
    (told,) = (each for each in outcomes if not isinstance(each, Bought))
    assert bought.link.content_secret == SECRET
    assert isinstance(told.value, errors.SpentElsewhere)
    nodes[1].die()


def test_without_a_voucher_nothing_happens(world, start):
    """The buyer is told to top up, and can buy once that is done."""
    world.vouchers = [0]
    node = start()
    with pytest.raises(NoVoucher):
        drive(node, node.buy())
    world.vouchers = [0, 1]
    assert drive(node, node.buy()).price == PRICE


# Offers


def test_a1_an_offer_changed_between_quote_and_payment_is_not_paid(world, start):
    """A new price between quote and payment: nothing is paid, and the voucher is free."""
    node = start()
    dearer = sign(
        attrs.evolve(world.signed.offer, valid_from=NOW - 1, price=10**16, denomination=2)
    )

    async def think(_terms):
        world.announce(dearer)
        return True

    node.confirm = think
    with pytest.raises(errors.OfferChanged):
        drive(node, node.buy())
    assert not world.submitted
    assert not world.reserved


def test_an_offer_changed_since_it_was_shown_elsewhere_is_not_paid(world, start):
    """The buyer saw the terms in one call and says yes in another."""
    node = start()
    node.says = False
    with pytest.raises(errors.NotConfirmed):
        drive(node, node.buy())
    (terms,) = of(Terms, node)
    node.says = True
    consent = attrs.evolve(node.consent(), offer_hash=terms.offer_hash)
    dearer = attrs.evolve(world.signed.offer, valid_from=NOW - 1, price=10**16, denomination=2)
    world.announce(sign(dearer))
    with pytest.raises(errors.OfferChanged):
        drive(node, node.purchases.buy(world.content_id, consent, node.events.append))
    assert not world.submitted
    world.records.pop()
    bought = drive(node, node.purchases.buy(world.content_id, consent, node.events.append))
    assert bought.price == PRICE


def test_an_offer_changed_before_it_is_sent_is_not_paid(world, start):
    """The same after the proof was made and the node restarted: it has not left the node."""
    node = start()
    world.relays.clear()
    world.relays[b"\x21" * 32] = "refuses"
    changed = sign(attrs.evolve(world.signed.offer, valid_from=NOW - 1, fee_limit=0))
    made = node.prepare

    async def prepare(ticket, redemption, *, password):
        found = await made(ticket, redemption, password=password)
        world.announce(changed)
        return found

    node.change(proofs=Proving(prepare))
    with pytest.raises(errors.OfferChanged):
        drive(node, node.buy())
    assert not world.submitted
    idle(node, 2 * DAY)  # the wallet gives the voucher back when no proof of it can land any more
    assert not world.reserved


def test_a1_an_old_cheap_offer_replayed_does_not_count(world, start):
    """Whoever knows the content id can put old offers into the DHT, with any sequence."""
    new = sign(attrs.evolve(world.signed.offer, valid_from=NOW - 10, fee_limit=PRICE // 50))
    world.announce(new)
    world.announce(world.signed)
    node = start()
    drive(node, node.buy())
    assert of(Terms, node)[0].offer_hash == new.hash


def test_an_offer_of_somebody_else_is_not_even_shown(world, start):
    """The publisher is the manifest's, whoever signs an offer for its content."""
    other = b"\x77" * 32
    forged = attrs.evolve(
        world.signed.offer,
        publisher=bytes(nacl.signing.SigningKey(other).verify_key),
        valid_from=NOW - 1,
    )
    world.announce(SignedOffer.sign(forged, other))
    real = world.records.pop(0)
    node = start()
    with pytest.raises(errors.NoOffer):
        drive(node, node.buy())
    world.records.append(real)
    drive(node, node.buy())
    assert of(Terms, node)[0].offer_hash == world.signed.hash


def test_an_expired_offer_says_so(tmp_path):
    """It is refused before a voucher is touched."""
    world = World.of(valid_from=NOW - 40 * DAY, valid_until=NOW + 60)
    node = Node(world, tmp_path / "purchases.db")
    with pytest.raises(OfferExpired):
        drive(node, node.buy())
    node.die()


def test_the_deadline_never_outlives_the_offer(tmp_path):
    """So the contract itself refuses a payment that key holders would not honour."""
    world = World.of(valid_until=NOW + 1000)
    node = Node(world, tmp_path / "purchases.db")
    drive(node, node.buy())
    (paid,) = world.paid()
    assert paid.redemption.deadline == NOW + 1000
    node.die()


# Relays


def test_a1_a_relay_that_takes_the_request_and_does_nothing_is_replaced(world, start):
    """The same redemption goes to the next one; the idle one may still land it, to no harm."""
    world.relays = {b"\x21" * 32: "idle", b"\x22" * 32: "honest"}
    node = start()
    drive(node, node.buy())
    assert [event.relay[0] for event in of(Submitting, node)] == [0x21, 0x22]
    assert of(RelayFailed, node)
    (paid,) = world.paid()
    world.submitted.append(Landed(paid, world.clock.seconds()))
    assert len(world.paid()) == 1


def test_all_attempts_send_the_same_message(world, start):
    """Whatever relays do, there is one message hash."""
    world.relays = {bytes([number]) * 32: "refuses" for number in range(0x21, 0x24)}
    world.relays[b"\x24" * 32] = "idle"
    node = start()
    work = node.buy()
    with pytest.raises(TooLong):
        drive(node, work, limit=RELAY_SECONDS * 3)
    node = start()
    world.relays[b"\x24" * 32] = "honest"
    drive(node, node.purchases.take_up())
    drive(node, node.buy())
    assert len(world.prepared) == 1
    assert len({landed.prepared.message for landed in world.submitted}) == 1
    assert len(world.paid()) == 1


def test_without_relays_nothing_is_reserved(world, start):
    """Unless the buyer allows an own account to show."""
    world.relays.clear()
    node = start()
    with pytest.raises(errors.RelayFault):
        drive(node, node.buy())
    assert not world.reserved
    world.relays[b"\x21" * 32] = "honest"
    world.fees[b"\x21" * 32] = PRICE  # more than the offer allows
    with pytest.raises(errors.NoRelay):
        drive(node, node.buy())
    assert not world.reserved
    world.relays.clear()
    drive(node, node.buy(own_relay=True))
    (paid,) = world.paid()
    assert paid.redemption.fee == 0


def test_an_own_account_sends_only_if_that_was_allowed(world, start):
    """Not even when every relay fails: then it waits, and the voucher comes back in the end."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    with pytest.raises(errors.PaymentExpired):
        drive(node, node.buy())
    assert not world.submitted


def test_an_own_account_steps_in_for_idle_relays(world, start):
    """If it was allowed."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    drive(node, node.buy(own_relay=True))
    assert [event.relay for event in of(Submitting, node)] == [b"\x21" * 32, b""]
    assert len(world.paid()) == 1


def test_the_fee_is_one_that_two_relays_take(world, start):
    """So that one of them may fail without another proof."""
    world.relays = {bytes([number]) * 32: "honest" for number in (0x21, 0x22, 0x23)}
    world.fees = {b"\x21" * 32: FEE // 2, b"\x22" * 32: FEE, b"\x23" * 32: 2 * FEE}
    node = start()
    drive(node, node.buy())
    (terms,) = of(Terms, node)
    assert (terms.fee, terms.relays) == (FEE, 2)


def test_a1_an_expired_deadline_frees_the_voucher_only_when_the_chain_says_so(world, start):
    """While no server answers, nobody knows what landed: then nothing is given back."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    work = node.buy()
    with pytest.raises(TooLong):
        drive(node, work, limit=100)
    world.chain_down = True
    idle(node, 2 * DAY)
    assert world.reserved
    (under_way,) = drive(node, node.purchases.under_way())
    assert under_way.deadline < world.clock.seconds()
    world.chain_down = False
    idle(node, 3600)
    assert not world.reserved
    assert drive(node, node.purchases.under_way()) == []


def test_the_chain_is_looked_at_after_its_time(world, start):
    """The other way round, a payment could become final between the two, and be missed."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    with pytest.raises(errors.PaymentExpired):
        drive(node, node.buy())
    asked = [each for each in node.fate.passed if each.startswith("asked the chain")]
    last = len(asked) - asked[::-1].index("asked the chain's time")
    assert asked[last:] == ["asked the chain"]


def test_a_payment_that_landed_at_the_last_moment_counts(world, start):
    """The node slept over the deadline, and the idle relay had sent it after all."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=100)
    (made,) = world.prepared.values()
    world.submitted.append(Landed(made, world.clock.seconds()))
    node.die()
    world.clock.advance(2 * DAY)
    node = start()
    assert drive(node, node.buy()).link.content_secret == SECRET
    assert len(world.paid()) == 1


def test_a_voucher_spent_elsewhere_is_said(world, start):
    """A copy of the wallet spent it: nothing is opened, and nobody is blamed."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=100)
    (made,) = world.prepared.values()
    other = attrs.evolve(made, message=b"\x99" * 32)
    world.submitted.append(Landed(other, world.clock.seconds()))
    with pytest.raises(errors.SpentElsewhere):
        drive(node, node.buy())


# The chain


def test_a1_a_reorganisation_before_finality_sends_the_same_payment_again(world, start):
    """Nothing is asked for before the block is final, and nothing is lost."""
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=25)
    assert of(InBlock, node)
    assert not world.asked
    world.reorganised_at = world.clock.seconds()
    bought = drive(node, node.buy())
    assert of(Reorganised, node)
    assert bought.link.content_secret == SECRET
    first, again = world.submitted
    assert again.prepared == first.prepared
    assert again.at - world.reorganised_at < 60  # at once, not after the patience for a relay
    assert len(world.paid()) == 1


def test_without_tor_nothing_is_lost(world, start):
    """Key holders, relays and DHT cannot be reached for a while, whatever the moment."""
    node = start()
    down = []  # True as long as there is no tor

    class Relays:
        """Those of the world, through a tor that may be down."""

        async def find(self, fee_limit, isolation):
            """See `Relays`."""
            if any(down):
                raise TorUnavailable
            return await node.tools.relays.find(fee_limit, isolation)

        async def submit(self, *what):
            """See `Relays`."""
            if not down:
                down.append(True)
                world.clock.callLater(100, down.__setitem__, 0, False)
                raise TorUnavailable
            await node.tools.relays.submit(*what)

    first = node.tools
    node.change(relays=Relays())
    node.tools = first

    assert drive(node, node.buy()).link.content_secret == SECRET
    assert down == [False]
    assert world.clock.seconds() - NOW < 300  # as soon as tor is back
    assert len(world.paid()) == 1


def test_a_chain_that_does_not_answer_is_waited_for(world, start):
    """The purchase goes on by itself."""
    world.chain_down = True
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=300)
    world.chain_down = False
    assert drive(node, node.buy()).link.content_secret == SECRET
    assert len(world.paid()) == 1


# Key holders


@pytest.mark.parametrize("does", ["dead", "slow", "lies"])
def test_a1_m_minus_t_bad_holders_do_no_harm(world, start, does):
    """Any two of four are enough, and a liar is named."""
    world.holders = {1: does, 3: does}
    node = start()
    bought = drive(node, node.buy())
    assert bought.link.content_secret == SECRET
    liars = {event.index for event in of(HolderLied, node)}
    assert liars <= ({1, 3} if does == "lies" else set())
    keys = [world.signed.offer.holders[index - 1].onion_key for index in liars]
    assert sorted(bought.liars) == sorted(keys)


def test_every_liar_asked_is_named_and_never_asked_again(world, start):
    """All four are asked if both liars come first; whoever lied is known after a restart, too."""
    world.holders = {1: "lies", 2: "lies", 3: "dead", 4: "honest"}
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=600)
    assert {event.index for event in of(HolderLied, node)} == {1, 2}
    node = start()
    world.holders[3] = "honest"
    world.asked.clear()
    bought = drive(node, node.buy())
    assert len(bought.liars) == 2
    assert not {1, 2} & set(world.asked)
    assert 4 not in world.asked  # its share is in the journal


def test_a_slow_holder_costs_seconds(tmp_path):
    """Another one is asked besides, before the slow one's time is up."""
    world = World.of(1, 2)
    world.holders = {1: "slow"}
    for number in range(6):  # so that the slow one is drawn first at least once, nearly always
        world.vouchers = [1]
        world.reserved.clear()
        world.prepared.clear()
        world.submitted.clear()
        node = Node(world, tmp_path / f"{number}.db")
        begun = world.clock.seconds()
        drive(node, node.buy())
        assert world.clock.seconds() - begun < 120 + SLOW_SECONDS
        node.die()


def test_a1_key_withheld_dead_holders_are_asked_until_they_come_back(world, start):
    """With fewer than t alive the purchase waits; it is paid, and a receipt does not age."""
    world.holders = {1: "dead", 2: "dead", 3: "dead"}
    node = start()
    work = node.buy()
    with pytest.raises(TooLong):
        drive(node, work, limit=40 * DAY)
    world.holders = {}
    assert drive(node, node.buy()).link.content_secret == SECRET


def test_a_holder_that_asks_for_a_moment_gets_it(world, start):
    """It has seen the receipt; to ask another one would only tell more nodes what was bought."""
    node = start()
    told = []

    class Behind:
        """Holders whose index is a little behind."""

        async def ask(self, signed, index, receipt, receipt_seed):
            """See `KeyHolders`."""
            if index not in told:
                told.append(index)
                raise errors.KeyHolderFault("Not final here.", retry_after=30)
            return await holders.ask(signed, index, receipt, receipt_seed)

    holders = node.tools.holders
    node.change(holders=Behind())
    drive(node, node.buy())
    assert len(told) == 2


def test_a_holder_that_always_asks_for_a_moment_is_replaced(world, start):
    """Once is enough."""
    node = start()

    class Putting:
        """Two holders that put the buyer off for ever."""

        async def ask(self, signed, index, receipt, receipt_seed):
            """See `KeyHolders`."""
            if index in (1, 2):
                raise errors.KeyHolderFault("Later.", retry_after=30)
            return await holders.ask(signed, index, receipt, receipt_seed)

    holders = node.tools.holders
    node.change(holders=Putting())
    drive(node, node.buy())
    assert world.clock.seconds() - NOW < 300


def test_a_publisher_whose_key_is_rubbish_is_found_out(tmp_path):
    """The shares are as committed and make another key: it is said, and the receipt is kept."""
    world = World.of(secret_commitment=b"\x31" * 32)
    node = Node(world, tmp_path / "purchases.db")
    with pytest.raises(errors.PublisherCheated):
        drive(node, node.buy())
    made = drive(node, node.purchases.complaint(world.content_id, "It does not open."))
    shown = CheckedComplaint.parse(made)
    assert shown.fraud
    assert shown.signed.hash == world.signed.hash
    assert shown.receipt.message(CHAIN_ID, VOUCHERS) == world.paid()[0].message
    assert drive(node, node.purchases.library()) == []
    assert [each.price for each in drive(node, node.purchases.in_vain())] == [PRICE]
    node.die()


def test_a_w_that_is_not_the_contents_is_found_out(world, start):
    """It opens with the key, and yet the manifest commits to another."""
    world.whitening = b"\x41" * 16
    node = start()
    with pytest.raises(errors.PublisherCheated):
        drive(node, node.buy())


def test_whoever_bought_can_complain_and_gives_no_key_away(world, start):
    """About what they think of it; shares that open the content are not in it."""
    node = start()
    with pytest.raises(errors.NotPaid):
        drive(node, node.purchases.complaint(world.content_id, ""))
    drive(node, node.buy())
    made = drive(node, node.purchases.complaint(world.content_id, "Dull."))
    assert CheckedComplaint.parse(made).complaint.text == "Dull."
    assert not any(share in made for share in world.shares)


# The buyer


def test_cancelled_before_it_is_sent(world, start):
    """The buyer thinks again: nothing was sent, so nothing was lost."""
    node = start()

    async def think(_terms):
        cancelled.append(Deferred.fromCoroutine(node.purchases.cancel(world.content_id)))
        await pause(world.clock, 1.0)
        return True

    cancelled = []
    node.confirm = think
    with pytest.raises(errors.Cancelled):
        drive(node, node.buy())
    assert cancelled[0].result is None
    assert not world.submitted
    assert not world.reserved
    with pytest.raises(errors.UnknownPurchase):
        drive(node, node.purchases.cancel(world.content_id))


def test_cancelled_after_a_restart_without_the_password(world, start):
    """What waits for the buyer's password can be given up without it."""
    node = start()

    async def fails(*_args, **_kwargs):
        raise errors.PurchaseError

    node.change(proofs=Proving(fails))
    with pytest.raises(errors.PurchaseError):
        drive(node, node.buy())
    assert world.reserved
    node = start()
    drive(node, node.purchases.take_up())
    drive(node, node.purchases.cancel(world.content_id))
    assert not world.reserved
    assert drive(node, node.purchases.under_way()) == []


def test_not_cancelled_while_the_sending_is_written_down(world, start):
    """The disk is slow, and the payment goes on: who cancels just then is told so."""
    node, told = start(), []

    async def cancel():
        with pytest.raises(errors.TooLateToCancel):
            await node.purchases.cancel(world.content_id)
        told.append(True)

    async def slow(call):
        found = call()
        facts = [fact for name in node.journal.purchases() for fact in node.journal.facts(name)]
        if facts and isinstance(facts[-1], Sent) and not told:
            told.append(False)
            Deferred.fromCoroutine(cancel())
            await pause(world.clock, 1.0)
        return found

    node.change(run=slow)
    drive(node, node.buy())
    idle(node, 1)
    assert told == [False, True]


def test_cancelled_while_it_is_proved(world, start):
    """The proof stays here; the voucher is kept until no proof of it can land."""
    node = start()
    buying = Deferred.fromCoroutine(node.buy())
    buying.addErrback(lambda failure: failure.trap(errors.Cancelled))
    world.clock.advance(0)
    idle(node, 0.5)
    assert world.reserved
    drive(node, node.purchases.cancel(world.content_id))
    assert not world.submitted
    idle(node, 2 * DAY)
    assert not world.reserved


def test_not_cancelled_after_it_was_sent(world, start):
    """What a relay has may land, so that would be a lie."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=100)
    with pytest.raises(errors.TooLateToCancel):
        drive(node, node.purchases.cancel(world.content_id))


def test_it_goes_on_when_the_buyer_goes_away(world, start):
    """Whoever closes the terminal finds the content in the library."""
    node = start()
    waiting = Deferred.fromCoroutine(node.buy())
    waiting.addErrback(lambda _failure: None)
    world.clock.advance(0)
    idle(node, 5)
    waiting.cancel()
    idle(node, 300)
    (bought,) = drive(node, node.purchases.library())
    assert bought.link.content_secret == SECRET


def test_taken_up_without_a_password_it_waits_for_the_buyer(world, start):
    """Reserved and not proved: nobody but the buyer can go on, and in time it is given back."""
    node = start()

    async def fails(*_args, **_kwargs):
        raise errors.PurchaseError

    node.change(proofs=Proving(fails))
    with pytest.raises(errors.PurchaseError):
        drive(node, node.buy())
    node = start()
    assert drive(node, node.purchases.take_up()) == 1
    assert world.reserved
    assert not world.submitted
    world.clock.advance(DAY)
    drive(node, node.purchases.take_up())
    idle(node, 1)
    assert not world.reserved


def test_an_offer_without_a_record_any_more_is_still_honoured(world, start):
    """The DHT may forget; what the publisher signed stands."""
    node = start()

    async def think(_terms):
        world.records.clear()
        return True

    node.confirm = think
    assert drive(node, node.buy()).link.content_secret == SECRET


# M1


def test_m1_no_secret_in_logs_events_or_reprs(world, start, caplog, tmp_path):
    """Whatever is printed of a purchase shows no key, no link, no password and no receipt."""
    caplog.set_level(logging.DEBUG)
    node = start()
    bought = drive(node, node.buy())
    (name,) = node.journal.purchases()
    facts = node.journal.facts(name)
    reserved = next(fact for fact in facts if isinstance(fact, Reserved))
    printed = "".join(
        [
            repr(facts),
            repr(node.events),
            repr(bought),
            repr(node.consent()),
            caplog.text,
        ]
    )
    canaries = [SECRET, WHITENING, reserved.ephemeral, reserved.receipt_seed, reserved.salt]
    for canary in (*canaries, *world.shares):
        assert canary.hex() not in printed
        assert repr(canary)[2:-1] not in printed
    assert PASSWORD not in printed
    assert bought.link.text not in printed


def test_m1_the_file_shows_nothing(world, start, tmp_path):
    """Without its key the journal names neither content, offer, voucher nor any secret."""
    node = start()
    drive(node, node.buy())
    (name,) = node.journal.purchases()
    reserved = next(fact for fact in node.journal.facts(name) if isinstance(fact, Reserved))
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    canaries = [SECRET, WHITENING, CONTENT, reserved.ephemeral, reserved.receipt_seed]
    canaries += [world.signed.data, world.signed.hash, nullifier(0).to_bytes(32, "big"), KEY]
    for canary in (*canaries, *world.shares, reserved.ticket.encode(), PASSWORD.encode()):
        assert canary not in raw
    assert (tmp_path / "purchases.db").stat().st_mode & 0o777 == 0o600


def test_the_journal_of_another_key_says_so(world, start, tmp_path):
    """A restored home whose key is missing is not an empty library."""
    node = start()
    drive(node, node.buy())
    (name,) = node.journal.purchases()
    other = PurchaseJournal(tmp_path / "purchases.db", bytes(32), CHAIN_ID)
    with pytest.raises(errors.JournalSealed):
        other.facts(name)
    other.close()


def test_facts_of_a_real_purchase_are_in_order(world, start):
    """That it is about to be sent is noted before it is sent, and so on."""
    node = start()
    drive(node, node.buy())
    (name,) = node.journal.purchases()
    kinds = [type(fact).__name__ for fact in node.journal.facts(name)]
    assert kinds == [
        "Quoted",
        "Reserved",
        "Proved",
        "Sent",
        "Seen",
        "Settled",
        "ShareCame",
        "ShareCame",
        "Opened",
    ]
    sent = next(fact for fact in node.journal.facts(name) if isinstance(fact, Sent))
    assert sent.relay == b"\x21" * 32


def test_who_cannot_be_told_any_more_stops_nothing(world, start):
    """The terminal that showed the progress broke."""
    node = start()

    def broken(event):
        if isinstance(event, Terms):
            raise OSError

    consent = node.consent()
    assert drive(node, node.purchases.buy(world.content_id, consent, broken)).price == PRICE


def test_the_dht_and_the_relays_are_asked_on_different_circuits(world, start):
    """One node may be both, and would else know what the payment was for."""
    node = start()
    drive(node, node.buy())
    assert node.isolations["records"]
    assert node.isolations["relays"]
    assert not node.isolations["records"] & node.isolations["relays"]


def test_a_purchase_is_started_once_however_often_it_is_taken_up(world, start):
    """Two runs of one purchase would write over each other."""
    world.relays = {b"\x21" * 32: "idle"}
    node = start()
    with pytest.raises(TooLong):
        drive(node, node.buy(), limit=30)
    node = start()
    world.relays[b"\x21" * 32] = "honest"

    async def all_at_once():
        work = [node.purchases.take_up(), node.buy(), node.purchases.take_up(), node.buy()]
        return await gatherResults([Deferred.fromCoroutine(each) for each in work])

    _count, first, _again, second = drive(node, all_at_once())
    assert first == second
    kinds = [type(fact).__name__ for fact in node.journal.facts(first.name)]
    assert kinds.count("Opened") == kinds.count("Settled") == 1
    assert len(world.submitted) == 1
