"""A node's invoices: opened when needed, looked after by the clock, found again after a restart."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from bitsnode.config import Settings
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.invoice_access import TEND_SECONDS, InvoiceAccess
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.testing_rpc import fake_rpc
from bitsnode.market.invoice_recovery import Wanted
from bitsnode.market.invoice_testing import InvoiceBlocks, InvoiceServer, invoice_deployment
from bitsnode.market.relay_client import RelayClient
from zk.stealth import MetaAddress, public_key

META = MetaAddress(public_key(b"\x11" * 32), public_key(b"\x12" * 32))
CONTENT = ContentId(b"\x0c" * 32)
SUM = 10**16  # wei


class Chain:
    """A node's side of a chain, whose wallet has a meta-address."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.blocks = InvoiceBlocks(now=clock.seconds)
        rpc = fake_rpc(clock, InvoiceServer(self.blocks), own=True)
        self._ledger = Ledger(clock, [rpc], invoice_deployment(), folder, execute)

    def ledger(self) -> Ledger:
        """The ledger."""
        return self._ledger

    def wallet(self) -> Any:
        """The wallet."""

        async def addresses() -> Any:
            return SimpleNamespace(meta_address=str(META))

        return SimpleNamespace(addresses=addresses)


class Nobody:
    """Peers that do not answer."""

    async def request(self, _address: Any, _message: Any, _isolation: Any) -> Any:
        """As `bitsnode.peer.client.PeerClient` does it."""
        raise BitsError("it does not answer")


async def at_once(work: Callable[[], Any]) -> Any:
    """Run blocking work here."""
    return work()


def result_of(coroutine: Any) -> Any:
    """What a coroutine that waits for nothing returns."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    clock = Clock()
    clock.advance(1_800_000_000)
    return clock


@pytest.fixture
def chain(clock: Clock, tmp_path: Path) -> Iterator[Chain]:
    """A chain with a server of one's own."""
    found = Chain(clock, tmp_path / "ledger")
    yield found
    result_of(found.ledger().stop())


def test_invoices_are_looked_after_from_the_first_on(
    clock: Clock, chain: Chain, tmp_path: Path
) -> None:
    """Nobody asks, and what was paid is known; also by the next start of the node."""
    settings: Any = Settings.load(home=tmp_path / "home", network="local")
    settings.home.mkdir()
    relays = RelayClient(Nobody(), lambda: [], 1, bytes(20))
    access: Any = InvoiceAccess(clock, settings, chain, Nobody(), at_once)  # type: ignore[arg-type]
    assert not access.there
    invoices = access.open(relays)
    assert access.open(relays) is invoices
    assert access.there
    assert stat.S_IMODE((settings.home / "shop").stat().st_mode) == 0o700
    first = result_of(invoices.issue(CONTENT, SUM))
    second = result_of(invoices.issue(CONTENT, SUM))
    chain.blocks.pay(first.address, SUM)
    chain.blocks.mine(count=chain.blocks.finality)
    for _ in range(100):
        clock.advance(TEND_SECONDS / 4)
    assert result_of(invoices.status(first.id)).opens
    assert not result_of(invoices.status(second.id)).opens
    result_of(access.stop())
    waiting = [call for call in clock.getDelayedCalls() if call.active()]
    assert waiting == []

    again: Any = InvoiceAccess(clock, settings, chain, Nobody(), at_once)  # type: ignore[arg-type]
    assert again.there
    found = result_of(again.open(relays).all())
    assert {each.invoice for each in found} == {first, second}
    assert sum(each.opens for each in found) == 1
    result_of(again.stop())


def test_seed_and_counter_are_there_from_the_shop_on(
    clock: Clock, chain: Chain, tmp_path: Path
) -> None:
    """A backup from before the first invoice has both; a counter that was lost is not repeated."""
    settings: Any = Settings.load(home=tmp_path / "home", network="local")
    settings.home.mkdir()
    (settings.home / "shop").mkdir(mode=0o700)
    relays = RelayClient(Nobody(), lambda: [], 1, bytes(20))
    addresses = []
    for _life in range(2):
        access: Any = InvoiceAccess(clock, settings, chain, Nobody(), at_once)  # type: ignore[arg-type]
        (settings.home / "shop" / "shop.db").touch()
        assert access.there
        invoices = access.open(relays)
        assert (settings.home / "shop" / "keys" / "invoices.seed").stat().st_size == 32
        addresses.append(result_of(invoices.issue(CONTENT, SUM)).address)
        result_of(access.stop())
        for path in (settings.home / "shop").glob("invoices.db*"):
            path.unlink()
    assert len(set(addresses)) == 2
    found: Any = InvoiceAccess(clock, settings, chain, Nobody(), at_once)  # type: ignore[arg-type]
    chain.blocks.pay(addresses[0], SUM)
    chain.blocks.mine(count=chain.blocks.finality)
    seen: list[Any] = []
    wanted = Wanted(ask=True, all_fees=True, own=True, gap=3)
    search = result_of(found.recover(relays, wanted, seen.append))
    assert [(each.address, each.wei) for each in search.found] == [(addresses[0], SUM)]
    assert seen[-1].found == 1
    result_of(found.stop())
