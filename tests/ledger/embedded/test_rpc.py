"""The JSON-RPC as askers see it: envelopes, limits, views, and what only this machine may do."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.ledger.embedded import methods, show
from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.dispatch import Dispatcher
from bitsnode.ledger.embedded.errors import RpcFault
from bitsnode.ledger.embedded.framing import MAX_BODY, MAX_DEPTH, JsonSplitter, NotJson
from bitsnode.ledger.embedded.worker import MAX_WAITING, Worker

BOB = "0x" + "bb" * 20
Ask = Callable[..., Any]


@define
class AtOnce:
    """A worker without a thread: jobs run when they are given, or wait if it is held."""

    held: bool = False
    ran: list[bool] = field(factory=list)

    def run(self, job: Callable[[], Any], *, local: bool) -> "Deferred[Any]":
        """Run a job."""
        done: Deferred[Any] = Deferred()
        if self.held:
            return done
        self.ran.append(local)
        try:
            done.callback(job())
        except Exception as error:
            done.errback(error)
        return done


def answered(dispatcher: Dispatcher, body: bytes) -> bytes:
    """Return the answer to a body that is answered at once."""
    results: list[bytes] = []
    Deferred.fromCoroutine(dispatcher.answer(body)).addCallback(results.append)
    assert results, "not answered"
    return results[0]


@pytest.fixture
def ask(hand: Any) -> Ask:
    """Ask a method and return its result; a fault is raised."""

    def asking(method: str, *params: Any, local: bool = False) -> Any:
        result = methods.answer(hand.chain, method, params, local=local)
        return json.loads(json.dumps(result))

    return asking


def post(chain: EmbeddedChain, value: Any, *, local: bool = False) -> Any:
    """Answer a body given as a value; return the answer as one, None if there is none."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    said = answered(Dispatcher(chain, AtOnce(), local=local), body)  # type: ignore[arg-type]
    return json.loads(said) if said else None


def request(method: str, *params: Any, **fields: Any) -> dict[str, Any]:
    """A request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params), **fields}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"{}{}", -32700),
        (b'"x"', -32700),
        (b"[1,]", -32700),
        (b"\xff\xfe", -32700),
        (b'{"a": NaN}', -32700),
        (b'{"id": 1' + b"0" * 5000 + b"}", -32700),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), -32700),
        (b'["' + b"x" * MAX_BODY + b'"]', -32700),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}', -32601),
    ],
)
def test_bodies_that_are_no_requests(chain: EmbeddedChain, body: bytes, code: int) -> None:
    """Whatever is no request gets the error that JSON-RPC has for it."""
    assert post(chain, body)["error"]["code"] == code


def test_batches(chain: EmbeddedChain) -> None:
    """Batches are answered in order without notifications; too long ones are refused whole."""
    batch = [
        request("eth_chainId", id="a"),
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        5,
        request("nothing", id=7),
    ]
    said = post(chain, batch)
    assert [each["id"] for each in said] == ["a", None, 7]
    assert said[0]["result"] == hex(13370042)
    assert post(chain, [{"jsonrpc": "2.0", "method": "eth_chainId"}]) is None
    assert post(chain, [request("eth_chainId")] * 101)["error"]["code"] == -32600
    assert len(post(chain, [request("eth_chainId")] * 100)) == 100


def test_faults_of_ours_tell_nothing(chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug shows as "internal error": no text, no path."""

    def broken(*arguments: Any, **options: Any) -> None:
        raise OSError("/home/alice/secret")

    monkeypatch.setattr("bitsnode.ledger.embedded.dispatch.answer", broken)
    said = post(chain, request("eth_chainId"))
    assert said["error"] == {"code": -32603, "message": "internal error"}


@pytest.mark.parametrize("method", ["evm_increaseTime", "evm_mine", "bits_fund", "bits_faucet"])
def test_the_onion_service_has_no_local_methods(chain: EmbeddedChain, method: str) -> None:
    """What moves time or money exists for this machine's tools alone."""
    height = chain.height
    public = post(chain, request(method, "0x1", "0x1"))["error"]
    unknown = post(chain, request("eth_nothing"))["error"]
    assert public == {**unknown, "message": public["message"]}
    assert public["message"] == f"the method {method} does not exist/is not available"
    assert chain.height == height


