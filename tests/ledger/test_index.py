"""The index: it keeps step with the chain, forgets what was dropped, and survives crashes."""

import shutil
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from bitsnode.ledger import errors
from bitsnode.ledger.announcements import ANNOUNCEMENT, Cursor
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.index import LogIndex
from bitsnode.ledger.testing import FakeChain, FakeLog
from bitsnode.ledger.testing_rpc import FakeServer, fake_rpc
from onion.isolation import Isolation

ME = Isolation("index", "me")
ANNOUNCER = bytes([1]) * 20
TREASURY = bytes([8]) * 20
Got = Callable[[Coroutine[Any, Any, Any]], Any]


def announced(number: int, metadata: bytes = b"\x07") -> FakeLog:
    """A log of the announcer; the number is in the address and the key."""
    from eth_abi import encode

    who = bytes(12) + number.to_bytes(20, "big")
    key = b"\x02" + number.to_bytes(32, "big")
    topics = (ANNOUNCEMENT, (1).to_bytes(32, "big"), who, who)
    return FakeLog(ANNOUNCER, topics, encode(["bytes", "bytes"], [key, metadata]))


@pytest.fixture
def opened(tmp_path: Path, clock: Clock, deployment: Deployment) -> Callable[..., LogIndex]:
    """An index over one or more servers."""
    opened: list[LogIndex] = []

    def make(*servers: FakeServer, own: bool = False, path: Path | None = None) -> LogIndex:
        names = ("one", "two", "three")
        rpcs = [fake_rpc(clock, s, n, own) for s, n in zip(servers, names, strict=False)]
        opened.append(LogIndex(path or tmp_path / "index.db", deployment, rpcs))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


Opened = Callable[..., LogIndex]


def numbers(index: LogIndex, **options: Any) -> list[int]:
    """The numbers of the announcements that an index has."""
    found = index.announcements(None, 1000, **options)
    return [int(each.stealth_address, 16) for each in found]


