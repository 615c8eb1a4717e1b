"""Circuits over which shares pass: they take time, and end when a node leaves."""

import weakref
from typing import Any

from bitsnode.wire.messages import Data, PutData, Request
from onion.address import OnionAddress
from onion.isolation import Isolation
from tests.sim.network import CircuitPeers, End, Fabric, Gone

CIRCUIT_RATE = 250_000.0  # bytes a second that one circuit carries; assumed
FETCHING = "fetch"  # the purpose of a fetch's isolation


class StoreCircuits(CircuitPeers):
    """Circuits on which a stretch of a share takes its time, one after the other.

    One to a node that left and came back is a new one.

    Attributes:
        asked: questions of fetches.
    """

    def __init__(self, fabric: Fabric, *others: Any) -> None:
        super().__init__(fabric, *others)
        self._world = fabric
        self._far: dict[tuple[bytes, str], End | None] = {}
        self._free_at: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self.asked = 0

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """See `CircuitPeers.request`."""
        if isolation.purpose == FETCHING:
            self.asked += 1
        return await super().request(address, message, isolation, timeout)

    def close(self, isolation: Isolation) -> None:
        """See `CircuitPeers.close`."""
        super().close(isolation)
        for key in [key for key in self._far if key[1] == isolation.key]:
            del self._far[key]

    def _open(self, address: OnionAddress, isolation: Isolation) -> Any:
        key = address.public_key, isolation.key
        if self._far.get(key) is not self._world.ends.get(address.public_key):
            self._circuits.pop(key, None)
        return super()._open(address, isolation)

    async def _dial(self, key: tuple[bytes, str], isolation: Isolation) -> Any:
        circuit = await super()._dial(key, isolation)
        self._far[key] = self._world.ends.get(key[0])
        return circuit

    async def _carry(self, circuit: Any, end: End, message: Request) -> object:
        if isinstance(message, PutData):
            await self._carried(circuit, end, len(message.data))
        answer = await super()._carry(circuit, end, message)
        if isinstance(answer, Data):
            await self._carried(circuit, end, len(answer.data))
        return answer

    async def _carried(self, circuit: Any, end: End, size: int) -> None:
        """Return when so many bytes are through, behind those that are under way already.

        Raises:
            Gone: the other end left meanwhile.
        """
        clock = self._world.clock
        free_at = max(clock.seconds(), self._free_at.get(circuit, 0.0)) + size / CIRCUIT_RATE
        self._free_at[circuit] = free_at
        await clock.sleep(free_at - clock.seconds())
        if not end.alive:
            raise Gone
