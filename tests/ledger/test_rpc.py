"""One RPC server: what is asked, what is checked, and every way in which it may lie."""

import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.task import Clock

from bitsnode.ledger import errors
from bitsnode.ledger.jsonrpc import Request
from bitsnode.ledger.rpc import RpcEndpoint, RpcLimits
from bitsnode.ledger.testing import FakeChain
from bitsnode.ledger.testing_rpc import FakeRefusal, FakeServer, fake_rpc
from onion.isolation import Isolation

ME = Isolation("rpc", "me")
YOU = Isolation("rpc", "you")
NOBODY = "0x" + "00" * 20
ABI = [
    {
        "type": "function",
        "name": "number",
        "inputs": [{"type": "address", "name": "of"}],
        "outputs": [{"type": "uint256", "name": ""}],
        "stateMutability": "view",
    }
]
Got = Callable[[Coroutine[Any, Any, Any]], Any]


def _call(web3: Any) -> int:
    found: int = web3.eth.contract(address=NOBODY, abi=ABI).functions.number(NOBODY).call()
    return found


def test_web3_makes_no_request_but_those_asked_for(
    clock: Clock, fake_server: FakeServer, got: Got
) -> None:
    """Two checks of the server come first; then one call is one request, and one balance one."""
    rpc = fake_rpc(clock, fake_server)
    assert got(rpc.run(_call, ME)) == 7
    assert [m for m, _ in fake_server.log] == ["eth_chainId", "eth_getBlockByNumber", "eth_call"]
    assert got(rpc.run(_call, ME)) == 7
    assert got(rpc.run(lambda web3: web3.eth.get_balance(NOBODY), ME)) == 0
    assert [m for m, _ in fake_server.log[3:]] == ["eth_call", "eth_getBalance"]


def test_a_contract_cannot_make_web3_fetch_web_addresses(
    clock: Clock, fake_server: FakeServer, got: Got
) -> None:
    """A revert with ERC-3668's OffchainLookup is a revert like others, and nothing is fetched."""
    from eth_abi import encode

    lookup = encode(
        ["address", "string[]", "bytes", "bytes4", "bytes"],
        [NOBODY, ["https://evil.example.org/{sender}/{data}"], b"", b"1234", b""],
    )

    def revert(*_params: Any) -> None:
        raise FakeRefusal(3, "execution reverted", "0x556f1830" + lookup.hex())

    fake_server.faults["eth_call"] = revert
    with pytest.raises(errors.RpcRefused) as refused:
        got(fake_rpc(clock, fake_server).run(_call, ME))
    assert refused.value.data is not None
    assert refused.value.data.startswith("0x556f1830")
    assert fake_server.count("eth_call") == 1


def test_isolations_stay_apart_and_each_server_has_its_own(
    clock: Clock, fake_chain: FakeChain, got: Got
) -> None:
    """Two accounts never share an isolation, nor does one account at two servers."""
    servers = [FakeServer(fake_chain), FakeServer(fake_chain)]
    for server, name in zip(servers, ("one", "two"), strict=True):
        rpc = fake_rpc(clock, server, name)
        for who in (ME, YOU, ME):
            got(rpc.ask("eth_blockNumber", [], who))
    first, second = (set(server.isolations) for server in servers)
    assert len(first) == len(second) == 2
    assert first.isdisjoint(second)
    assert all(ME.key not in each.key for each in first | second)


def test_a2_a_wrong_chain_id_is_refused(clock: Clock, fake_server: FakeServer, got: Got) -> None:
    """Nothing is asked of a server of another chain, and the sentence says which it serves."""
    rpc = fake_rpc(clock, fake_server, chain_id=1)
    for _ in range(2):
        with pytest.raises(errors.WrongChain, match=r"another.*one\.ex.*13370042, not 1"):
            got(rpc.ask("eth_blockNumber", [], ME))
    assert fake_server.count("eth_blockNumber") == 0


def test_a2_an_old_head_is_refused_unless_the_chain_is_ones_own(
    clock: Clock, fake_server: FakeServer, got: Got
) -> None:
    """A server whose newest block is older than ten minutes is not asked; one's own may rest."""
    rpc = fake_rpc(clock, fake_server)
    got(rpc.ask("eth_blockNumber", [], ME))
    clock.advance(601)
    with pytest.raises(errors.RpcStale, match=r"behind.*10 minutes"):
        got(rpc.ask("eth_blockNumber", [], ME))
    fake_server.chain.mine()
    got(rpc.ask("eth_blockNumber", [], ME))
    clock.advance(10_000)
    got(fake_rpc(clock, fake_server, own=True).ask("eth_blockNumber", [], ME))


