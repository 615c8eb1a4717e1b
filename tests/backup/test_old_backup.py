"""A backup is older than the chain: what was used after it is not used again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.backup.making import make
from bitsnode.ledger.redemption import Redemption
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet.errors import NoVoucher
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.ledger.wallet.voucher_testing import TABLE, FakeProver, VoucherChain
from bitsnode.ledger.wallet.voucher_values import Kit, VoucherState
from bitsnode.ledger.wallet.vouchers import SKIPPED, Vouchers
from tests.backup.conftest import CHEAP, NEW_PASSWORD, NOW, PASSWORD, SEED, WORDS, bring_back

THREE = Kit((0, 0, 0), 3 * TABLE[0])


def do(coroutine: Any) -> Any:
    """Return what a coroutine that waits for nothing returns, or raise what it raises."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


@attrs.frozen
class Purse:
    """The wallet of a home."""

    wallet: Wallet
    trees: Trees
    vouchers: Vouchers
    redeeming: Redeeming
    password: str

    def close(self) -> None:
        """Close the files."""
        self.wallet.close()
        self.trees.close()

    def spend(self, purpose: str) -> int:
        """Spend a voucher, and return its index."""
        ticket = do(self.vouchers.reserve(0, purpose))
        key, tag = b"\x02" + bytes(32), purpose.encode().ljust(32, b"\0")
        redemption = Redemption(b"\x09" * 20, key, 7, tag, bytes(20), 0, NOW + 3600)
        prepared = do(self.redeeming.prepare(ticket, redemption, password=self.password))
        do(self.redeeming.submit(prepared, password=self.password, accept=["link"]))
        index: int = ticket.index
        return index

    def used(self) -> set[int]:
        """Return the indices that are known to be used."""
        return {voucher.index for voucher in do(self.vouchers.all())}


@pytest.fixture
def market(tmp_path: Path) -> Iterator[VoucherChain]:
    """A chain with groups of vouchers."""
    chain = VoucherChain(tmp_path / "market.sqlite")
    yield chain
    chain.close()


@pytest.fixture
def purse_of(market: VoucherChain) -> Iterator[Callable[..., Purse]]:
    """Open the wallet of a home."""
    opened = []

    def open_one(home: Path, password: str) -> Purse:
        clock = Clock()
        clock.advance(NOW)
        wallet = Wallet(home / "wallet", market, at_once, CHEAP)
        (home / "ledger").mkdir(exist_ok=True)
        trees = Trees(home / "ledger" / "trees.db", market.deployment, market, 1)
        vouchers = wallet.vouchers(trees, clock)
        redeeming = wallet.redeeming(vouchers, FakeProver(), clock)
        opened.append(Purse(wallet, trees, vouchers, redeeming, password))
        return opened[-1]

    yield open_one
    for purse in opened:
        purse.close()


@pytest.fixture
def old(tmp_path: Path, market: VoucherChain, purse_of: Callable[..., Purse]) -> Purse:
    """A wallet with three vouchers, one of them reserved, of which there is a backup."""
    purse = purse_of(tmp_path / "old", PASSWORD)
    do(purse.wallet.restore(WORDS, PASSWORD))
    market.give(do(purse.wallet.addresses()).accounts[0], 10 * ETHER)
    do(purse.vouchers.top_up(THREE, password=PASSWORD))
    do(purse.vouchers.reserve(0, "under way"))
    make(tmp_path / "old", SEED, tmp_path / "backup", NOW)
    return purse


@pytest.fixture
def back(tmp_path: Path, purse_of: Callable[..., Purse]) -> Callable[[], Purse]:
    """Restore that backup."""

    def restore() -> Purse:
        bring_back(tmp_path / "new", tmp_path / "backup")
        return purse_of(tmp_path / "new", NEW_PASSWORD)

    return restore


def test_a_voucher_that_was_spent_after_the_backup_is_not_chosen(
    old: Purse, back: Callable[[], Purse]
) -> None:
    """The chain says that it is gone, though the backup says that it is there."""
    spent = old.spend("after the backup")
    new = back()
    states = {each.index: each.state for each in do(new.vouchers.all())}
    assert states[spent] is VoucherState.SPENT
    rest = new.spend("after the restore")
    assert rest != spent
    with pytest.raises(NoVoucher):
        do(new.vouchers.reserve(0, "one too many"))


def test_a_purchase_under_way_has_the_voucher_that_it_had(
    old: Purse, back: Callable[[], Purse]
) -> None:
    """And nothing else gets it, so that it is paid once."""
    mine = do(old.vouchers.reserve(0, "under way"))
    new = back()
    assert do(new.vouchers.reserve(0, "under way")) == mine
    others = {do(new.vouchers.reserve(0, name)).index for name in ("a", "b")}
    assert mine.index not in others


def test_no_index_is_used_again(old: Purse, back: Callable[[], Purse]) -> None:
    """Neither of vouchers in the chain, nor of some that may still be on their way into it."""
    before = old.used()
    do(old.vouchers.top_up(THREE, password=PASSWORD))
    after = old.used() - before
    new = back()
    assert new.used() == before
    do(new.vouchers.top_up(THREE, password=NEW_PASSWORD))
    assert after < new.used()  # they were found
    bought = new.used() - old.used()
    assert len(bought) == 3
    assert min(bought) > max(after) + SKIPPED


def test_what_is_not_in_the_chain_yet_is_left_room_for(
    old: Purse, back: Callable[[], Purse]
) -> None:
    """A deposit that was sent just before the end cannot be found, and is not made again."""
    used = old.used()
    new = back()
    do(new.vouchers.top_up(THREE, password=NEW_PASSWORD))
    assert min(new.used() - used) >= max(used) + 1 + SKIPPED
