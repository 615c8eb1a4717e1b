"""One RPC server of the chain: asked in a thread of its own, with deadlines, and never trusted."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime

from bitsnode.ledger import answers, errors
from bitsnode.ledger.answers import Header
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.jsonrpc import (
    MAX_BATCH,
    Request,
    read_answer,
    read_batch,
    result,
    write_batch,
    write_request,
)
from bitsnode.ledger.rpc_endpoint import Carrier, RpcEndpoint, RpcLimits
from bitsnode.ledger.rpc_thread import RpcThread
from onion.errors import (
    DialTimedOut,
    HttpAnswerInvalid,
    HttpAnswerTooLarge,
    HttpTimedOut,
    OnionError,
)
from onion.http import HttpClient
from onion.isolation import Isolation

if TYPE_CHECKING:
    from web3 import Web3

T = TypeVar("T")
__all__ = ["Asker", "Rpc", "RpcEndpoint", "RpcLimits"]
HTTP_OK: Final = 200


class Rpc:
    """One RPC server.

    Its chain id is checked before the first question and after each loss of the connection, and
    its newest block every `RpcLimits.head_every` seconds.
    """

    def __init__(
        self,
        clock: IReactorTime,
        carrier: Carrier,
        endpoint: RpcEndpoint,
        chain_id: int,
        limits: RpcLimits | None = None,
    ) -> None:
        self._clock = clock
        self._carrier = carrier
        self._chain_id = chain_id
        self._numbers = itertools.count(1)
        self._chain_checked = False
        self._head_checked: float | None = None
        self._highest = 0
        self._web3: Web3 | None = None
        self._asker: Asker | None = None
        self.endpoint = endpoint
        self.name = endpoint.name
        self.limits = limits or RpcLimits()

    async def read(
        self,
        work: Callable[[Asker], T],
        isolation: Isolation,
        deadline: float | None = None,
    ) -> T:
        """Do blocking work in the thread of this server, with the server to ask.

        Args:
            work: asks, reads the answers, and returns what they mean.
            isolation: whose question it is. Each server gets circuits of its own for it.
            deadline: seconds, waiting for the thread included.

        Raises:
            RpcError: the server cannot be asked, or answers wrongly.
        """
        seconds = self.limits.deadline if deadline is None else deadline
        asker = Asker(self, self._own(isolation), self._clock.seconds() + seconds)

        def checked() -> T:
            try:
                self._check(asker)
                return work(asker)
            except errors.RpcError as error:
                if self.name not in error.args:  # those who read answers do not know whose
                    error.args = (self.name, *error.args)
                raise

        done = self._carrier.run(checked)
        done.addTimeout(seconds, self._clock)
        try:
            return await done
        except DeferredTimeout as error:
            raise errors.RpcTimedOut(self.name, f"{seconds:g} s") from error

    async def run(
        self,
        call: Callable[[Web3], T],
        isolation: Isolation,
        deadline: float | None = None,
    ) -> T:
        """Do blocking work with web3 in the thread of this server.

        Raises:
            RpcRefused: the server or a contract refused; the data of a revert is in it.
            RpcError: as in `read`; also whatever web3 cannot make sense of.
        """

        def work(asker: Asker) -> T:
            with tamed_imports():
                from bitsnode.ledger.provider import call_web3, make_web3

            if self._web3 is None:
                self._web3 = make_web3(lambda write: self._current().exchange(write))
            self._asker = asker
            try:
                return call_web3(call, self._web3)
            finally:
                self._asker = None

        return await self.read(work, isolation, deadline)

    async def ask(
        self,
        method: str,
        params: Sequence[Any],
        isolation: Isolation,
        deadline: float | None = None,
    ) -> Any:
        """Ask one question; returns the result as JSON gave it.

        Raises:
            RpcError: as in `read`.
        """
        return await self.read(lambda asker: asker.ask(method, *params), isolation, deadline)

    async def head(self, isolation: Isolation) -> Header:
        """The newest block, checked to be new enough.

        Raises:
            RpcError: as in `read`.
        """
        return await self.read(self._look_at_head, isolation)

    def close(self, isolation: Isolation) -> None:
        """Close the idle connections of an isolation."""
        self._carrier.close(self._own(isolation))

    @classmethod
    def through(
        cls,
        reactor: Any,
        http: HttpClient,
        endpoint: RpcEndpoint,
        chain_id: int,
        limits: RpcLimits | None = None,
    ) -> Rpc:
        """An RPC server asked through tor, from a thread that starts with the first question."""
        return cls(reactor, RpcThread(reactor, http, endpoint.url), endpoint, chain_id, limits)

    async def stop(self) -> None:
        """End all questions."""
        await self._carrier.stop()

    def _own(self, isolation: Isolation) -> Isolation:
        # Else tor might use one circuit for two servers, and its exit would see them together.
        material = f"bits/rpc/v1\0{self.endpoint.url}\0{isolation.key}".encode()
        return Isolation(isolation.purpose, hashlib.sha256(material).hexdigest())

    def _current(self) -> Asker:
        if self._asker is None:
            raise RuntimeError("web3 is of use inside of run() only")
        return self._asker

    def _check(self, asker: Asker) -> None:
        """Is it our chain, and is its head where it should be?"""
        if not self._chain_checked:
            found = answers.quantity(asker.ask("eth_chainId"))
            if found != self._chain_id:
                raise errors.WrongChain(self.name, f"{found}, not {self._chain_id}")
            self._chain_checked = True
            self._head_checked = None
        due = self._head_checked
        if due is None or self._clock.seconds() - due >= self.limits.head_every:
            self._look_at_head(asker)

    def _look_at_head(self, asker: Asker) -> Header:
        head = answers.header(asker.ask("eth_getBlockByNumber", "latest", False))
        age = self._clock.seconds() - head.timestamp
        if age > self.limits.stale and not self.endpoint.own:
            raise errors.RpcStale(self.name, f"{age / 60:.0f} minutes")
        if head.number < self._highest - self.limits.reorg:
            raise errors.RpcWentBack(self.name, f"from {self._highest} to {head.number}")
        self._highest = max(self._highest, head.number)
        self._head_checked = self._clock.seconds()
        return head

    def _post(self, body: bytes, isolation: Isolation, expires: float) -> bytes:
        """Post from the thread; returns the body of the answer."""
        left = min(self.limits.answer, expires - self._clock.seconds())
        if left <= 0:
            raise errors.RpcTimedOut(self.name)
        try:
            reply = self._carrier.post(body, isolation, left, self.limits.size)
        except OnionError as error:
            self._chain_checked = False
            raise self._explained(error) from error
        if reply.status != HTTP_OK:
            raise errors.RpcHttpStatus(self.name, f"HTTP status {reply.status}")
        return reply.body

    def _explained(self, error: OnionError) -> errors.RpcError:
        if isinstance(error, HttpTimedOut | DialTimedOut):
            return errors.RpcTimedOut(self.name)
        if isinstance(error, HttpAnswerTooLarge):
            return errors.RpcAnswerTooLarge(self.name)
        if isinstance(error, HttpAnswerInvalid):
            return errors.RpcAnswerInvalid(self.name)
        return errors.RpcUnreachable(self.name, str(error))


class Asker:
    """Questions of one call, blocking: for use in the thread of the server alone."""

    def __init__(self, rpc: Rpc, isolation: Isolation, expires: float) -> None:
        self._rpc = rpc
        self._isolation = isolation
        self._expires = expires

    def ask(self, method: str, *params: Any) -> Any:
        """Ask one question; returns the result as JSON gave it.

        Raises:
            RpcError: the server cannot be asked, or answers wrongly or with an error.
        """
        return result(self.exchange(lambda number: write_request(number, Request(method, params))))

    def batch(self, requests: Sequence[Request]) -> list[Any]:
        """Ask any number of questions, at most `MAX_BATCH` at a time.

        Raises:
            RpcError: as in `ask`; also when one of the answers is an error.
        """
        found: list[Any] = []
        for start in range(0, len(requests), MAX_BATCH):
            part = requests[start : start + MAX_BATCH]
            first = next(self._rpc._numbers)
            for _ in part[1:]:
                next(self._rpc._numbers)
            body = self._rpc._post(write_batch(first, part), self._isolation, self._expires)
            found += [result(each) for each in read_batch(body, first, len(part))]
        return found

    def exchange(self, write: Callable[[int], bytes]) -> dict[str, Any]:
        """Post the request that is written for a number; returns its checked answer."""
        number = next(self._rpc._numbers)
        body = self._rpc._post(write(number), self._isolation, self._expires)
        return read_answer(body, number)
