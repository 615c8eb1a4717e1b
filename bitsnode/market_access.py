"""A node's side of the market: key custody, relay, purchases and sales, opened when first needed.

All of it needs a chain. A node whose chain is not there yet, or cannot be asked, tells its peers
so and goes on with everything else.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import deferLater

from bitsnode.chain_access import ChainAccess, RunInThread
from bitsnode.codec.manifest import Manifest
from bitsnode.config import Settings
from bitsnode.errors import BitsError
from bitsnode.identity import NodeIdentity
from bitsnode.ids import ContentId
from bitsnode.invoice_access import InvoiceAccess
from bitsnode.market.asking import KeyHolderClient, Peers
from bitsnode.market.chain import LedgerChain
from bitsnode.market.complaint_check import Verdict, check_complaint
from bitsnode.market.custody import CustodyStore
from bitsnode.market.gate import Gate
from bitsnode.market.hot_key import open_hot_key
from bitsnode.market.invoice_recovery import InvoicesLookedFor, Search, Wanted
from bitsnode.market.invoices import Invoices
from bitsnode.market.offer import Market
from bitsnode.market.own_chain import OwnChain
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_needs import Tools
from bitsnode.market.purchases import Purchases
from bitsnode.market.relay import Relay
from bitsnode.market.relay_client import RelayClient
from bitsnode.market.relay_journal import RelayJournal
from bitsnode.market.relay_responder import RelayResponder
from bitsnode.market.relay_sweeps import SweepRelay
from bitsnode.market.responder import CustodyResponder
from bitsnode.market.selling import Selling
from bitsnode.market.selling_needs import SellingTools
from bitsnode.market.selling_store import SellingStore
from bitsnode.market.sweep_journal import SweepJournal
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Caller, Refused, Responder
from bitsnode.wire.messages import FailureCode, Request
from bitsnode.wire.record import SignedRecord
from onion.errors import OnionError
from onion.isolation import Isolation
from onion.keys import load_or_create_seed

TEND_SECONDS: Final = 60.0  # between two looks at what is on its way
CHAIN_SECONDS: Final = 60  # after which a peer may ask again while there is no chain


class Dht(Protocol):
    """Finds records and nodes; see `bitsnode.dht.service.DhtService`."""

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """Return the verified records of a key."""

    async def put_records(self, records: Sequence[SignedRecord], isolation: Isolation) -> list[int]:
        """Put records of one key; return of each how many nodes took it."""

    async def find_custodians(self, count: int, isolation: Isolation) -> list[SignedCard]:
        """Return up to so many different nodes that keep key shares."""

    def relays(self) -> list[bytes]:
        """Return the onion keys of the relays known."""


class Manifests(Protocol):
    """See `bitsnode.content.service.ContentService.manifest`."""

    async def manifest(self, content: ContentId, isolation: Isolation) -> Manifest:
        """Return a content's manifest, verified."""


class OnDemand:
    """A responder that is opened by its first request, since it needs the chain.

    Args:
        open_responder: opens it.
    """

    def __init__(self, open_responder: Callable[[], Awaitable[Responder]]) -> None:
        self._open = open_responder

    async def handle(self, request: Request, caller: Caller) -> object:
        """See `bitsnode.wire.exchange.Responder`."""
        try:
            responder = await self._open()
        except (BitsError, OnionError) as error:
            raise Refused(FailureCode.CHAIN_UNCERTAIN, CHAIN_SECONDS) from error
        return await responder.handle(request, caller)