def test_a_head_may_go_back_as_far_as_a_reorganisation(
    clock: Clock, fake_server: FakeServer, fake_chain: FakeChain, got: Got
) -> None:
    """Blocks may be dropped within the limit; further back the server is refused."""
    fake_chain.mine(count=100)
    rpc = fake_rpc(clock, fake_server, limits=RpcLimits(reorg=64))
    assert got(rpc.head(ME)).number == 100
    fake_chain.fork(64)
    assert got(rpc.head(ME)).number == 36
    fake_chain.fork(1)
    with pytest.raises(errors.RpcWentBack, match="from 100 to 35"):
        got(rpc.head(ME))


def test_the_chain_is_checked_again_after_a_loss(
    clock: Clock, fake_server: FakeServer, got: Got
) -> None:
    """When a connection was lost, another server may answer next: its chain id is asked."""
    rpc = fake_rpc(clock, fake_server)
    got(rpc.ask("eth_blockNumber", [], ME))
    fake_server.down = True
    with pytest.raises(errors.RpcUnreachable, match=r"could not be reached.*one\.example\.org"):
        got(rpc.ask("eth_blockNumber", [], ME))
    fake_server.down = False
    fake_server.chain.chain_id = 5
    with pytest.raises(errors.WrongChain):
        got(rpc.ask("eth_blockNumber", [], ME))


def test_a2_a_stall_ends_in_time(clock: Clock, fake_server: FakeServer, got: Got) -> None:
    """A server that takes longer than it may is given up, and a call that asks much ends too."""
    limits = RpcLimits(answer=10, deadline=25)
    rpc = fake_rpc(clock, fake_server, limits=limits)
    got(rpc.ask("eth_blockNumber", [], ME))
    fake_server.stalls = 10
    before = clock.seconds()
    with pytest.raises(errors.RpcTimedOut, match="did not answer in time"):
        got(rpc.ask("eth_blockNumber", [], ME))
    assert clock.seconds() - before == 10
    fake_server.stalls = 9
    with pytest.raises(errors.RpcTimedOut):
        got(rpc.read(lambda asker: [asker.ask("eth_blockNumber") for _ in range(9)], ME))
    assert clock.seconds() - before <= 10 + 27


def _answer(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0xcc06fa"} | fields).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"0x1"',
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"NaN",
        b'{"jsonrpc": "2.0", "id": 1, "result": Infinity}',
        b'{"jsonrpc": "2.0", "id": 1, "result": ' + b"9" * 10_000 + b"}",
        _answer(id=2),
        _answer(id="1"),
        _answer(id=True),
        _answer(id=None),
        _answer(id=[1]),
        _answer(jsonrpc="1.0"),
        b'{"jsonrpc": "2.0", "id": 1}',
        _answer(result=None),
        _answer(result=13370042),
        _answer(result=["0xcc06fa"]),
        _answer(result="cc06fa"),
        _answer(result="0x"),
        _answer(result="0x00cc06fa"),
        _answer(result="0x" + "f" * 65),
        _answer(result="0x" + "f" * 1_000_000),
        _answer(result="0x-1"),
        _answer(error="no"),
        _answer(error={"code": "x", "message": "y"}),
        _answer(error={"code": 1}),
    ],
)
def test_a2_nonsense_is_one_sentence(
    clock: Clock, fake_server: FakeServer, got: Got, raw: bytes
) -> None:
    """Whatever bytes a server answers, the error is typed, short and names the server."""
    fake_server.raw = raw
    for own in (False, True):
        rpc = fake_rpc(clock, fake_server, own=own)
        with pytest.raises(errors.RpcAnswerInvalid, match=r"one\.example\.org") as wrong:
            got(rpc.ask("eth_blockNumber", [], ME))
        assert len(str(wrong.value)) < 200
        assert "key-of-one" not in str(wrong.value)


@pytest.mark.parametrize("result", [None, "x", 5, [], {}, "0x1", "0x" + "11" * 31, {"a": None}])
def test_web3_given_nonsense_raises_our_errors(
    clock: Clock, fake_server: FakeServer, got: Got, result: Any
) -> None:
    """What web3 raises on answers of the wrong kind is turned into an error of ours."""
    rpc = fake_rpc(clock, fake_server)
    fake_server.faults["eth_call"] = lambda *_params: result
    with pytest.raises(errors.RpcError):
        got(rpc.run(_call, ME))


