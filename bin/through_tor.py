"""A web3 that reaches its RPC server through a tor of its own; for bin/deploy."""

import atexit
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor  # noqa: TID251 -- the edge of this process
from twisted.internet.defer import Deferred
from twisted.internet.process import reapAllProcesses
from twisted.internet.task import LoopingCall
from twisted.internet.threads import blockingCallFromThread as _blocking_call
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from bitsnode.cli.words import sentence
from bitsnode.config import Settings
from bitsnode.own_tor import own_tor
from onion.events import OnionEvent
from onion.http import HttpClient
from onion.isolation import Isolation
from onion.url import Url

TIMEOUT = 120.0  # seconds for one request
REAP_SECONDS = 0.1  # between looks whether a child has ended
LIMIT = 16 << 20  # bytes of one answer
Tell = Callable[[str], None]
blocking_call: Any = _blocking_call  # its types know no coroutines


class TorProvider(JSONBaseProvider):
    """Posts requests through Tor, from any thread but the reactor's."""

    def __init__(self, reactor: Any, http: HttpClient, url: Url) -> None:
        super().__init__()
        self._reactor = reactor
        self._http = http
        self._url = url
        self._isolation = Isolation.fresh("deploy")

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask the server.

        Raises:
            OnionError: it cannot be reached.
            Web3RPCError: it answers with an HTTP error.
        """
        body = self.encode_rpc_request(method, params)
        reply = blocking_call(self._reactor, self._post, body)
        if reply.status != 200:
            raise Web3RPCError(f"the RPC server answered with HTTP status {reply.status}")
        return self.decode_rpc_response(reply.body)

    def _post(self, body: bytes) -> Deferred[Any]:
        return Deferred.fromCoroutine(
            self._http.post(
                self._url,
                body,
                content_type="application/json",
                isolation=self._isolation,
                timeout=TIMEOUT,
                limit=LIMIT,
            )
        )


def run_beside(reactor: Any) -> None:
    """Run a reactor in a thread of its own.

    It is told of no signals there, so not of children that have ended: it looks for itself.
    """
    LoopingCall(reapAllProcesses).start(REAP_SECONDS)
    threading.Thread(target=reactor.run, args=(False,), daemon=True).start()


def web3_through_tor(url: str, settings: Settings, tell: Tell) -> Web3:
    """Start a tor, and return a web3 that asks the server at a URL through it.

    Raises:
        OnionError: the URL cannot be used, or tor does not start.
    """
    parsed = Url.parse(url)
    reactor: Any = _reactor
    home = Path(tempfile.mkdtemp(prefix="bits-deploy-"))

    def report(event: OnionEvent) -> None:
        if text := sentence(event)[2]:
            tell(text)

    tor = own_tor(reactor, settings, home, report, exits=parsed.onion is None)
    run_beside(reactor)

    def stop() -> None:
        blocking_call(reactor, lambda: Deferred.fromCoroutine(tor.stop()))
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(stop)
    blocking_call(reactor, lambda: Deferred.fromCoroutine(tor.start()))
    return Web3(TorProvider(reactor, HttpClient(reactor, tor, tor.exits), parsed))
