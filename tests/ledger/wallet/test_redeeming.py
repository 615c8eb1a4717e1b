"""Spending vouchers: proved once, redeemed once, explained when it is refused."""

import csv
import io
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from bitsnode.ledger.redeem import WrongProof
from bitsnode.ledger.redemption import Redemption
from bitsnode.ledger.refusals import RedemptionExpired, RedemptionFeeTooHigh, VoucherSpent
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.voucher_events import GroupOpened
from bitsnode.ledger.wallet.earnings import CSV_HEADER, divide
from bitsnode.ledger.wallet.errors import (
    SelfRelayLinks,
    TicketUnknown,
    VoucherHandedOut,
    WrongPassword,
)
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.ledger.wallet.voucher_testing import SHARES, TABLE, FakeProver, VoucherChain
from bitsnode.ledger.wallet.voucher_values import Kit, Ticket, VoucherState
from bitsnode.ledger.wallet.vouchers import RELEASE_SECONDS, Vouchers
from zk.circuit import Witness
from zk.proof import SemaphoreProof
from zk.stealth import MetaAddress, generate

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"
Do = Callable[[Any], Any]


@attrs.frozen
class Home:
    """A wallet that can spend."""

    chain: VoucherChain
    wallet: Wallet
    trees: Trees
    vouchers: Vouchers
    redeeming: Redeeming
    prover: FakeProver
    clock: Clock


def open_home(folder: Path, chain: VoucherChain) -> Home:
    """Open the wallet of a folder."""
    clock, prover = Clock(), FakeProver()
    clock.advance(1_800_000_000)
    wallet = Wallet(folder / "wallet", chain, at_once, CHEAP)
    trees = Trees(folder / "trees.db", chain.deployment, chain, 1)
    vouchers = wallet.vouchers(trees, clock)
    redeeming = wallet.redeeming(vouchers, prover, clock)
    return Home(chain, wallet, trees, vouchers, redeeming, prover, clock)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[VoucherChain]:
    """A chain with three denominations."""
    chain = VoucherChain(tmp_path / "chain.sqlite")
    yield chain
    chain.close()


@pytest.fixture
def open_one(tmp_path: Path, chain: VoucherChain, do: Do) -> Iterator[Callable[[str], Home]]:
    """Open the wallet of a name; it is made when it is not there."""
    opened = []

    def open_named(name: str) -> Home:
        found = open_home(tmp_path / name, chain)
        opened.append(found)
        if not found.wallet.exists:
            do(found.wallet.create(PASSWORD))
            chain.give(do(found.wallet.addresses()).accounts[0], ETHER)
        return found

    yield open_named
    for each in opened:
        each.wallet.close()
        each.trees.close()


@pytest.fixture
def home(open_one: Callable[[str], Home], do: Do) -> Home:
    """A buyer with a voucher of each denomination, and others around."""
    found = open_one("buyer")
    for row in range(3):
        found.chain.deposit(row, 1000 + row)
    do(found.vouchers.top_up(Kit((0, 1, 2), sum(TABLE)), password=PASSWORD))
    return found


def redemption_to(creator: Home, do: Do, **change: Any) -> Redemption:
    """A payment to a creator's fresh stealth address."""
    meta = MetaAddress.parse(do(creator.wallet.addresses()).meta_address)
    payment = generate(meta, secrets.token_bytes(32))
    found = Redemption(
        bytes.fromhex(payment.stealth_address[2:]),
        payment.ephemeral_public_key,
        payment.view_tag,
        b"\x07" * 32,
        b"\x5e" * 20,
        TABLE[2] // 100,
        1_800_000_000 + 3600,
    )
    return attrs.evolve(found, **change)


def reserve(home: Home, do: Do, purpose: str = "a purchase") -> Ticket:
    """Take the voucher of the largest denomination."""
    ticket = do(home.vouchers.reserve(2, purpose))
    assert isinstance(ticket, Ticket)
    return ticket