def test_local_methods(chain: EmbeddedChain) -> None:
    """This machine's tools can mine, move time and take from the faucet."""
    assert post(chain, request("evm_mine"), local=True)["result"] == "0x0"
    assert post(chain, request("evm_increaseTime", 60), local=True)["result"] == 60
    paid = post(chain, request("bits_fund", BOB, "0x10"), local=True)["result"]
    assert post(chain, request("eth_getBalance", BOB, "latest"))["result"] == "0x10"
    receipt = post(chain, request("eth_getTransactionReceipt", paid))["result"]
    assert receipt["from"] == post(chain, request("bits_faucet"), local=True)["result"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", []),
        ("eth_getBalance", [5]),
        ("eth_getBalance", ["0x1234"]),
        ("eth_getBalance", ["0x" + "zz" * 20]),
        ("eth_getBalance", ["0x52908400098527886E0F7030069857D2E4169Ee7"]),
        ("eth_getBalance", [BOB, "0x01"]),
        ("eth_getBalance", [BOB, "last"]),
        ("eth_getBalance", [BOB, {"blockNumber": "0x0", "x": 1}]),
        ("eth_getBalance", [BOB, ["0x0"]]),
        ("eth_getBalance", [BOB, "0x" + "f" * 65]),
        ("eth_getBlockByNumber", ["0x0", "yes"]),
        ("eth_getTransactionByHash", ["0x12"]),
        ("eth_call", ["x"]),
        ("eth_call", [{"to": BOB, "wat": 1}]),
        ("eth_call", [{"to": BOB, "data": "0x1"}]),
        ("eth_call", [{"to": BOB, "data": "0x11", "input": "0x22"}]),
        ("eth_call", [{"to": BOB, "gasPrice": "0x1", "maxFeePerGas": "0x1"}]),
        ("eth_call", [{"to": BOB, "accessList": [1]}]),
        ("eth_call", [{"to": BOB}, "latest", {BOB: {"balance": "0x1"}}]),
        ("eth_sendRawTransaction", [None]),
        ("eth_sendRawTransaction", ["0xzz"]),
        ("eth_getLogs", [[]]),
        ("eth_getLogs", [{"fromBlock": ["0x0"]}]),
        ("eth_getLogs", [{"topics": "0x"}]),
        ("eth_getLogs", [{"topics": [[["0x"]]]}]),
        ("eth_getLogs", [{"address": [BOB, 5]}]),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}]),
        ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0xffff"}]),
        ("eth_getLogs", [{"blockHash": "0x" + "00" * 32, "fromBlock": "0x0"}]),
        ("eth_getLogs", [{"wat": 1}]),
        ("eth_feeHistory", ["0x1", "latest", [50, 10]]),
        ("eth_feeHistory", ["0x1", "latest", ["x"]]),
        ("eth_getStorageAt", [BOB, "0x" + "1" * 65]),
    ],
)
def test_arguments_that_are_none(ask: Ask, method: str, params: list[Any]) -> None:
    """Each wrong argument is -32602."""
    with pytest.raises(RpcFault) as caught:
        ask(method, *params)
    assert caught.value.code == -32602