class MarketAccess:
    """What a node does in the market.

    Args:
        reactor: runs everything.
        settings: of the node.
        chain: its side of the chain.
        identity: its keys.
        peers: asks other nodes.
        dht: finds records and nodes.
        manifests: finds out whose a content is.
        run: runs blocking work in a thread.

    Attributes:
        invoice_access: the invoices of the node's shop.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        chain: ChainAccess,
        identity: NodeIdentity,
        peers: Peers,
        dht: Dht,
        manifests: Manifests,
        run: RunInThread,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._chain = chain
        self._identity = identity
        self._peers = peers
        self._dht = dht
        self._manifests = manifests
        self._run = run
        self._folder = settings.home / "market"
        self._isolation = Isolation.fresh("market")
        self._market: Market | None = None
        self._custody: CustodyStore | None = None
        self._gate: Gate | None = None
        self._relay: Relay | None = None
        self._relay_journal: RelayJournal | None = None
        self._sweeps: SweepRelay | None = None
        self._sweep_journal: SweepJournal | None = None
        self._relay_responder: RelayResponder | None = None
        self.invoice_access = InvoiceAccess(reactor, settings, chain, peers, run)
        self._purchases: Purchases | None = None
        self._purchase_journal: PurchaseJournal | None = None
        self._selling: Selling | None = None
        self._selling_store: SellingStore | None = None

    # What peers ask

    async def custody(self) -> CustodyResponder:
        """Return what keeps key shares for publishers and gives them to buyers."""
        return CustodyResponder(await self._open_gate())

    async def relay(self) -> RelayResponder:
        """Return what submits redemptions of others, and sweeps their invoices, for a fee."""
        market = await self._where()
        if self._relay_responder is None:
            self._relay = relay = self._open_relay(market)
            self._sweeps = sweeps = self._open_sweeps(market, relay)
            self._relay_responder = RelayResponder(relay, sweeps, self._reactor.seconds)
        return self._relay_responder

    def relay_account(self) -> str:
        """Return the address of the account that pays for the gas of a relay, checksummed."""
        return open_hot_key(self._file("relay.key")).address

    # What this node does

    async def purchases(self) -> Purchases:
        """Return the purchases of this node."""
        market = await self._where()
        if self._purchases is None:
            key = load_or_create_seed(self._file("journal.seed"))
            self._purchase_journal = PurchaseJournal(
                self._file("purchases.db"), key, market.chain_id
            )
            self._purchases = Purchases(self._tools(market), self._purchase_journal)
        return self._purchases

    async def selling(self) -> Selling:
        """Return the sales of this node."""
        market = await self._where()
        if self._selling is None:
            key = load_or_create_seed(self._file("journal.seed"))
            self._selling_store = SellingStore(self._file("sales.db"), key, market.chain_id)
            tools = SellingTools(
                self._reactor,
                self._run,
                market,
                self._settings.network.record_bits,
                self._settings.network.share_bits,
                self._dht,
                self._dht,
                KeyHolderClient(self._peers, self._reactor),
                self._identity.onion_key.public_key,
            )
            self._selling = Selling(tools, self._selling_store)
        return self._selling

    async def invoices(self) -> Invoices:
        """Return the invoices of this node's shop, which are looked after from then on."""
        return self.invoice_access.open(self._relay_client(await self._where()))

    async def recover_invoices(
        self, wanted: Wanted, on_event: Callable[[InvoicesLookedFor], None]
    ) -> Search:
        """Look for invoices that a backup did not know; see `InvoiceAccess.recover`."""
        relays = self._relay_client(await self._where())
        return await self.invoice_access.recover(relays, wanted, on_event)

    async def invoiced(self) -> dict[str, str]:
        """Return the content ids of what was sold by invoices, by the invoices' addresses."""
        if not self.invoice_access.there:
            return {}
        found = await (await self.invoices()).all()
        return {
            each.invoice.address: str(each.invoice.content) for each in found if each.invoice.known
        }

    async def check_complaint(self, data: bytes) -> Verdict:
        """See what there is to a complaint; see `bitsnode.market.complaint_check`."""
        market, gate = await self._where(), await self._open_gate()
        return await check_complaint(data, market, gate, self._manifests)

    async def tend(self) -> None:
        """See to what is on its way, and what is due; runs until cancelled."""
        while True:
            try:
                if self._file("purchases.db").exists():
                    await (await self.purchases()).take_up()
                if self._file("sales.db").exists():
                    await (await self.selling()).tend()
                if self.invoice_access.there:
                    await self.invoices()
                if self._relay is not None:
                    await self._relay.tend()
                if self._sweeps is not None:
                    await self._sweeps.tend()
                if self._custody is not None:
                    now = self._reactor.seconds()
                    await self._run(partial(self._custody.sweep, now))
            except (BitsError, OnionError):
                pass  # the chain's own finding says why; all is taken up again
            await deferLater(self._reactor, TEND_SECONDS)

    async def stop(self) -> None:
        """End what runs and close the files."""
        if self._purchases is not None:
            await self._purchases.stop()
        await self.invoice_access.stop()
        for file in (
            self._custody,
            self._relay_journal,
            self._sweep_journal,
            self._purchase_journal,
            self._selling_store,
        ):
            if file is not None:
                file.close()

    # Inside

    def _file(self, name: str) -> Any:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self._folder / name

    async def _where(self) -> Market:
        if self._market is None:
            deployment = self._chain.ledger().deployment
            table = await self._chain.vouchers().denominations()
            contract = bytes.fromhex(deployment.address("Vouchers")[2:])
            self._market = Market(deployment.chain_id, contract, table)
        return self._market

    async def _open_gate(self) -> Gate:
        market = await self._where()
        if self._gate is None:
            self._custody = CustodyStore(self._file("custody.db"), market)
            clock = self._reactor.seconds
            self._gate = Gate(
                self._custody,
                market,
                LedgerChain(self._chain.ledger(), self._isolation, clock),
                self._identity.onion_key.public_key,
                X25519PrivateKey.from_private_bytes(self._identity.sealing_seed),
                clock,
                self._run,
                self._settings.network.share_bits,
            )
        return self._gate

    def _open_relay(self, market: Market) -> Relay:
        path = self._file("relay.db")
        self._relay_journal = RelayJournal(path, market.chain_id, market.vouchers)
        return Relay(
            self._chain.ledger(),
            open_hot_key(self._file("relay.key")),
            self._relay_journal,
            market.chain_id,
            market.vouchers,
            self._reactor,
            self._run,
        )

    def _open_sweeps(self, market: Market, relay: Relay) -> SweepRelay:
        ledger = self._chain.ledger()
        factory = bytes.fromhex(ledger.deployment.address("InvoiceFactory")[2:])
        self._sweep_journal = SweepJournal(self._file("sweeps.db"), market.chain_id, factory)
        key = open_hot_key(self._file("relay.key"))
        return SweepRelay(
            relay, ledger, key, self._sweep_journal, market.chain_id, factory, self._run
        )

    def _relay_client(self, market: Market) -> RelayClient:
        return RelayClient(self._peers, self._dht.relays, market.chain_id, market.vouchers)

    def _tools(self, market: Market) -> Tools:
        redeeming = self._chain.redeeming()
        return Tools(
            clock=self._reactor,
            run=self._run,
            market=market,
            records=self._dht,
            manifests=self._manifests,
            vouchers=self._chain.vouchers(),
            proofs=redeeming,
            relays=self._relay_client(market),
            chain=OwnChain(
                self._chain.ledger(), self._chain.vouchers().trees, self._run, self._isolation
            ),
            holders=KeyHolderClient(self._peers, self._reactor),
            own_relay=redeeming,
        )