def test_a_purchase_pays_the_creator_and_spends_the_voucher(
    home: Home, open_one: Callable[[str], Home], do: Do
) -> None:
    """Proved, sent, split to the last wei, and found by the creator as an earning."""
    creator = open_one("creator")
    ticket = reserve(home, do)
    redemption = redemption_to(creator, do)
    prepared = do(home.redeeming.prepare(ticket, redemption, password=PASSWORD))
    assert prepared.message == do(home.redeeming.message(ticket, redemption))
    done = do(home.redeeming.submit(prepared, password=PASSWORD, accept=["link"]))
    assert done.message == prepared.message
    (voucher,) = [each for each in do(home.vouchers.all()) if each.index == ticket.index]
    assert (voucher.state, voucher.message) == (VoucherState.SPENT, prepared.message)
    assert home.chain.wei("0x" + "5e" * 20) == redemption.fee

    (earning,) = do(creator.wallet.earnings(creator.vouchers))
    net = TABLE[2] - redemption.fee
    assert earning.split.net == net - net * 3 // 100 - net * 2 // 100
    assert home.chain.wei(earning.address) == earning.split.net
    assert (earning.tag, earning.message) == (redemption.tag, prepared.message)
    sheet = io.StringIO()
    csv.writer(sheet).writerows([CSV_HEADER, earning.csv_row()])
    (row,) = csv.DictReader(io.StringIO(sheet.getvalue()))
    assert int(row["net_wei"]) == earning.split.net
    assert row["address"] == earning.address
    assert do(home.wallet.earnings(home.vouchers)) == []


def test_a_proof_is_made_once_and_survives_a_restart(
    home: Home, open_one: Callable[[str], Home], do: Do
) -> None:
    """The same redemption is never proved twice, and its proof needs no password again."""
    ticket, redemption = reserve(home, do), redemption_to(home, do)
    made = do(home.redeeming.prepare(ticket, redemption, password=PASSWORD))
    again = open_one("buyer")
    assert do(again.redeeming.prepared(made.message)) == made
    assert do(again.redeeming.prepare(ticket, redemption, password="not asked")) == made
    assert len(home.prover.asked) == 1
    assert again.prover.asked == []
    other = attrs.evolve(redemption, fee=0)
    assert do(again.redeeming.prepare(ticket, other, password=PASSWORD)).message != made.message


def test_a_voucher_that_was_handed_out_is_not_free_before_its_deadline(home: Home, do: Do) -> None:
    """Whoever has the proof may redeem it until then."""
    ticket = reserve(home, do)
    redemption = redemption_to(home, do)
    do(home.redeeming.prepare(ticket, redemption, password=PASSWORD))
    with pytest.raises(VoucherHandedOut):
        do(home.vouchers.release(ticket))
    home.clock.advance(3600 + RELEASE_SECONDS)
    with pytest.raises(VoucherHandedOut):
        do(home.vouchers.release(ticket))
    home.clock.advance(1)
    do(home.vouchers.release(ticket))
    assert reserve(home, do, "another").index == ticket.index


def test_a_ticket_that_was_released_spends_nothing(home: Home, do: Do) -> None:
    """Who was slow has no voucher any more, and no proof."""
    ticket = reserve(home, do)
    do(home.vouchers.release(ticket))
    with pytest.raises(TicketUnknown):
        do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))
    assert not home.vouchers.store.add_prepared(bytes(32), ticket.name, b"", 0)