def test_announcements_are_found_and_confirmed(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """What is final is handed out in order from a cursor; what is newer only when asked for."""
    for number in range(10):
        fake_chain.mine(announced(number), announced(100 + number))
    index = opened(fake_server)
    reach = got(index.sync(ME))
    assert (reach.tip, reach.confirmed) == (10, 6)
    assert numbers(index) == [n for block in range(6) for n in (block, 100 + block)]
    assert len(numbers(index, unconfirmed=True)) == 20
    first = index.announcements(None, 3)
    assert [each.cursor for each in first] == [Cursor(1, 0), Cursor(1, 1), Cursor(2, 0)]
    assert first[0].ephemeral_public_key == b"\x02" + bytes(32)
    assert (first[0].scheme_id, first[0].metadata) == (1, b"\x07")
    assert index.announcements(first[-1].cursor, 1)[0].cursor == Cursor(2, 1)
    assert index.events("ERC5564Announcer", ANNOUNCEMENT, None, 1)[0].address == ANNOUNCER


def test_a_server_is_asked_for_everybodys_logs(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got, deployment: Deployment
) -> None:
    """Questions name our contracts and ranges of blocks, and no topic, so nobody in particular."""
    fake_chain.mine(announced(1), count=30)
    got(opened(fake_server).sync(ME))
    asked = [params for method, params in fake_server.log if method == "eth_getLogs"]
    ours = {each.address.lower() for each in deployment.contracts.values()}
    for (question,) in asked:
        assert set(question) == {"fromBlock", "toBlock", "address"}
        assert set(question["address"]) == ours


def test_a_reorganisation_is_rolled_back(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """Blocks above the last final one may change; the index then has what the new chain has."""
    for number in range(10):
        fake_chain.mine(announced(number))
    index = opened(fake_server)
    got(index.sync(ME))
    for depth, new in ((1, 50), (4, 51), (2, 52)):
        fake_chain.fork(depth)
        fake_chain.mine(announced(new), count=depth)
        got(index.sync(ME))
        expected = [int.from_bytes(log.topics[2]) for b in fake_chain.blocks for log in b.logs]
        assert numbers(index, unconfirmed=True) == expected
    fake_chain.mine(count=20)
    assert got(index.sync(ME)).confirmed == fake_chain.head.number - 4
    assert numbers(index) == expected


def test_a_chain_rewritten_below_a_final_block_is_a_loud_error(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """When a final block changes, nothing is read any more, and nothing confirmed is forgotten."""
    for number in range(10):
        fake_chain.mine(announced(number))
    index = opened(fake_server)
    got(index.sync(ME))
    before = numbers(index)
    fake_chain.fork(5)
    fake_chain.mine(announced(77), count=10)
    for _ in range(2):
        with pytest.raises(errors.ChainRewritten, match="rewritten below a block that was final"):
            got(index.sync(ME))
        assert numbers(index) == before


def test_ranges_shrink_to_what_a_server_can_answer(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """Too wide a range or too many logs: the range is halved until the answer fits."""
    for number in range(120):
        fake_chain.mine(announced(number), announced(1000 + number))
    fake_server.range_limit, fake_server.result_limit = 30, 10
    index = opened(fake_server, own=True)
    got(index.sync(ME))
    assert len(numbers(index, unconfirmed=True)) == 240
    fake_server.result_limit = 1
    fake_chain.mine(announced(1), announced(2))
    with pytest.raises(errors.RpcRefused, match="more than"):
        got(index.sync(ME))


def test_malformed_announcements_are_kept_out_and_stop_nothing(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """Anybody may announce anything: what cannot be used is not kept, and the rest goes on."""
    from eth_abi import encode

    good = announced(1)
    key = b"\x02" + bytes(32)
    bad = [
        attrs.evolve(good, data=data)
        for data in (
            b"",
            good.data[:-1],
            good.data + bytes(32),
            b"\xff" * 224,
            bytes(1 << 17),
            encode(["bytes", "bytes"], [key[:32], b"\x07"]),
            encode(["bytes", "bytes"], [key + b"\x00", b"\x07"]),
            encode(["bytes", "bytes"], [b"\x04" + key[1:], b"\x07"]),
            encode(["bytes", "bytes"], [key, b""]),
            encode(["bytes", "bytes"], [key, bytes(1025)]),
            good.data[:-1] + b"\x01",
            good.data[:31] + b"\x60" + good.data[32:],
        )
    ]
    bad += [
        attrs.evolve(good, topics=good.topics[:3]),
        attrs.evolve(good, topics=()),
        attrs.evolve(good, topics=(good.topics[0], b"\xff" * 32, *good.topics[2:])),
        attrs.evolve(good, topics=(*good.topics[:2], b"\xff" * 32, good.topics[3])),
    ]
    fake_chain.mine(announced(1), *bad, announced(2, bytes(1024)), FakeLog(TREASURY, (), b"x"))
    fake_chain.mine(count=10)
    index = opened(fake_server)
    got(index.sync(ME))
    assert numbers(index) == [1, 2]
    assert len(index.store.logs(0, 100)) == 3


def _without_logs(server: FakeServer) -> None:
    server.faults["eth_getLogs"] = lambda _question: []


def test_a2_a_lone_server_that_hides_logs_is_found_out(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """The header of a block shows that there are logs, so an answer without them is a lie."""
    fake_chain.mine(announced(1), count=20)
    _without_logs(fake_server)
    index = opened(fake_server)
    with pytest.raises(errors.RpcHidesLogs, match=r"left out logs.*block 1"):
        got(index.sync(ME))
    assert index.reach.tip == 0


def test_a2_logs_of_other_blocks_are_refused(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got
) -> None:
    """A log must be in the block that it names, of a contract of ours, and in the range asked."""
    fake_chain.mine(announced(1), count=20)
    true = fake_chain.blocks[1].log_objects()[0]
    for lie in (
        {"blockHash": "0x" + "11" * 32},
        {"blockNumber": "0x2"},
        {"blockNumber": "0x70"},
        {"address": "0x" + "77" * 20},
        {"removed": True},
        {"topics": ["0x" + "11" * 32] * 5},
        {"data": "0x1"},
        {"logIndex": None},
    ):
        answer = [true | lie]
        # only where the true one would be, else it would be refused for that
        fake_server.faults["eth_getLogs"] = lambda question, answer=answer: (
            answer if question["fromBlock"] == "0x1" else []
        )
        with pytest.raises(errors.RpcAnswerInvalid):
            got(opened(fake_server, own=True).sync(ME))
    fake_server.faults["eth_getLogs"] = lambda _question: [true, true]
    with pytest.raises(errors.RpcAnswerInvalid):
        got(opened(fake_server, own=True).sync(ME))


@pytest.mark.parametrize("number", [11, 13])
def test_a2_blocks_that_do_not_follow_one_another_are_refused(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got, number: int
) -> None:
    """A header must name the one before as its parent, in a range and from range to range."""
    fake_chain.mine(count=10)
    index = opened(fake_server)
    got(index.sync(ME))
    fake_chain.mine(count=5)
    own = fake_server._eth_getBlockByNumber

    def lie(tag: str, full: bool) -> Any:
        found = own(tag, full)
        return found | {"parentHash": "0x" + "11" * 32} if tag == hex(number) else found

    fake_server.faults["eth_getBlockByNumber"] = lie
    with pytest.raises(errors.RpcAnswerInvalid, match="follow"):
        got(index.sync(ME))
    assert index.reach.tip < number


def test_a2_nothing_is_confirmed_that_two_servers_do_not_report(
    fake_chain: FakeChain, opened: Opened, got: Got
) -> None:
    """Of two servers one hides logs: nothing is confirmed, whichever is asked first."""
    fake_chain.mine(announced(1), count=20)
    honest, liar = FakeServer(fake_chain), FakeServer(fake_chain)
    _without_logs(liar)
    for number, servers in enumerate([(honest, liar), (liar, honest)]):
        index = opened(*servers, path=Path(f"{opened(*servers).store.database.path}.{number}"))
        with pytest.raises((errors.LogsDisagree, errors.RpcHidesLogs)):
            got(index.sync(ME))
        assert index.reach.confirmed == 0
        assert numbers(index) == []


def test_a2_of_three_servers_two_suffice(
    fake_chain: FakeChain, opened: Opened, got: Got, tmp_path: Path
) -> None:
    """A liar among three changes nothing, wherever it stands in the list."""
    fake_chain.mine(announced(1), count=20)
    for place in range(3):
        servers = [FakeServer(fake_chain) for _ in range(3)]
        _without_logs(servers[place])
        index = opened(*servers, path=tmp_path / f"{place}.db")
        assert got(index.sync(ME)).confirmed == 16
        assert numbers(index) == [1]


def test_a2_a_forked_server_confirms_nothing(
    fake_chain: FakeChain, clock: Clock, opened: Opened, got: Got
) -> None:
    """A server on another fork cannot vouch for this one, nor the other way round."""
    fake_chain.mine(announced(1), count=20)
    other = FakeChain(clock.seconds)
    other.blocks = list(fake_chain.blocks)
    other.fork(10)
    other.mine(count=10)
    index = opened(FakeServer(fake_chain), FakeServer(other))
    with pytest.raises(errors.LogsDisagree, match=r"different events.*block 16"):
        got(index.sync(ME))
    assert index.reach.confirmed == 0


def test_one_server_down_is_no_loss(fake_chain: FakeChain, opened: Opened, got: Got) -> None:
    """When the first of three cannot be reached, the others do."""
    fake_chain.mine(announced(1), count=20)
    servers = [FakeServer(fake_chain) for _ in range(3)]
    servers[0].down = True
    index = opened(*servers)
    got(index.sync(ME))
    assert numbers(index) == [1]
    servers[1].down = servers[2].down = True
    with pytest.raises(errors.RpcUnreachable):
        got(index.sync(ME))


class Killed(BaseException):
    """The process ends here."""


def test_c6_a_crash_before_any_statement_leaves_a_consistent_index(
    fake_chain: FakeChain, fake_server: FakeServer, opened: Opened, got: Got, tmp_path: Path
) -> None:
    """Killed before each statement in turn, the files as they are then lead to the same index."""
    for number in range(6):
        fake_chain.mine(announced(number))
    base = tmp_path / "base.db"
    index = opened(fake_server, path=base)
    got(index.sync(ME))
    fake_chain.fork(2)
    for number in range(20, 26):
        fake_chain.mine(announced(number))
    index.close()
    reference = opened(fake_server, path=_copy(base, tmp_path / "reference"))
    got(reference.sync(ME))
    expected = numbers(reference, unconfirmed=True)
    for step in range(1000):
        index = opened(fake_server, path=_copy(base, tmp_path / f"step{step}"))
        left = step

        def before(_statement: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        index.store.database.before = before
        try:
            got(index.sync(ME))
        except Killed:
            files = _copy(index.store.database.path, tmp_path / f"after{step}")
        else:
            break
        again = opened(fake_server, path=files)
        reach = again.reach
        assert reach.confirmed <= reach.tip
        assert reach.tip in again.store.hashes()
        got(again.sync(ME))
        assert numbers(again, unconfirmed=True) == expected
        assert again.reach == reference.reach
    assert step > 20


def _copy(path: Path, folder: Path) -> Path:
    """The files of a database as they lie on the disk now."""
    folder.mkdir()
    for each in path.parent.glob(path.name + "*"):
        if each.is_file() and not each.name.endswith("-shm"):
            shutil.copy(each, folder / each.name)
    return folder / path.name


def test_a_file_of_another_deployment_or_a_newer_version_or_none_is_refused(
    fake_server: FakeServer, opened: Opened, tmp_path: Path, deployment: Deployment, clock: Clock
) -> None:
    """Each is one sentence, and the file stays as it is."""
    path = tmp_path / "index.db"
    opened(fake_server, path=path).close()
    other = attrs.evolve(deployment, chain_id=5)
    with pytest.raises(errors.LedgerFileForeign, match="another chain or deployment"):
        LogIndex(path, other, [fake_rpc(clock, fake_server)])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(errors.LedgerFileTooNew, match="newer version"):
        opened(fake_server, path=path)
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(errors.LedgerFileDamaged, match="damaged"):
        opened(fake_server, path=path)
    with pytest.raises(errors.NoRpc):
        LogIndex(path, deployment, [])
