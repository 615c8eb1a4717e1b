"""A node, or the chain, of a localnet as a child process of the supervisor."""

import json
from pathlib import Path
from typing import Any

from twisted.internet import defer, error, protocol
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from bitsnode.errors import BitsError

NODE_STOP = 10.0  # seconds a node has to stop before it is killed
MAX_LINE = 1 << 16  # bytes of an event; a node prints short ones


class ChildEnded(BitsError):
    """A node, or the chain, stopped while it was starting."""


class ChildProcess(protocol.ProcessProtocol):
    """Reads the JSON lines a node prints, and keeps its standard input open as a lifeline.

    The node ends when that pipe does, so no node outlives a killed supervisor. The chain of the
    localnet is the same in this.

    Attributes:
        home: the node's directory.
        peer_onion: known once `until("identity")` has returned.
        running: whether the process is there.
        seen: the last event of each name that it told of.
        peers: how many other nodes it knows.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.peer_onion = ""
        self.running = True
        self.seen: dict[str, dict[str, Any]] = {}
        self.peers = 0
        self._waiting: list[tuple[str, defer.Deferred[None]]] = []
        self._last_words = ""
        self._partial = b""

    async def until(self, event: str) -> None:
        """Return when the node has told of an event of this name.

        Raises:
            ChildEnded: it stopped before.
        """
        if event in self.seen:
            return
        if not self.running:
            raise self._ended()
        waiting: defer.Deferred[None] = defer.Deferred()
        self._waiting.append((event, waiting))
        await waiting

    def outReceived(self, data: bytes) -> None:
        """Take events from the node's output."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-MAX_LINE:]
        for line in lines:
            self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        name = event["event"]
        self.peer_onion = event.get("peer_onion", self.peer_onion)
        self.seen[name] = event
        if name == "peers_known":
            self.peers = event["count"]
        ready = [waiting for wanted, waiting in self._waiting if wanted == name]
        self._waiting = [pair for pair in self._waiting if pair[0] != name]
        for waiting in ready:
            waiting.callback(None)

    def errReceived(self, data: bytes) -> None:
        """Remember the node's last sentence."""
        lines = data.decode(errors="replace").strip().splitlines()
        self._last_words = lines[-1] if lines else self._last_words

    def processEnded(self, reason: Failure) -> None:
        """Fail whoever still waits for the node."""
        self.running = False
        waiting, self._waiting = self._waiting, []
        for event, deferred in waiting:
            if event == "ended":
                deferred.callback(None)
            else:
                deferred.errback(self._ended())

    def _ended(self) -> ChildEnded:
        return ChildEnded(
            f"What runs in {self.home} stopped: {self._last_words or 'no reason given'}"
        )

    async def stop(self, clock: IReactorTime) -> None:
        """End the process, by force when it takes longer than `NODE_STOP`."""
        if not self.running:
            return
        self._signal("TERM")
        kill = clock.callLater(NODE_STOP, self._signal, "KILL")
        await self.until("ended")
        if kill.active():
            kill.cancel()

    def _signal(self, name: str) -> None:
        try:
            if self.transport is not None:
                self.transport.signalProcess(name)
        except error.ProcessExitedAlready:
            pass