def test_what_the_contract_would_refuse_is_not_proved(home: Home, do: Do) -> None:
    """A fee above a tenth, a deadline that passed, a wrong password: no proof is made."""
    ticket = reserve(home, do)
    wrong = [
        (RedemptionFeeTooHigh, {"fee": TABLE[2] // 10 + 1}, PASSWORD),
        (RedemptionExpired, {"deadline": 1_800_000_000}, PASSWORD),
        (WrongPassword, {}, "wrong horse"),
    ]
    for error, change, password in wrong:
        redemption = redemption_to(home, do, **change)
        with pytest.raises(error):
            do(home.redeeming.prepare(ticket, redemption, password=password))
    assert home.prover.asked == []


def test_a1_the_same_voucher_twice_is_refused_and_explained(
    home: Home, open_one: Callable[[str], Home], do: Do
) -> None:
    """Two payments with one voucher: the second is refused on the chain, in one sentence."""
    ticket = reserve(home, do)
    first = do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))
    second = do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))
    do(home.redeeming.submit(first, password=PASSWORD, accept=["link"]))
    with pytest.raises(VoucherSpent, match="spent already"):
        do(home.redeeming.submit(second, password=PASSWORD, accept=["link"]))
    with pytest.raises(VoucherSpent):
        do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))


def test_what_a_relay_has_submitted_before_is_no_failure(home: Home, do: Do) -> None:
    """The payment is what counts, not who sent it."""
    ticket = reserve(home, do)
    prepared = do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))
    home.chain._carry_out(prepared.data, "0x" + "44" * 20)
    done = do(home.redeeming.submit(prepared, password=PASSWORD, accept=["link"]))
    assert done.transaction_hash is None


def test_a3_an_own_account_sends_only_if_that_is_accepted(home: Home, do: Do) -> None:
    """The account that bought vouchers would show who spends one."""
    ticket = reserve(home, do)
    prepared = do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))
    with pytest.raises(SelfRelayLinks):
        do(home.redeeming.submit(prepared, password=PASSWORD))


def test_a_prover_that_proves_something_else_is_not_believed(home: Home, do: Do) -> None:
    """Nothing of a proof for another message is handed out."""

    async def wrong(witness: Witness) -> SemaphoreProof:
        return attrs.evolve(witness, message=witness.message ^ 1).proves(tuple(range(8)))

    home.prover.prove = wrong  # type: ignore[method-assign]
    ticket = reserve(home, do)
    with pytest.raises(WrongProof):
        do(home.redeeming.prepare(ticket, redemption_to(home, do), password=PASSWORD))
    do(home.vouchers.release(ticket))


def test_cashing_out_says_its_cost_and_pays_a_fresh_own_address(home: Home, do: Do) -> None:
    """What arrives is what was said, at an address that the wallet finds."""
    ticket = reserve(home, do, "cash-out")
    cost = do(home.redeeming.cash_out_cost(ticket))
    assert cost.split.gross == TABLE[2]
    assert cost.split.net == TABLE[2] - TABLE[2] * 3 // 100 - TABLE[2] * 2 // 100
    assert cost.gas > 0
    assert "shows that somebody" in cost.reveals
    redemption = do(home.redeeming.own_redemption())
    prepared = do(home.redeeming.prepare(ticket, redemption, password=PASSWORD))
    do(home.redeeming.submit(prepared, password=PASSWORD, accept=["link"]))
    (held,) = do(home.wallet.balance()).payments
    assert held.balance == cost.split.net
    assert bytes.fromhex(held.address[2:]) == redemption.payee


def test_vouchers_of_different_shares_are_weighted_by_their_amounts() -> None:
    """As the contract does it: rounded down for treasury and pool, the rest is the payee's."""
    old, new = GroupOpened(0, 0, 300, 200), GroupOpened(1, 7, 400, 100)
    split = divide(7, [(1000, old), (2000, new)])
    net = 3000 - 7
    assert split.treasury == (1000 * 300 + 2000 * 400) * net // (3000 * 10_000)
    assert split.pool == (1000 * 200 + 2000 * 100) * net // (3000 * 10_000)
    assert split.net + split.treasury + split.pool + split.fee == 3000
    assert divide(0, [(TABLE[0], GroupOpened(0, 0, *SHARES))]).net == TABLE[0] * 95 // 100
