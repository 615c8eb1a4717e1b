"""An invoice on the embedded chain: paid by an ordinary wallet, swept by a real relay, earned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.task import deferLater

from bitsnode.ids import ContentId
from bitsnode.ledger.wallet.earnings import Kind
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.market.hot_key import open_hot_key
from bitsnode.market.invoice import InvoiceState
from bitsnode.market.invoice_chain import LedgerInvoices
from bitsnode.market.invoice_store import InvoiceStore
from bitsnode.market.invoice_sweeping import Sweeping
from bitsnode.market.invoices import Invoices, InvoiceTools
from bitsnode.market.relay import Relay
from bitsnode.market.relay_client import RelayClient
from bitsnode.market.relay_journal import RelayJournal
from bitsnode.market.relay_responder import RelayResponder
from bitsnode.market.relay_sweeps import SweepRelay
from bitsnode.market.sweep_client import SweepClient
from bitsnode.market.sweep_journal import SweepJournal
from bitsnode.wire.exchange import Caller
from bitsnode.wire.messages import Request
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey
from tests.integration.test_vouchers import ME, OTHERS, _Person, _World, _world
from zk.stealth import MetaAddress

CONTENT = ContentId(b"\x0c" * 32)
SUM = 5 * 10**16  # wei


class OneRelay:
    """Peers, of which one is a relay."""

    def __init__(self, responder: RelayResponder) -> None:
        self.key = OnionKey(b"\x01" * 32).address.public_key
        self._responder = responder
        self._connections = 0

    async def request(self, address: OnionAddress, message: Request, isolation: Isolation) -> Any:
        """As `bitsnode.peer.client.PeerClient` does it, each time over another connection."""
        self._connections += 1
        return await self._responder.handle(message, Caller(self._connections))


def _relay(
    world: _World, close: list[Callable[[], None]]
) -> tuple[SweepRelay, OneRelay, RelayClient]:
    """A relay with a coin for gas, and a client of it."""
    deployment = world.ledger.deployment
    chain_id = deployment.chain_id
    vouchers, factory = (
        bytes.fromhex(deployment.address(name)[2:]) for name in ("Vouchers", "InvoiceFactory")
    )
    key = open_hot_key(world.folder / "relay.key")
    world.server.ask("bits_fund", key.address, hex(ETHER))
    journal = RelayJournal(world.folder / "relay.db", chain_id, vouchers)
    relay = Relay(world.ledger, key, journal, chain_id, vouchers, world.reactor, at_once)
    sweep_journal = SweepJournal(world.folder / "sweeps.db", chain_id, factory)
    sweeps = SweepRelay(relay, world.ledger, key, sweep_journal, chain_id, factory, at_once)
    close += [journal.close, sweep_journal.close]
    peers = OneRelay(RelayResponder(relay, sweeps, world.reactor.seconds))
    return sweeps, peers, RelayClient(peers, lambda: [peers.key], chain_id, vouchers)


def _shop(
    world: _World, creator: _Person, peers: OneRelay, client: RelayClient
) -> tuple[Invoices, InvoiceStore]:
    """The invoices of a creator."""
    deployment = world.ledger.deployment
    factory = bytes.fromhex(deployment.address("InvoiceFactory")[2:])

    async def payee() -> MetaAddress:
        return MetaAddress.parse((await creator.wallet.addresses()).meta_address)

    sweeper = SweepClient(client, peers, deployment.chain_id, factory)
    tools = InvoiceTools(
        world.reactor,
        at_once,
        deployment.chain_id,
        factory,
        LedgerInvoices(world.ledger, at_once, ME),
        payee,
        sweeper,
        lambda low, _high: low,
    )
    path = world.folder / "invoices.db"
    store = InvoiceStore(path, b"\x01" * 32, deployment.chain_id, factory)
    return Invoices(tools, store, Sweeping(world.reactor, sweeper, pauses=(0.0, 0.0))), store


async def _looked(reactor: Any, shop: Invoices) -> None:
    """Return when all were looked at, as if the pauses were over."""
    await shop.all()
    for timer in shop._looks._timers.values():
        timer.reset(0.0)
    await deferLater(reactor, 0.0)
    while shop._looks._under_way:
        await deferLater(reactor, 0.05)


@pytest_twisted.ensureDeferred
async def test_an_invoice_is_paid_swept_and_earned(tmp_path: Path) -> None:
    """In two parts and once more, a restart in between; the split is exact, the shop knows what."""
    async with _world(tmp_path) as world:
        creator, _ = await world.person("creator")
        close: list[Callable[[], None]] = []
        relay, peers, client = _relay(world, close)
        invoices, store = _shop(world, creator, peers, client)
        invoice = await invoices.issue(CONTENT, SUM)

        async def pay(wei: int, name: str) -> None:
            await world.ledger.transfer(OTHERS, invoice.address, wei, ME, ETHER, name)
            assert (await world.ledger.wait(name, ME)).succeeded

        async def look(shop: Invoices) -> Any:
            await _looked(world.reactor, shop)
            await shop.tend()
            return await shop.status(invoice.id)

        await pay(SUM - 1, "first")
        part = await look(invoices)
        assert (part.state, part.missing) == (InvoiceState.PART, 1)
        await pay(1, "second")
        invoices.stop()
        store.close()  # the node is stopped, and started again
        invoices, store = _shop(world, creator, peers, client)
        assert (await look(invoices)).opens
        swept = await look(invoices)
        assert (swept.state, swept.received, swept.over) == (InvoiceState.SWEPT, SUM, 0)

        (earning,) = await creator.wallet.earnings(creator.vouchers)
        assert (earning.kind, earning.split.gross) == (Kind.INVOICE, SUM)
        assert earning.invoice == invoice.address
        net = SUM - earning.split.fee
        assert earning.split.net == net - net * 300 // 10_000 - net * 200 // 10_000
        assert world.server.wei(earning.address) == earning.split.net
        accrued = await world.ledger.call("InvoiceFactory", "accrued", [], ME)
        assert tuple(accrued) == (earning.split.treasury, earning.split.pool)
        assert earning.csv_row({invoice.address: str(CONTENT)})[-1] == str(CONTENT)

        # paid once more: told, swept again, and earned again
        assert await relay.tend() == 0
        await pay(SUM, "again")
        await look(invoices)
        twice = await look(invoices)
        assert (twice.state, twice.over) == (InvoiceState.SWEPT, SUM)
        assert len(await creator.wallet.earnings(creator.vouchers)) == 2
        assert world.server.wei(invoice.address) == 0

        # the wallet holds it, at the one stealth address
        balance = await creator.wallet.balance()
        assert {held.address for held in balance.payments} == {earning.address}
        assert balance.total == 2 * earning.split.net
        invoices.stop()
        store.close()
        for each in close:
            each()
