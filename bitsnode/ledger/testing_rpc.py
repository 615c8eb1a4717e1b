"""RPC servers on a `FakeChain`: honest ones, and ones that lie, stall and babble as told."""

# mypy: disallow-untyped-calls=False

import json
from collections.abc import Callable
from typing import Any, TypeVar

from eth_hash.auto import keccak
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from bitsnode.ledger.rpc import Rpc, RpcEndpoint, RpcLimits
from bitsnode.ledger.testing import FakeChain, sender_and_nonce
from onion.errors import HttpTimedOut, ServiceNotFound
from onion.http import HttpReply
from onion.isolation import Isolation

T = TypeVar("T")


class FakeRefusal(Exception):
    """An answer with an error: code, message, and perhaps data."""


class FakeServer:
    """One RPC server.

    Attributes:
        chain: what it serves; another one may be put in its place.
        log: methods and params asked, in order.
        isolations: whose questions came, in order.
        faults: answers in place of its own, by method: a function of the params that returns a
            result or raises `FakeRefusal`.
        raw: bytes that it answers whatever it is asked.
        status: of HTTP.
        stalls: seconds that it takes to answer.
        down: it cannot be reached.
        range_limit: blocks that `eth_getLogs` may span.
        result_limit: logs that it may return.
    """

    def __init__(self, chain: FakeChain) -> None:
        self.chain = chain
        self.log: list[tuple[str, list[Any]]] = []
        self.isolations: list[Isolation] = []
        self.faults: dict[str, Callable[..., Any]] = {}
        self.raw: bytes | None = None
        self.status = 200
        self.stalls = 0.0
        self.down = False
        self.range_limit = 10_000
        self.result_limit = 10_000
        self.posts = 0

    def count(self, method: str) -> int:
        """How often a method was asked."""
        return sum(1 for name, _params in self.log if name == method)

    def handle(self, body: bytes) -> bytes:
        """Answer a request or a batch."""
        self.posts += 1
        if self.raw is not None:
            return self.raw
        asked = json.loads(body)
        if isinstance(asked, list):
            return json.dumps([self._answer(each) for each in asked]).encode()
        return json.dumps(self._answer(asked)).encode()

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked["params"]
        self.log.append((method, params))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
        own = getattr(self, "_" + method, None)
        try:
            if method in self.faults:
                answer["result"] = self.faults[method](*params)
            elif own is None:
                raise FakeRefusal(-32601, "no such method")
            else:
                answer["result"] = own(*params)
        except FakeRefusal as refusal:
            code, message, *data = refusal.args
            answer["error"] = {"code": code, "message": message}
            if data:
                answer["error"]["data"] = data[0]
        return answer

    def _number(self, tag: str) -> int:
        head = self.chain.head.number
        if tag in ("latest", "pending"):
            return head
        if tag in ("finalized", "safe"):
            return max(0, head - self.chain.finality)
        return int(tag, 16)

    def _eth_chainId(self) -> str:
        return hex(self.chain.chain_id)

    def _eth_blockNumber(self) -> str:
        return hex(self.chain.head.number)

    def _eth_getBlockByNumber(self, tag: str, _full: bool) -> Any:
        number = self._number(tag)
        if number >= len(self.chain.blocks):
            return None
        return self.chain.blocks[number].header(self.chain.base_fee)

    def _eth_getLogs(self, wanted: dict[str, Any]) -> Any:
        first, last = self._number(wanted["fromBlock"]), self._number(wanted["toBlock"])
        if last - first + 1 > self.range_limit:
            raise FakeRefusal(-32005, "block range is too large")
        addresses = {address.lower() for address in wanted["address"]}
        blocks = self.chain.blocks[first : last + 1]
        found = [log for block in blocks for log in block.log_objects()]
        found = [log for log in found if log["address"] in addresses]
        if len(found) > self.result_limit:
            raise FakeRefusal(-32005, "query returned more than 10000 results")
        return found

    def _eth_getBalance(self, address: str, _tag: str) -> str:
        return hex(self.chain.balances.get(address.lower(), 0))

    def _eth_getTransactionCount(self, address: str, tag: str) -> str:
        last = None if tag == "pending" else self._number(tag)
        return hex(self.chain.nonce(address, last))

    def _eth_gasPrice(self) -> str:
        return hex(self.chain.base_fee + self.chain.tip)

    def _eth_estimateGas(self, _fields: dict[str, Any], *_tag: str) -> str:
        return hex(21_000)

    def _eth_call(self, _fields: dict[str, Any], _tag: str) -> str:
        return "0x" + (7).to_bytes(32, "big").hex()

    def _eth_getCode(self, _address: str, _tag: str) -> str:
        return "0x00"

    def _eth_sendRawTransaction(self, text: str) -> str:
        raw = bytes.fromhex(text[2:])
        digest = keccak(raw)
        self.chain.received.append(raw)
        sender, nonce = sender_and_nonce(raw)
        if digest in self.chain.pool:
            raise FakeRefusal(-32000, "already known")
        if nonce < self.chain.nonce(sender, self.chain.head.number):
            raise FakeRefusal(-32000, "nonce too low")
        same = [h for h, r in self.chain.pool.items() if sender_and_nonce(r) == (sender, nonce)]
        for replaced in same:
            del self.chain.pool[replaced]
        self.chain.pool[digest] = raw
        return "0x" + digest.hex()

    def _eth_getTransactionReceipt(self, text: str) -> Any:
        return self.chain.receipt(bytes.fromhex(text[2:]))


class FakeCarrier:
    """See `bitsnode.ledger.rpc.Carrier`: no thread, no tor; stalls pass on the clock."""

    def __init__(self, clock: Clock, server: FakeServer) -> None:
        self._clock = clock
        self._server = server

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Do the work at once."""
        done: Deferred[T] = execute(work)
        return done

    def post(self, body: bytes, isolation: Isolation, timeout: float, limit: int) -> HttpReply:
        """Have the server answer."""
        server = self._server
        server.isolations.append(isolation)
        if server.down:
            raise ServiceNotFound
        self._clock.advance(min(server.stalls, timeout))
        if server.stalls >= timeout:
            raise HttpTimedOut
        return HttpReply(server.status, server.handle(body))

    def close(self, isolation: Isolation) -> None:
        """There is nothing to close."""

    async def stop(self) -> None:
        """There is nothing to stop."""


def fake_rpc(
    clock: Clock,
    server: FakeServer,
    name: str = "one",
    own: bool = False,
    limits: RpcLimits | None = None,
    chain_id: int = 13370042,
) -> Rpc:
    """An `Rpc` on a fake server, without a thread."""
    endpoint = RpcEndpoint(f"https://{name}.example.org/key-of-{name}", own)
    return Rpc(clock, FakeCarrier(clock, server), endpoint, chain_id, limits)
