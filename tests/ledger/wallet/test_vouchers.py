"""Vouchers of a wallet: bought once, found again from the seed alone, given out one at a time."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from bitsnode.ledger.errors import InsufficientFunds
from bitsnode.ledger.refusals import CommitmentCopied
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet import schema
from bitsnode.ledger.wallet.errors import (
    NoVoucher,
    TicketUnknown,
    TopUpTooSmall,
    UnknownDenomination,
    VoucherTooYoung,
    WrongPassword,
)
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import CHAIN_ID, ETHER, at_once
from bitsnode.ledger.wallet.voucher_testing import TABLE, VoucherChain
from bitsnode.ledger.wallet.voucher_values import Deposit, Kit, VoucherState, kits, suggest
from bitsnode.ledger.wallet.vouchers import SKIPPED, Vouchers

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"
WORDS = "test test test test test test test test test test test junk"
Do = Callable[[Any], Any]


@attrs.frozen
class Home:
    """A wallet with its trees on a chain."""

    chain: VoucherChain
    wallet: Wallet
    trees: Trees
    vouchers: Vouchers
    clock: Clock

    def close(self) -> None:
        """Close the files."""
        self.wallet.close()
        self.trees.close()


def open_home(folder: Path, chain: VoucherChain, epoch_blocks: int = 1) -> Home:
    """Open the wallet of a folder."""
    clock = Clock()
    clock.advance(1_800_000_000)
    wallet = Wallet(folder / "wallet", chain, at_once, CHEAP)
    trees = Trees(folder / "trees.db", chain.deployment, chain, epoch_blocks)
    return Home(chain, wallet, trees, wallet.vouchers(trees, clock), clock)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[VoucherChain]:
    """A chain with three denominations."""
    chain = VoucherChain(tmp_path / "chain.sqlite")
    yield chain
    chain.close()


@pytest.fixture
def home(tmp_path: Path, chain: VoucherChain, do: Do) -> Iterator[Home]:
    """A wallet with ten coins."""
    found = open_home(tmp_path / "home", chain)
    do(found.wallet.restore(WORDS, PASSWORD))
    chain.give(do(found.wallet.addresses()).accounts[0], 10 * ETHER)
    yield found
    found.close()


def buy(do: Do, home: Home, *denominations: int) -> None:
    """Top up."""
    kit = Kit(denominations, sum(TABLE[row] for row in denominations))
    do(home.vouchers.top_up(kit, password=PASSWORD))


# Kits


def test_a_kit_is_two_two_one_of_each_decade() -> None:
    """All wallets suggest the same sets, whose sums are round."""
    table = [1, 2, 5, 10, 20, 50, 100]
    assert [(kit.denominations, kit.amount) for kit in kits(table)] == [
        ((0, 0, 1, 1, 2), 11),
        ((3, 3, 4, 4, 5), 110),
        ((6, 6), 200),
    ]
    assert all(kit.standard for kit in kits(table))
    assert suggest(table, 109).denominations == (0, 0, 1, 1, 2) * 9
    assert suggest(table, 250).amount == 200
    assert suggest([1, 2, 5], 10**9).amount == 110  # no more than ten at once
    with pytest.raises(TopUpTooSmall):
        suggest(table, 10)


# Buying


def test_a_top_up_buys_each_voucher_with_the_exact_sum(home: Home, do: Do) -> None:
    """All of a kit is in its groups, final, and free to be spent."""
    kit = do(home.vouchers.suggest(TABLE[0] * 2 + TABLE[1] * 2 + TABLE[2]))
    assert kit.standard
    bought = do(home.vouchers.top_up(kit, password=PASSWORD))
    assert [voucher.denomination for voucher in bought] == [0, 0, 1, 1, 2]
    assert [voucher.amount for voucher in bought] == [TABLE[row] for row in (0, 0, 1, 1, 2)]
    assert {voucher.state for voucher in bought} == {VoucherState.CONFIRMED}
    assert all(voucher.spendable for voucher in bought)
    assert [len(home.chain.commitments(row)) for row in range(3)] == [2, 2, 1]
    assert do(home.vouchers.all()) == bought
    assert home.chain.wei(home.vouchers.contract) == kit.amount


def test_secrets_differ_by_index_chain_and_contract() -> None:
    """No two vouchers share a secret, and the seed alone gives each again."""
    keys = Keys.from_entropy(entropy_of(WORDS))
    contracts = ("0x" + "01" * 20, "0x" + "02" * 20)
    found = {
        keys.vouchers(chain_id, contract).secret(index)
        for chain_id in (1, 2)
        for contract in contracts
        for index in (0, 1, 255, 256)
    }
    assert len(found) == 16
    again = Keys.from_entropy(entropy_of(WORDS)).vouchers(1, contracts[0])
    assert again.secret(0) in found


def test_indices_are_used_once_over_all_denominations(home: Home, do: Do) -> None:
    """Each deposit has the next index, whatever its denomination."""
    buy(do, home, 0, 1)
    buy(do, home, 2, 0)
    assert [voucher.index for voucher in do(home.vouchers.all())] == [0, 1, 2, 3]
    leaves = [leaf for row in range(3) for leaf in home.chain.commitments(row)]
    assert len(set(leaves)) == 4


def test_a_wrong_password_or_denomination_uses_no_index(home: Home, do: Do) -> None:
    """What is refused leaves nothing behind."""
    with pytest.raises(WrongPassword):
        do(home.vouchers.top_up(Kit((0,), TABLE[0]), password="wrong horse"))
    with pytest.raises(UnknownDenomination):
        do(home.vouchers.top_up(Kit((3,), 1), password=PASSWORD))
    assert do(home.vouchers.all()) == []


def test_a_top_up_that_is_too_dear_sends_nothing(home: Home, chain: VoucherChain, do: Do) -> None:
    """Half a set would mark its buyer, so all is paid for or nothing."""
    account = do(home.wallet.addresses()).accounts[0]
    chain.give(account, TABLE[0] * 3 - chain.wei(account))
    with pytest.raises(InsufficientFunds):
        buy(do, home, 0, 0, 0)
    assert chain.signed() == []
    assert {voucher.state for voucher in do(home.vouchers.all())} == {VoucherState.FAILED}


@pytest.mark.parametrize("step", ["ask", "journal", "send", "wait"])
def test_a_crash_never_uses_an_index_twice(
    home: Home, chain: VoucherChain, tmp_path: Path, do: Do, step: str
) -> None:
    """Stopped at any step of a deposit, it is brought to its end or given up, never repeated."""

    class Crashed(BaseException):
        """As if the process had ended."""

    def crash(at: str) -> None:
        if at == step:
            raise Crashed

    chain.stop = crash
    with pytest.raises(Crashed):
        buy(do, home, 0, 0)
    chain.stop = lambda _step: None
    home.close()
    again = open_home(tmp_path / "home", chain)
    do(again.vouchers.finish())
    signed = step in ("send", "wait")
    first, second = do(again.vouchers.all())
    assert (first.state is VoucherState.CONFIRMED) is signed
    assert second.state is VoucherState.FAILED
    buy(do, again, 0)
    assert [voucher.index for voucher in do(again.vouchers.all())] == [0, 1, 2]
    assert len(chain.commitments(0)) == len(set(chain.commitments(0))) == 1 + signed
    again.close()


def test_a1_a_copied_commitment_reads_clearly_and_is_ours_to_spend(
    home: Home, chain: VoucherChain, do: Do
) -> None:
    """Somebody pays for our commitment before us: we pay nothing, and own the voucher."""
    keys = Keys.from_entropy(entropy_of(WORDS)).vouchers(CHAIN_ID, home.vouchers.contract)
    copied = keys.identity(0).commitment

    def copy(step: str) -> None:
        if step == "ask":
            chain.stop = lambda _step: None
            chain.deposit(1, copied)

    # the copier sees ours on its way, which is after it was asked for and before it is mined
    chain.stop = copy
    with pytest.raises(CommitmentCopied, match="yours to spend"):
        buy(do, home, 1, 0)
    ours, other = do(home.vouchers.all())
    assert (ours.state, other.state) == (VoucherState.CONFIRMED, VoucherState.CONFIRMED)
    assert ours.spendable
    assert do(home.vouchers.reserve(1, "a purchase")).index == 0


def test_a_copy_in_a_cheaper_group_does_not_take_the_place_of_ours(
    home: Home, chain: VoucherChain, do: Do
) -> None:
    """The group that was meant counts."""
    buy(do, home, 2)
    (leaf,) = chain.commitments(2)
    chain.deposit(0, leaf)
    (voucher,) = do(home.vouchers.all())
    assert (voucher.denomination, voucher.group) == (2, 2)


# Listing


def test_the_list_shows_crowd_and_age_before_spending(
    home: Home, chain: VoucherChain, do: Do
) -> None:
    """Others in the group hide a voucher; how many came later is said."""
    chain.deposit(0, 111)
    buy(do, home, 0)
    for leaf in (222, 333):
        chain.deposit(0, leaf)
    (voucher,) = do(home.vouchers.all())
    assert voucher.crowd is not None
    assert (voucher.crowd.unspent, voucher.crowd.later, voucher.crowd.size) == (3, 2, 4)
    assert voucher.age == 2
    assert voucher.bought_at == home.clock.seconds()


def test_a_voucher_is_deposited_before_it_is_final(home: Home, chain: VoucherChain, do: Do) -> None:
    """Until then it cannot be given out, and the wallet says why."""
    chain.unconfirmed = 1
    buy(do, home, 0)
    (voucher,) = do(home.vouchers.all())
    assert (voucher.state, voucher.spendable) == (VoucherState.DEPOSITED, False)
    with pytest.raises(VoucherTooYoung):
        do(home.vouchers.reserve(0, "a purchase"))
    chain.unconfirmed = 0
    assert do(home.vouchers.reserve(0, "a purchase")).index == 0


def test_a_voucher_waits_for_the_next_epoch(tmp_path: Path, chain: VoucherChain, do: Do) -> None:
    """It is confirmed, but the root that all wallets prove with is older."""
    home = open_home(tmp_path / "home", chain, epoch_blocks=10)
    do(home.wallet.restore(WORDS, PASSWORD))
    chain.give(do(home.wallet.addresses()).accounts[0], ETHER)
    buy(do, home, 0)
    (voucher,) = do(home.vouchers.all())
    assert (voucher.state, voucher.spendable) == (VoucherState.CONFIRMED, False)
    with pytest.raises(VoucherTooYoung):
        do(home.vouchers.reserve(0, "a purchase"))
    for leaf in range(1, 11):
        chain.deposit(1, leaf)
    assert do(home.vouchers.reserve(0, "a purchase")).index == 0
    home.close()


# Finding


def test_a_restored_wallet_finds_all_of_its_vouchers(
    home: Home, chain: VoucherChain, tmp_path: Path, do: Do
) -> None:
    """From the words alone, and its next voucher has an index that was never used."""
    buy(do, home, 0, 1, 2)
    other = open_home(tmp_path / "other", chain)
    do(other.wallet.restore(WORDS, PASSWORD))
    assert do(other.vouchers.all()) == []
    assert do(other.vouchers.find(PASSWORD)) == 3
    assert do(other.vouchers.find(PASSWORD)) == 0
    found = do(other.vouchers.all())
    assert [(each.index, each.denomination) for each in found] == [(0, 0), (1, 1), (2, 2)]
    assert {each.state for each in found} == {VoucherState.CONFIRMED}
    buy(do, other, 0)
    assert do(other.vouchers.all())[-1].index == 3 + SKIPPED
    other.close()


def test_a_top_up_searches_first(home: Home, chain: VoucherChain, tmp_path: Path, do: Do) -> None:
    """A wallet that was restored and never searched does not use an index twice."""
    buy(do, home, 0, 0)
    other = open_home(tmp_path / "other", chain)
    do(other.wallet.restore(WORDS, PASSWORD))
    buy(do, other, 1)
    assert not set(chain.commitments(0)) & set(chain.commitments(1))
    assert len(do(other.vouchers.all())) == 3
    other.close()


# Giving out


def test_a1_two_purchases_never_get_one_voucher(home: Home, do: Do) -> None:
    """Of two that ask at the same time for the last one, one is refused."""
    buy(do, home, 0)
    first = do(home.vouchers.reserve(0, "first"))
    with pytest.raises(NoVoucher):
        do(home.vouchers.reserve(0, "second"))
    assert do(home.vouchers.reserve(0, "first")) == first
    (voucher,) = do(home.vouchers.all())
    assert (voucher.state, voucher.purpose) == (VoucherState.RESERVED, "first")
    # and at the very same moment, on the disk
    assert not home.vouchers.store.reserve(0, "ff" * 16, "third")


def test_a_reservation_outlives_a_restart(
    home: Home, chain: VoucherChain, tmp_path: Path, do: Do
) -> None:
    """The same purpose gets the same ticket, also when it forgot that it had one."""
    buy(do, home, 0, 0)
    ticket = do(home.vouchers.reserve(0, "a purchase"))
    home.close()
    again = open_home(tmp_path / "home", chain)
    assert do(again.vouchers.reserve(0, "a purchase")) == ticket
    assert do(again.vouchers.voucher(ticket)).state is VoucherState.RESERVED
    do(again.vouchers.release(ticket))
    with pytest.raises(TicketUnknown):
        do(again.vouchers.voucher(ticket))
    assert {each.state for each in do(again.vouchers.all())} == {VoucherState.CONFIRMED}
    again.close()


def test_which_voucher_is_given_out_is_drawn_by_lot(home: Home, do: Do) -> None:
    """No order of buying shows in the order of spending."""
    buy(do, home, *[0] * 6)
    drawn = set()
    for turn in range(60):
        ticket = do(home.vouchers.reserve(0, f"purchase {turn}"))
        drawn.add(ticket.index)
        do(home.vouchers.release(ticket))
        if len(drawn) > 3:
            break
    assert len(drawn) > 3


# The file


def test_a_history_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    """What was in it stays, and a copy of the old one is kept."""
    path = tmp_path / "history.sqlite"
    old = History(path, CHAIN_ID)
    old.add_account(0, "0x" + "11" * 20)
    old.close()
    database = sqlite3.connect(path)
    for table in ("vouchers", "prepared"):
        database.execute(f"DROP TABLE {table}")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    new = History(path, CHAIN_ID)
    assert new.accounts() == {0: "0x" + "11" * 20}
    with new.transaction() as db:
        assert db.rows("SELECT count(*) FROM vouchers") == [(0,)]
        assert db.rows("PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    new.close()
    assert path.with_name("history.sqlite.v1").exists()


def test_states_of_deposits_are_what_the_file_says() -> None:
    """The names in released files never change."""
    assert [each.value for each in Deposit] == ["planned", "done", "copied", "failed", "found"]
