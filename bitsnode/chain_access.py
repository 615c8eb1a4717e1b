"""A node's side of the chain: the ledger and the wallet, opened when they are first needed."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import attrs
import platformdirs
from twisted.internet.task import deferLater

from bitsnode.config import LOCAL, PUBLIC_CHAIN_FILE, Settings
from bitsnode.errors import BitsError
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.errors import LedgerError, NoRpc
from bitsnode.ledger.index import OnProgress
from bitsnode.ledger.prover.service import Prover
from bitsnode.ledger.rpc import RpcEndpoint
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.trees import EPOCH_BLOCKS, Trees
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.vouchers import Vouchers
from onion.errors import OnionError
from onion.http import HttpClient
from onion.isolation import Isolation
from onion.url import Url

TEND_SECONDS: Final = 60.0  # between two looks at the chain while nobody asks
# Between two looks at the chain of a server that is not one's own, whatever goes on here: whoever
# buys waits for the next, and a server is asked three small things each time.
FOLLOW_SECONDS: Final = 15.0
LOCAL_FOLLOW_SECONDS: Final = 1.0
MAX_PUBLIC_FILE: Final = 1 << 12  # bytes

T = TypeVar("T")


class RunInThread(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work."""


class NoDeployment(BitsError):
    """The node is not told where the contracts are; set "deployment" in config.toml."""


@attrs.frozen
class ChainStatus:
    """What a node can say of its chain without asking it.

    Attributes:
        chain_id: as in EIP-155; 0 when no chain is set.
        servers: the RPC servers' hosts.
        height: block up to which the index goes.
        certain: whether what the chain says can release value or keys.
        fault: why not, or why the chain cannot be used; "" when all is well.
    """

    chain_id: int = 0
    servers: tuple[str, ...] = ()
    height: int = 0
    certain: bool = False
    fault: str = ""


