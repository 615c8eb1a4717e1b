"""A chain of one's own: the embedded chain, the contracts on it, and its onion service.

This is the wiring of `bitsnode chain`, as `bitsnode.node` is that of a node.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from bitsnode.config import CHAIN_PORT, PUBLIC_CHAIN_FILE, Settings
from bitsnode.errors import BitsError
from bitsnode.events import ChainDeployed, ChainEvent, ChainReachable, ChainServed
from bitsnode.ledger.deploy import DENOMINATIONS, NOBODY, Terms, check, deploy
from bitsnode.ledger.deployment import Deployment, DeploymentTooOld
from bitsnode.ledger.embedded.process import RunningChain, serve_chain
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.local_key import LocalKey
from bitsnode.own_tor import own_tor
from onion.keys import OnionKey, load_or_create_seed
from onion.tor import TorNetwork

DEPLOYMENT_FILE: Final = "deployment.json"
TIMELOCK_SECONDS: Final = 60  # on a chain whose money is worth nothing, nobody waits two days
FUNDS: Final = 10 * 10**18  # wei that the deployer gets of the faucet

_log = Logger()


class ChainWithoutContracts(BitsError):
    """The contracts could not be put on the chain."""


class ChainHost:
    """Runs one embedded chain.

    Args:
        reactor: runs everything.
        directory: of the chain; private.
        settings: which Tor network the onion service is for.
        report: is told every event.
        onion: publish the chain as an onion service.
    """

    def __init__(
        self,
        reactor: Any,
        directory: Path,
        settings: Settings,
        report: Callable[[ChainEvent], None],
        *,
        onion: bool,
    ) -> None:
        self._reactor = reactor
        self._directory = directory
        self._settings = settings
        self._report = report
        self._onion = onion
        self._chain: RunningChain | None = None
        self._tor: TorNetwork | None = None

    async def start(self) -> None:
        """Serve the chain; returns when the contracts are there and the service is reachable.

        Raises:
            BitsError: what is wrong with the directory.
            OnionError: what is wrong with tor.
        """
        self._chain = chain = await serve_chain(self._reactor, self._directory)
        self._report(ChainServed(str(chain.socket_path), chain.chain_id, chain.height))
        deployment = await deferToThread(self._deploy, chain.socket_path)
        self._report(
            ChainDeployed(str(self._directory / DEPLOYMENT_FILE), len(deployment.contracts))
        )
        if self._onion:
            await self._publish(chain)

    async def stop(self) -> None:
        """End the service, then the chain."""
        if self._tor is not None:
            await self._tor.stop()
        if self._chain is not None:
            await self._chain.stop()

    async def _publish(self, chain: RunningChain) -> None:
        key = OnionKey(load_or_create_seed(self._directory / "onion.key"))
        self._tor = tor = own_tor(self._reactor, self._settings, self._directory, self._report)
        await tor.start()
        service = await tor.publish(key, CHAIN_PORT, chain.public_factory)
        await service.when_reachable()
        url = f"http://{key.address}"
        _write(self._directory / PUBLIC_CHAIN_FILE, {"rpc": url, "deployment": DEPLOYMENT_FILE})
        self._report(ChainReachable(url))

    def _deploy(self, socket: Path) -> Deployment:
        """Put the contracts on the chain, or find them there; in a thread."""
        with tamed_imports():
            from web3 import IPCProvider, Web3
            from web3.exceptions import Web3Exception
            from web3.types import RPCEndpoint

        path = self._directory / DEPLOYMENT_FILE
        web3 = Web3(IPCProvider(socket))
        web3.provider.global_ccip_read_enabled = False  # ERC-3668 would fetch from the clear web
        try:
            known = _known(path)
            if known is not None:
                check(web3, known)
                return known
            governor = LocalKey(load_or_create_seed(self._directory / "governor.key"))
            terms = Terms(TIMELOCK_SECONDS, (governor.address,), (NOBODY,), DENOMINATIONS)
            web3.manager.request_blocking(RPCEndpoint("bits_fund"), [governor.address, hex(FUNDS)])
            deployment = deploy(web3, governor, terms)
        except Web3Exception as error:
            raise ChainWithoutContracts(
                f"The contracts could not be put on the chain: {error}."
            ) from error
        deployment.save(path)
        return deployment


def _known(path: Path) -> Deployment | None:
    """Return the deployment that was made earlier, if it is all there."""
    try:
        return Deployment.load(path) if path.exists() else None
    except DeploymentTooOld:
        return None  # to put the contracts there again adds those that it lacks


def _write(path: Path, value: dict[str, str]) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
