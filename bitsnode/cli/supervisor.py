"""Supervises a localnet: the private Tor network, the chain, and one process for each node.

The nodes are ordinary ones. All that they share is what a newcomer would be told: how to join the
Tor network, the onion address of a node that was there before, and that of the chain.
"""

import os
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver

from bitsnode.cli.client import call
from bitsnode.cli.ipc import ChainAnswered, ask_chain
from bitsnode.cli.localnet_state import (
    LocalnetChain,
    LocalnetNode,
    LocalnetState,
    StateFile,
    python_command,
)
from bitsnode.cli.supervised_node import ChildProcess
from bitsnode.errors import BitsError
from bitsnode.wire.messages import K
from onion.errors import OnionError
from onion.localnet import PrivateTorNetwork

STARTING_AT_ONCE = 8  # nodes; each starts a tor, and more than this on few cores only wait
ACQUAINTED_POLL = 0.1  # seconds
RELAY_FUNDS = 10**18  # wei
ACQUAINTED_LIMIT = 30.0  # seconds; then the localnet is usable all the same

_log = Logger()


class Supervisor:
    """Starts, revives and stops what belongs to one localnet.

    Args:
        reactor: runs everything.
        file: where the state is told and requests are read.
    """

    def __init__(self, reactor: Any, file: StateFile) -> None:
        self._reactor = reactor
        self._file = file
        self._network = PrivateTorNetwork(
            reactor, file.directory / "tor", profile=file.profile_wanted()
        )
        self._nodes: dict[int, ChildProcess] = {}
        self._chain: ChildProcess | None = None
        self._state = LocalnetState(False, "starting the private Tor network")
        self._busy = False

    async def start(self) -> None:
        """Boot the network and the nodes; tell the error and stop when that fails."""
        self._tell(self._state)
        try:
            await self._network.start(
                lambda step: self._tell(
                    attrs.evolve(self._state, text=f"private Tor network: {step}")
                )
            )
            self._tell(attrs.evolve(self._state, tor_version=self._network.tor_version))
            await self._start_missing()
        except Exception as error:
            self._fail(error)
            self._reactor.stop()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, FirstError) and error.subFailure.value is not None:
            error = error.subFailure.value
        if not isinstance(error, BitsError | OnionError):
            _log.failure("the localnet did not start")
        self._tell(attrs.evolve(self._state, error=str(error)))

    async def revive_when_asked(self) -> None:
        """Start what is missing; the network goes on when that fails."""
        if self._busy:
            return  # the request stays, and is seen to when this round is over
        try:
            await self._start_missing()
        except Exception as error:
            self._fail(error)

    async def _start_missing(self) -> None:
        self._busy = True
        try:
            self._tell(attrs.evolve(self._state, ready=False, error=""))
            self._file.revival_seen()
            missing = [
                number
                for number in range(self._file.read_wanted())
                if number not in self._nodes or not self._nodes[number].running
            ]
            starting = [Deferred.fromCoroutine(self._start_chain())]
            if self._file.browse_wanted() and not self._state.browse:
                browse = f"socks5://127.0.0.1:{await self._network.browse()}"
                self._tell(attrs.evolve(self._state, browse=browse))
            turns = DeferredSemaphore(STARTING_AT_ONCE)
            if 0 in missing:  # the others are told its address
                self._spawn(0)
                await self._nodes[0].until("identity")
            starting += [turns.run(Deferred.fromCoroutine, self._start_node(n)) for n in missing]
            await gatherResults(starting, consumeErrors=True)
            await self._wait_until_acquainted()
            await deferToThread(self._fund_relays)
        finally:
            self._busy = False
        nodes = tuple(self._describe(self._nodes[number]) for number in sorted(self._nodes))
        text = f"{len(nodes)} nodes are reachable"
        chain = self._describe_chain()
        self._tell(attrs.evolve(self._state, ready=True, text=text, nodes=nodes, chain=chain))
        if self._file.revival_requested():
            await self._start_missing()

    def _fund_relays(self) -> None:
        """Give every relay money for gas, as its operator would; blocks."""
        for node in self._nodes.values():
            try:
                account = call(node.home, "status")["relay_account"]
                funds = ask_chain(self._file.directory / "chain", "eth_getBalance", [account])
                if int(funds, 16) < RELAY_FUNDS:
                    arguments = [account, hex(RELAY_FUNDS)]
                    ask_chain(self._file.directory / "chain", "bits_fund", arguments)
            except (BitsError, ChainAnswered) as error:
                _log.warn("a relay has no money: {reason}", reason=str(error))

    async def _wait_until_acquainted(self) -> None:
        """Wait until the nodes of a small network know each other, as they soon do by themselves.

        Otherwise a publish right after the start would find fewer holders than there are.
        """
        expected = min(len(self._nodes) - 1, K)
        for _ in range(int(ACQUAINTED_LIMIT / ACQUAINTED_POLL)):
            knowing = sum(node.peers >= expected for node in self._nodes.values())
            if knowing == len(self._nodes):
                return
            text = f"nodes: {knowing} of {len(self._nodes)} know the others"
            self._tell(attrs.evolve(self._state, text=text))
            await deferLater(self._reactor, ACQUAINTED_POLL)
        _log.warn("some nodes do not know all others yet")

    async def _start_node(self, number: int) -> None:
        if number not in self._nodes or not self._nodes[number].running:
            self._spawn(number)
        await self._nodes[number].until("reachable")
        reachable = sum("reachable" in node.seen for node in self._nodes.values())
        text = f"nodes: {reachable} of {self._file.read_wanted()} reachable"
        self._tell(attrs.evolve(self._state, text=text))

    async def _start_chain(self) -> None:
        if self._chain is None or not self._chain.running:
            directory = self._file.directory / "chain"
            self._chain = ChildProcess(directory)
            command = [*self._bitsnode(directory), "chain", "--dir", str(directory), "--onion"]
            command += ["--until-stdin-ends"]
            self._reactor.spawnProcess(self._chain, command[0], command, env=dict(os.environ))
        await self._chain.until("chain_reachable")

    def _bitsnode(self, home: Path) -> list[str]:
        command = [*python_command("bitsnode"), "--home", str(home), "--json"]
        return [*command, "--network", "local", "--localnet", str(self._file.directory)]

    def _spawn(self, number: int) -> None:
        home = self._file.directory / "nodes" / f"node{number}"
        node = ChildProcess(home)
        command = [*self._bitsnode(home), "--tor", "--until-stdin-ends"]
        friends = [number - 1, 0] if number else [1]  # a returning first node knows another
        for friend in dict.fromkeys(friends):
            if friend in self._nodes and self._nodes[friend].peer_onion:
                command += ["--bootstrap", self._nodes[friend].peer_onion]
        self._nodes[number] = node
        self._reactor.spawnProcess(node, command[0], command, env=dict(os.environ))

    def _describe(self, node: ChildProcess) -> LocalnetNode:
        shop = node.seen.get("shop_identified", {}).get("shop_onion", "")
        return LocalnetNode(str(node.home), node.peer_onion, str(node.home / "api.sock"), shop)

    def _describe_chain(self) -> LocalnetChain | None:
        if self._chain is None or "chain_reachable" not in self._chain.seen:
            return None
        seen = self._chain.seen
        return LocalnetChain(
            str(self._chain.home),
            seen["chain_served"]["chain_id"],
            seen["chain_reachable"]["rpc"],
            seen["chain_served"]["socket"],
            seen["chain_deployed"]["deployment"],
        )

    async def stop(self) -> None:
        """Stop the nodes, the chain, and then the network."""
        children = [*self._nodes.values(), *([self._chain] if self._chain else [])]
        stopping = [Deferred.fromCoroutine(child.stop(self._reactor)) for child in children]
        await gatherResults(stopping, consumeErrors=True)
        await self._network.stop()

    def _tell(self, state: LocalnetState) -> None:
        self._state = state
        self._file.write(state)


def main() -> None:
    """Run the supervisor of the localnet in the directory given as the only argument."""
    import signal

    from twisted.internet import reactor  # noqa: TID251 -- the edge of this process

    file = StateFile(Path(sys.argv[1]))
    lock = file.lock()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    supervisor = Supervisor(reactor, file)

    def revive() -> None:
        Deferred.fromCoroutine(supervisor.revive_when_asked())

    loop: Any = reactor
    loop.callWhenRunning(lambda: Deferred.fromCoroutine(supervisor.start()))
    loop.callWhenRunning(
        lambda: signal.signal(signal.SIGHUP, lambda *_: loop.callFromThread(revive))
    )
    loop.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(supervisor.stop())
    )
    loop.run()
    os.close(lock)


if __name__ == "__main__":
    main()
