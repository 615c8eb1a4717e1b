"""The chain's process: the chain in its thread, the socket, the timer, and how to end it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from bitsnode.ledger.embedded.chain import CHAIN_ID, EmbeddedChain
from bitsnode.ledger.embedded.dispatch import Dispatcher
from bitsnode.ledger.embedded.http import ChainSite
from bitsnode.ledger.embedded.socket import ChainSocket
from bitsnode.ledger.embedded.start import SOCKET
from bitsnode.ledger.embedded.worker import Worker
from onion.sockets import socket_directory

BLOCK_SECONDS: Final = 15.0  # after which the timer adds an empty block
_log = Logger()


@define(eq=False)
class RunningChain:
    """A chain that is served.

    Attributes:
        chain_id: of the chain.
        socket_path: the unix socket (0600) for tools of this machine: HTTP and bare JSON, all
            methods.
        public_factory: HTTP with the public methods alone, to be published as an onion service.
    """

    chain_id: int
    socket_path: Path
    public_factory: IProtocolFactory
    _chain: EmbeddedChain
    _worker: Worker
    _port: IListeningPort
    _timer: LoopingCall

    @property
    def height(self) -> int:
        """The number of the last block."""
        return self._chain.height

    async def stop(self) -> None:
        """Finish what is under way, then close socket and database."""
        if self._timer.running:
            self._timer.stop()
        await maybeDeferred(self._port.stopListening)
        await self._worker.stop()
        self._chain.close()


async def serve_chain(
    reactor: Any,
    directory: Path,
    *,
    chain_id: int = CHAIN_ID,
    clock: Callable[[], int] | None = None,
    block_seconds: float | None = BLOCK_SECONDS,
) -> RunningChain:
    """Open the chain in a directory, or make it, and serve it.

    Args:
        reactor: runs everything but the chain itself, which has a thread.
        directory: private; made if it is not there.
        chain_id: of a new chain; an existing one must have it.
        clock: Unix time in seconds for the blocks; the reactor's if None. Asked in the thread.
        block_seconds: time without a block after which an empty one is added; None: never.

    Raises:
        BitsError: the directory is in use, open to others, damaged, too new, or of another chain;
            its text is one sentence.
    """
    now = clock or (lambda: int(reactor.seconds()))
    worker = Worker(reactor)
    try:
        chain = await worker.run(partial(EmbeddedChain, directory, chain_id, clock=now), local=True)
    except BaseException:
        await worker.stop()
        raise
    try:
        path = _socket_path(directory)
        tools = ChainSocket(reactor, Dispatcher(chain, worker, local=True))
        port = reactor.listenUNIX(str(path), tools, mode=0o600, wantPID=False)
    except BaseException:
        await worker.stop()
        chain.close()
        raise
    timer = LoopingCall(_tick, chain, worker, now, block_seconds)
    timer.clock = reactor
    if block_seconds is not None:
        timer.start(block_seconds, now=False)
    public = ChainSite(reactor, Dispatcher(chain, worker, local=False))
    return RunningChain(chain_id, path, public, chain, worker, port, timer)


def _socket_path(directory: Path) -> Path:
    public = directory / SOCKET
    public.unlink(missing_ok=True)  # the directory is locked: what is there was left by the dead
    path = socket_directory(directory) / SOCKET
    if path != public:
        path.unlink(missing_ok=True)
        public.symlink_to(path)
    return path


def _tick(
    chain: EmbeddedChain, worker: Worker, now: Callable[[], int], seconds: float
) -> "Deferred[None]":
    def mine() -> None:
        if now() - chain.head.timestamp >= int(seconds):
            chain.mine()

    done = worker.run(mine, local=True)
    done.addErrback(lambda failure: _log.failure("no empty block was added", failure))
    return done


async def run(
    reactor: Any, directory: Path, ready: Callable[[RunningChain], None], **options: Any
) -> None:
    """Serve the chain until the reactor is told to stop; for `twisted.internet.task.react`.

    Args:
        reactor: as of `serve_chain`, as the directory and the options.
        directory: of the chain.
        ready: called once when it answers.
        options: of `serve_chain`.
    """
    running = await serve_chain(reactor, directory, **options)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(running.stop())
    )
    ready(running)
    await Deferred()