def test_blocks_by_every_name(hand: Any, ask: Ask) -> None:
    """Tags, numbers and hashes lead to the same blocks; safe and finalized are the last one."""
    hand.send(to=bytes.fromhex("bb" * 20), value=1)
    last = ask("eth_getBlockByNumber", "latest", False)
    for tag in ("safe", "finalized", "0x2"):
        assert ask("eth_getBlockByNumber", tag, False) == last
    assert ask("eth_getBlockByHash", last["hash"], False) == last
    assert ask("eth_getBlockByNumber", "earliest", False)["number"] == "0x0"
    pending = ask("eth_getBlockByNumber", "pending", False)
    assert (pending["number"], pending["hash"]) == ("0x3", None)
    assert pending["parentHash"] == last["hash"]
    assert ask("eth_getBlockByNumber", "0x99", False) is None
    assert ask("eth_getBlockByHash", "0x" + "00" * 32, False) is None
    for name in ({"blockNumber": "0x2"}, {"blockHash": last["hash"]}, "pending", "latest"):
        assert ask("eth_getBalance", BOB, name) == "0x1"
    with pytest.raises(RpcFault, match="header not found"):
        ask("eth_getBalance", BOB, "0x99")


def test_a_transaction_from_every_side(hand: Any, ask: Ask, encoded: Callable[..., bytes]) -> None:
    """By hash, by place, in its block and in its receipt a transaction is the same."""
    probe = hand.deploy()
    mined = hand.send(to=probe, data=encoded("note(uint256)", 2))
    key = "0x" + mined.hash.hex()
    shown = ask("eth_getTransactionByHash", key)
    block = ask("eth_getBlockByNumber", shown["blockNumber"], True)
    assert block["transactions"] == [shown]
    assert ask("eth_getTransactionByBlockHashAndIndex", block["hash"], "0x0") == shown
    assert ask("eth_getTransactionByBlockNumberAndIndex", "latest", "0x0") == shown
    assert ask("eth_getTransactionByBlockNumberAndIndex", "latest", "0x1") is None
    assert ask("eth_getBlockTransactionCountByNumber", "latest") == "0x1"
    receipt = ask("eth_getTransactionReceipt", key)
    assert ask("eth_getBlockReceipts", "latest") == [receipt]
    assert receipt["logs"] == ask("eth_getLogs", {"blockHash": block["hash"]})
    assert len(receipt["logs"]) == 4
    assert receipt["logsBloom"] == block["logsBloom"]
    assert receipt["logs"][0]["address"] == "0x" + probe.hex()
    assert receipt["gasUsed"] == block["gasUsed"]
    assert ask("eth_getRawTransactionByHash", key) == "0x" + mined.raw.hex()
    assert ask("eth_getTransactionReceipt", "0x" + "00" * 32) is None
    assert ask("eth_getTransactionCount", hand.account.address, "pending") == "0x2"
    assert ask("eth_getCode", receipt["to"], "latest").startswith("0x60")