class ChainAccess:
    """What a node knows and does of a chain.

    Args:
        reactor: runs everything.
        settings: say which RPC servers, and where the contracts are.
        http: the way through Tor.
        run: runs blocking work in a thread.
    """

    def __init__(
        self, reactor: Any, settings: Settings, http: HttpClient, run: RunInThread
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._http = http
        self._run = run
        self._isolation = Isolation.fresh("chain")
        self._ledger: Ledger | None = None
        self._wallet: Wallet | None = None
        self._wallet_has_chain = False
        self._trees: Trees | None = None
        self._vouchers: Vouchers | None = None
        self._prover = Prover(reactor, platformdirs.user_cache_path("bits") / "circuits")
        self._checked = False
        self._fault = ""

    def ledger(self) -> Ledger:
        """Return the ledger, opened now if it was not.

        Raises:
            NoRpc: no RPC server is set.
            NoDeployment: it is not said where the contracts are.
            BitsError: a file cannot be used; the text says why.
            OnionError: an RPC server's URL cannot be used.
        """
        if self._ledger is None:
            endpoints, path = find_chain(self._settings)
            for endpoint in endpoints:
                Url.parse(endpoint.url)
            deployment = Deployment.load(path)
            directory = self._settings.home / "ledger"
            directory.mkdir(mode=0o700, exist_ok=True)
            self._ledger = Ledger.through(
                self._reactor, self._http, endpoints, deployment, directory, self._run
            )
            local = self._settings.network == LOCAL
            pause = LOCAL_FOLLOW_SECONDS if local else FOLLOW_SECONDS
            self._ledger.follow(self._isolation, pause)
        return self._ledger

    @property
    def own(self) -> bool:
        """Whether nobody else is asked anything.

        Raises:
            NoRpc, NoDeployment: no chain can be asked.
        """
        return all(endpoint.own for endpoint in find_chain(self._settings)[0])

    def wallet(self) -> Wallet:
        """Return the wallet; where no chain is set, one that has addresses but no balances.

        Raises:
            BitsError: the wallet's files or the ledger cannot be used.
        """
        if self._wallet is None or not self._wallet_has_chain:
            try:
                ledger = self.ledger()
            except NoRpc:
                ledger = None
            if self._wallet is None or ledger is not None:
                if self._wallet is not None:
                    self._wallet.close()  # the chain has come since: the localnet's, for one
                self._wallet = Wallet(self._settings.home / "wallet", ledger, self._run)
                self._wallet_has_chain = ledger is not None
        return self._wallet

    def vouchers(self) -> Vouchers:
        """Return the wallet's vouchers.

        Raises:
            NoChain: no chain is set.
            BitsError: the wallet's files or the ledger cannot be used.
        """
        if self._vouchers is None:
            wallet = self.wallet()
            ledger = self.ledger()
            epoch = 1 if self._settings.network == LOCAL else EPOCH_BLOCKS
            path = self._settings.home / "ledger" / "trees.db"
            self._trees = Trees(path, ledger.deployment, ledger.index, epoch)
            self._vouchers = wallet.vouchers(self._trees, self._reactor)
        return self._vouchers

    def redeeming(self) -> Redeeming:
        """Return what spends the wallet's vouchers; raises as `vouchers` does."""
        vouchers = self.vouchers()
        return self.wallet().redeeming(vouchers, self._prover, self._reactor)

    async def sync(self, on_progress: OnProgress = lambda _reach, _head: None) -> None:
        """Bring the index of events up to date.

        Raises:
            NoRpc: no RPC server is set.
            BitsError: the chain cannot be used, or has not the contracts of the deployment file.
        """
        ledger = self.ledger()
        if not self._checked:
            await ledger.check_deployment(self._isolation)
            self._checked = True
        await ledger.sync(self._isolation, on_progress)

    async def tend(self) -> None:
        """Keep the index up to date, and finish what a crash cut short; runs until cancelled."""
        finished = False
        while True:
            try:
                await self.sync()
                wallet = self.wallet()
                await self.ledger().look_after(wallet.isolation_of)
                if wallet.exists and not finished:
                    await wallet.finish()
                    await self.vouchers().finish()
                    finished = True
                self._fault = ""
            except NoRpc:
                self._fault = ""
            except (BitsError, OnionError) as error:
                self._fault = str(error)
            await deferLater(self._reactor, TEND_SECONDS)

    def status(self) -> ChainStatus:
        """Return what is known without asking anybody."""
        try:
            endpoints, _path = find_chain(self._settings)
            ledger = self.ledger()
        except NoRpc:
            return ChainStatus()
        except (BitsError, OnionError) as error:
            return ChainStatus(fault=str(error))
        fault = self._fault
        try:
            ledger.check_certainty()
        except LedgerError as error:
            certain, fault = False, fault or str(error)
        else:
            certain = not fault
        servers = tuple(endpoint.name for endpoint in endpoints)
        chain_id = ledger.deployment.chain_id
        return ChainStatus(chain_id, servers, ledger.index.reach.tip, certain, fault)

    async def stop(self) -> None:
        """End all questions and close the files."""
        await self._prover.stop()
        if self._trees is not None:
            self._trees.close()
        if self._wallet is not None:
            self._wallet.close()
        if self._ledger is not None:
            await self._ledger.stop()
        await self._http.stop()


def find_chain(settings: Settings) -> tuple[tuple[RpcEndpoint, ...], Path]:
    """Return the RPC servers that are set, and the deployment file.

    A node of a localnet that is told nothing else uses the localnet's chain, as its own.

    Raises:
        NoRpc: there are none.
        NoDeployment: it is not said where the contracts are.
    """
    endpoints = [RpcEndpoint(url) for url in settings.rpc]
    if settings.own_rpc:
        endpoints.append(RpcEndpoint(settings.own_rpc, own=True))
    if endpoints:
        path = settings.deployment or settings.home / "deployment.json"
        if not path.exists():
            raise NoDeployment
        return tuple(endpoints), path
    if settings.network == LOCAL:
        return _localnet_chain(settings.localnet / "chain")
    raise NoRpc


def _localnet_chain(directory: Path) -> tuple[tuple[RpcEndpoint, ...], Path]:
    try:
        with (directory / PUBLIC_CHAIN_FILE).open("rb") as file:
            told = json.loads(file.read(MAX_PUBLIC_FILE))
        url, name = str(told["rpc"]), Path(str(told["deployment"])).name
    except (OSError, ValueError, KeyError, TypeError):
        raise NoRpc from None
    return (RpcEndpoint(url, own=True),), directory / name