@pytest.mark.parametrize("status", [500, 302, 404, 429])
def test_a_refused_request_is_one_sentence(
    clock: Clock, fake_server: FakeServer, got: Got, status: int
) -> None:
    """Any HTTP status but 200 is a refusal, whatever the body says."""
    fake_server.status = status
    with pytest.raises(errors.RpcHttpStatus, match=f"HTTP status {status}"):
        got(fake_rpc(clock, fake_server).ask("eth_blockNumber", [], ME))


def test_an_error_keeps_its_code_and_data_and_loses_its_tricks(
    clock: Clock, fake_server: FakeServer, got: Got
) -> None:
    """Code and data of an error are kept; its message is cut and has no control characters."""

    def refuse(*_params: Any) -> None:
        raise FakeRefusal(-32000, "bad\x1b[31m\nthing" + "!" * 1000, "0x1234")

    fake_server.faults["eth_blockNumber"] = refuse
    with pytest.raises(errors.RpcRefused) as refused:
        got(fake_rpc(clock, fake_server).ask("eth_blockNumber", [], ME))
    assert (refused.value.code, refused.value.data) == (-32000, "0x1234")
    assert str(refused.value).isprintable()
    assert len(refused.value.message) == 300


def test_batches_are_cut_and_put_in_order(
    clock: Clock, fake_server: FakeServer, fake_chain: FakeChain, got: Got
) -> None:
    """250 questions go in three batches, and answers that come shuffled are put in order."""
    fake_chain.mine(count=250)
    requests = [Request("eth_getBlockByNumber", [hex(n), False]) for n in range(250)]
    handle = fake_server.handle

    def shuffled(body: bytes) -> bytes:
        answer = json.loads(handle(body))
        return json.dumps(answer[::-1] if isinstance(answer, list) else answer).encode()

    fake_server.handle = shuffled  # type: ignore[method-assign]
    found = got(fake_rpc(clock, fake_server).read(lambda asker: asker.batch(requests), ME))
    assert [int(each["number"], 16) for each in found] == list(range(250))
    assert fake_server.posts == 2 + 3


def test_a_batch_with_missing_answers_is_refused(
    clock: Clock, fake_server: FakeServer, got: Got
) -> None:
    """Fewer answers, foreign ones, or none at all are nonsense; one error refuses the batch."""
    requests = [Request("eth_blockNumber")] * 3
    handle = fake_server.handle
    for spoil in (lambda a: a[:2], lambda a: [a[0]] * 3, lambda a: [5, None, "x"], lambda a: {}):

        def spoilt(body: bytes, spoil: Callable[[Any], Any] = spoil) -> bytes:
            answer = json.loads(handle(body))
            return json.dumps(spoil(answer) if isinstance(answer, list) else answer).encode()

        fake_server.handle = spoilt  # type: ignore[method-assign]
        with pytest.raises(errors.RpcAnswerInvalid):
            got(fake_rpc(clock, fake_server).read(lambda asker: asker.batch(requests), ME))


def test_the_key_in_a_web_address_is_shown_nowhere() -> None:
    """Providers put keys of their customers into paths: name and repr leave them out."""
    endpoint = RpcEndpoint("https://rpc.example.org/v3/secret")
    assert endpoint.name == "rpc.example.org"
    assert "secret" not in repr(endpoint)


def test_web3_leaves_the_recursion_limit_as_it_was() -> None:
    """A library under web3 raises it so far that nested JSON could crash the process."""
    code = (
        "import sys\n"
        "limit = sys.getrecursionlimit()\n"
        "from twisted.internet.defer import Deferred\n"
        "from twisted.internet.task import Clock\n"
        "from bitsnode.ledger.testing import FakeChain\n"
        "from bitsnode.ledger.testing_rpc import FakeServer, fake_rpc\n"
        "from onion.isolation import Isolation\n"
        "clock = Clock()\n"
        "rpc = fake_rpc(clock, FakeServer(FakeChain(clock.seconds)))\n"
        "Deferred.fromCoroutine(rpc.run(lambda w: w.eth.block_number, Isolation('rpc', 'me')))\n"
        "assert 'web3' in sys.modules\n"
        "sys.exit(sys.getrecursionlimit() != limit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_client_is_imported_without_web3() -> None:
    """The node starts without the seconds that web3 takes to import."""
    code = (
        "import sys, bitsnode.ledger.service, bitsnode.ledger.rpc\n"
        "heavy = {'web3', 'eth_account', 'eth_abi', 'eth'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