def test_log_limits(
    hand: Any, ask: Ask, encoded: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More blocks or results than allowed, and blocks that are not there, are refused."""
    probe = hand.deploy()
    hand.send(to=probe, data=encoded("note(uint256)", 3))
    assert len(ask("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"})) == 6
    assert len(ask("eth_getLogs", {})) == 6
    monkeypatch.setattr(show, "MAX_LOGS", 5)
    with pytest.raises(RpcFault, match="more than 5 results"):
        ask("eth_getLogs", {"fromBlock": "0x0"})
    monkeypatch.setattr("bitsnode.ledger.embedded.params.MAX_LOG_BLOCKS", 2)
    with pytest.raises(RpcFault, match="larger than 2"):
        ask("eth_getLogs", {"fromBlock": "0x1", "toBlock": "0x3"})
    with pytest.raises(RpcFault, match="unknown block"):
        ask("eth_getLogs", {"blockHash": "0x" + "00" * 32})


def test_errors_of_contracts(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A custom error is JSON-RPC error 3 with data as hex, in calls and estimates."""
    probe = "0x" + hand.deploy().hex()
    call = {"to": probe, "data": "0x" + encoded("refuse(uint256)", 1).hex()}
    for method in ("eth_call", "eth_estimateGas"):
        error = post(hand.chain, request(method, call))["error"]
        assert error["code"] == 3
        assert error["data"].startswith("0x")
        assert len(error["data"]) == 2 + 2 * 68


def test_fees(hand: Any, ask: Ask) -> None:
    """Fee methods agree with the blocks."""
    hand.send(to=bytes(20), value=1)
    base = hand.chain.next_header().base_fee_per_gas
    tip = int(ask("eth_maxPriorityFeePerGas"), 16)
    assert int(ask("eth_gasPrice"), 16) == base + tip
    history = ask("eth_feeHistory", "0x2", "latest", [0, 50, 100])
    assert history["oldestBlock"] == "0x1"
    assert int(history["baseFeePerGas"][-1], 16) == base
    assert history["gasUsedRatio"] == [21000 / 30_000_000] * 2
    assert history["reward"][1] == ["0x1"] * 3
    assert len(ask("eth_feeHistory", 5000, "latest")["gasUsedRatio"]) == 3


class TestSplitter:
    """Where values end, however they arrive."""

    def test_values_in_any_pieces(self) -> None:
        """Whole, byte by byte, joined or spaced: the same values come out."""
        values = [b'{"a":"}\\"\\\\"}', b"[[],{}]", b'["\\\\"]', b"{}"]
        stream = values[0] + b"\n" + values[1] + values[2] + b" \r\n\t" + values[3]
        assert JsonSplitter().feed(stream) == values
        for step in (1, 2, 3, 7):
            splitter, found = JsonSplitter(), []
            for start in range(0, len(stream), step):
                found += splitter.feed(stream[start : start + step])
            assert found == values
            assert splitter.empty

    @pytest.mark.parametrize(
        "data",
        [b"x", b"}", b" 5", b"[" * (MAX_DEPTH + 1), b'{"' + b"a" * MAX_BODY],
        ids=["letter", "end", "number", "deep", "large"],
    )
    def test_what_ends_the_connection(self, data: bytes) -> None:
        """What begins no object or list, is too deep or too large is not taken."""
        with pytest.raises(NotJson):
            JsonSplitter().feed(data)


class ThreadReactor(Clock):
    """A clock whose `callFromThread` keeps calls until they are fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.there = threading.Semaphore(0)

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        """Keep a call."""
        self.calls.append((function, *arguments))
        self.there.release()

    def fetch(self) -> None:
        """Wait for one call, and make it."""
        assert self.there.acquire(timeout=20)
        function, *arguments = self.calls.pop(0)
        function(*arguments)


class TestWorker:
    """The one thread and its queues."""

    @pytest.fixture
    def reactor(self) -> ThreadReactor:
        """Where results come back."""
        return ThreadReactor()

    @pytest.fixture
    def worker(self, reactor: ThreadReactor) -> Iterator[Worker]:
        """A worker that is stopped at the end."""
        worker = Worker(reactor)
        yield worker
        worker.stop()
        reactor.fetch()

    def test_the_sockets_jobs_come_first(self, worker: Worker, reactor: ThreadReactor) -> None:
        """While a job runs, those of this machine pass those of the onion service."""
        hold, began, order = threading.Event(), threading.Event(), []

        def first() -> None:
            began.set()
            hold.wait(20)

        worker.run(first, local=False)
        began.wait(20)
        worker.run(lambda: order.append("public"), local=False)
        worker.run(lambda: order.append("local"), local=True)
        hold.set()
        for _ in range(3):
            reactor.fetch()
        assert order == ["local", "public"]

    def test_too_many_wait(self, worker: Worker, reactor: ThreadReactor) -> None:
        """A full queue refuses at once; the other side's queue is its own."""
        hold, began, faults = threading.Event(), threading.Event(), []
        worker.run(lambda: (began.set(), hold.wait(20)), local=False)
        began.wait(20)
        waiting = [worker.run(lambda: None, local=False) for _ in range(MAX_WAITING)]
        worker.run(lambda: None, local=False).addErrback(lambda f: faults.append(f.value.code))
        assert faults == [-32005]
        waiting[5].addErrback(lambda _: None)
        waiting[5].cancel()
        worker.run(lambda: None, local=False)
        worker.run(lambda: None, local=True)
        hold.set()
        for _ in range(MAX_WAITING + 2):
            reactor.fetch()
        assert all(each.called for each in waiting)
