"""What is certain: final, and the same at two RPC servers or at one of one's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from bitsnode.ledger import errors
from bitsnode.ledger.answers import Header
from bitsnode.ledger.ranges import read_headers, read_tag
from bitsnode.ledger.rpc import Asker, Rpc
from onion.isolation import Isolation

if TYPE_CHECKING:
    from web3 import Web3

T = TypeVar("T")
Tag = Literal["safe", "finalized"]
NEEDED: Final = 2  # servers that say the same
OLDEST_FINAL: Final = 2 * 3600  # seconds; Ethereum needs 15 minutes, rollups up to an hour


@attrs.frozen
class _Said(Generic[T]):
    """What one server said."""

    rpc: Rpc
    value: T


class Agreement:
    """Asks all servers, and believes two that agree, or one of one's own."""

    def __init__(self, clock: IReactorTime, rpcs: Sequence[Rpc]) -> None:
        self._clock = clock
        own = [rpc for rpc in rpcs if rpc.endpoint.own]
        self._rpcs = own[:1] or list(rpcs)
        self._needed = 1 if own else NEEDED

    def check(self) -> None:
        """See that there are servers enough to agree at all.

        Raises:
            NoRpc: there is none.
            TooFewRpcs: there is one, which is not one's own.
        """
        if not self._rpcs:
            raise errors.NoRpc
        hosts = {rpc.name for rpc in self._rpcs}
        if len(hosts) < self._needed:
            raise errors.TooFewRpcs(", ".join(sorted(hosts)))

    async def agreed(
        self,
        call: Callable[[Web3, int], T],
        isolation: Isolation,
        tag: Tag = "finalized",
    ) -> T:
        """What a call returns at the newest block that is final, if servers enough say the same.

        Args:
            call: is given a web3 and the number of the block to ask about; what it returns can be
                compared.
            isolation: whose question it is.
            tag: "safe" is of use below sums that are worth an attack on the chain.

        Raises:
            TooFewRpcs: see `check`.
            NotFinal: no recent block is final.
            RpcsDisagree: the servers contradict one another.
            RpcError: not enough of them answer; the error of the first one that does not.
        """
        self.check()
        heads = await self._ask(lambda rpc: rpc.read(partial(_head, tag=tag), isolation))
        # The newest block that servers enough know: one that is ahead or behind changes nothing.
        numbers = sorted((said.value.number for said in heads), reverse=True)
        number = numbers[self._needed - 1]
        knowing = [said.rpc for said in heads if said.value.number >= number]
        header = self._same(
            await self._ask(lambda rpc: rpc.read(partial(_at, number), isolation), knowing),
            lambda header: header.hash,
        )
        age = self._clock.seconds() - header.timestamp
        if age > OLDEST_FINAL and self._needed > 1:
            raise errors.NotFinal(f"the newest one is {age / 60:.0f} minutes old")
        values = await self._ask(
            lambda rpc: rpc.run(lambda web3: call(web3, number), isolation), knowing
        )
        return self._same(values, lambda value: value)

    async def _ask(
        self,
        question: Callable[[Rpc], Coroutine[Any, Any, T] | Awaitable[T]],
        rpcs: Sequence[Rpc] | None = None,
    ) -> list[_Said[T]]:
        """Ask servers at the same time; returns what those say that answer."""
        failures: list[errors.RpcError] = []

        async def ask(rpc: Rpc) -> _Said[T] | None:
            try:
                return _Said(rpc, await question(rpc))
            except errors.RpcError as error:
                failures.append(error)
                return None

        asked = [Deferred.fromCoroutine(ask(rpc)) for rpc in rpcs or self._rpcs]
        said = [each for each in await gatherResults(asked) if each is not None]
        if len(said) < self._needed:
            raise failures[0] if failures else errors.TooFewRpcs()
        return said

    def _same(self, said: Sequence[_Said[T]], by: Callable[[T], object]) -> T:
        """What servers enough say alike."""
        for candidate in said:
            agreeing = [each for each in said if by(each.value) == by(candidate.value)]
            if len(agreeing) >= self._needed:
                return candidate.value
        raise errors.RpcsDisagree(" and ".join(each.rpc.name for each in said))


def _head(asker: Asker, tag: Tag) -> Header:
    return read_tag(asker, tag)


def _at(number: int, asker: Asker) -> Header:
    return read_headers(asker, [number])[number]
