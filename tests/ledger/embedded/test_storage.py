"""What stays on the disk, what is refused there, and how logs and transactions are found."""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.errors import (
    ChainDamaged,
    ChainInUse,
    ChainIsAnother,
    ChainOpen,
    ChainTooNew,
    ChainUnusable,
    RpcFault,
)

Open = Callable[..., EmbeddedChain]
BOB = b"\xbb" * 20


def one_sentence(error: Exception) -> bool:
    """Say whether an error reads as one sentence."""
    return str(error)[0].isupper() and str(error).endswith(".") and "\n" not in str(error)


def test_a_restart_changes_nothing(open_chain: Open, tmp_path: Path, hand: Any) -> None:
    """Height, balances, transactions, moved time and the faucet are there after a restart."""
    chain = hand.chain
    mined = hand.send(to=BOB, value=5)
    chain.increase_time(1000)
    head, faucet = chain.head.hash, chain.faucet
    chain.close()
    again = open_chain()
    assert again.head.hash == head
    assert again.records.by_hash(mined.hash) == mined
    assert again.state(again.head).get_balance(BOB) == 5
    assert again.faucet == faucet
    assert again.next_header().timestamp >= 1_800_001_000
    again.fund(BOB, 1)
    assert again.height == mined.block + 1


def test_one_process_at_a_time(open_chain: Open, chain: EmbeddedChain) -> None:
    """A second chain on the same directory is refused, and may start once the first has ended."""
    with pytest.raises(ChainInUse) as caught:
        open_chain()
    assert one_sentence(caught.value)
    chain.close()
    assert open_chain().height == 0


def test_another_chain_id(open_chain: Open, chain: EmbeddedChain) -> None:
    """A directory with a chain of another id is refused, and the lock is not kept."""
    chain.close()
    with pytest.raises(ChainIsAnother, match="id 13370042, not 5") as caught:
        open_chain(chain_id=5)
    assert one_sentence(caught.value)
    assert open_chain().chain_id == 13370042


def test_a_newer_database(open_chain: Open, chain: EmbeddedChain, tmp_path: Path) -> None:
    """A database of a newer version is refused and left as it is."""
    chain.close()
    path = tmp_path / "chain" / "chain.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(ChainTooNew) as caught:
        open_chain()
    assert one_sentence(caught.value)


def test_foreign_and_damaged_files(open_chain: Open, tmp_path: Path) -> None:
    """Another program's database and a file that is none are refused with a sentence each."""
    path = tmp_path / "chain" / "chain.db"
    path.parent.mkdir(mode=0o700)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE theirs (x)")
    database.commit()
    database.close()
    with pytest.raises(ChainDamaged, match="not of a chain of bits") as foreign:
        open_chain()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ChainDamaged) as damaged:
        open_chain()
    assert one_sentence(foreign.value)
    assert one_sentence(damaged.value)


def test_an_open_directory(open_chain: Open, tmp_path: Path) -> None:
    """A directory that others may enter is refused."""
    (tmp_path / "chain").mkdir(mode=0o755)
    with pytest.raises(ChainOpen) as caught:
        open_chain()
    assert one_sentence(caught.value)


def test_files_are_for_the_owner(chain: EmbeddedChain, tmp_path: Path) -> None:
    """The directory is 0700 and the faucet's key 0600."""
    assert stat.S_IMODE(os.stat(tmp_path / "chain").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(tmp_path / "chain" / "faucet.key").st_mode) == 0o600


def test_the_faucets_key(open_chain: Open, chain: EmbeddedChain, tmp_path: Path) -> None:
    """Without its key the chain runs and pays nobody; with rubbish for a key it says so."""
    chain.close()
    key = tmp_path / "chain" / "faucet.key"
    key.unlink()
    poor = open_chain()
    with pytest.raises(RpcFault, match="the faucet's key is gone"):
        poor.fund(BOB, 1)
    poor.close()
    key.write_text("rubbish")
    with pytest.raises(ChainUnusable, match="cannot be read"):
        open_chain()


class _DiskFull(Exception):
    pass


@pytest.mark.parametrize("point", ["add", "commit"])
def test_a_block_is_whole_or_not_there(
    hand: Any, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """A failure while a block is written leaves nothing of it, and the chain goes on."""
    chain = hand.chain
    raw = hand.sign(to=BOB, value=5)
    head, root = chain.head.hash, chain.head.state_root

    def fail(*arguments: Any) -> None:
        raise _DiskFull

    with monkeypatch.context() as patch:
        if point == "add":
            patch.setattr(chain.records, "add", fail)
        else:
            patch.setattr(chain, "_record", fail)
        with pytest.raises(_DiskFull):
            chain.send_raw_transaction(raw)
    assert (chain.head.hash, chain.head.state_root) == (head, root)
    assert chain.header(chain.height + 1) is None
    chain.send_raw_transaction(raw)
    assert chain.state(chain.head).get_balance(BOB) == 5


def test_an_interrupted_birth(
    open_chain: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A chain that died while it was made is made anew, with the same faucet."""
    from bitsnode.ledger.embedded.database import ChainDatabase

    def fail(*arguments: Any) -> None:
        raise _DiskFull

    with monkeypatch.context() as patch:
        patch.setattr(ChainDatabase, "set_meta", fail)
        with pytest.raises(_DiskFull):
            open_chain()
    key = (tmp_path / "chain" / "faucet.key").read_text()
    chain = open_chain()
    assert chain.height == 0
    assert (tmp_path / "chain" / "faucet.key").read_text() == key
    assert chain.state(chain.head).get_balance(chain.faucet) == 10**27  # type: ignore[arg-type]


def test_logs_are_found_by_address_and_topics(hand: Any, encoded: Callable[..., bytes]) -> None:
    """Any combination of addresses and topics gives the logs that match, in order."""
    one, two = hand.deploy(), hand.deploy()
    hand.send(to=one, data=encoded("note(uint256)", 3))
    hand.send(to=two, data=encoded("note(uint256)", 2))
    every = hand.logs()
    assert [log.position for log in every] == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    noted, plain = every[0].topics[0], every[1].topics[0]
    me = b"\0" * 12 + hand.sender
    assert every[0].topics == (noted, b"\0" * 32, me)
    assert len(every[1].topics) == 1

    def match(addresses: tuple[bytes, ...], topics: tuple[tuple[bytes, ...], ...]) -> list[Any]:
        return [
            log
            for log in every
            if (not addresses or log.address in addresses)
            and len(log.topics) >= len(topics)
            and all(not some or log.topics[i] in some for i, some in enumerate(topics))
        ]

    first = (1).to_bytes(32, "big")
    for addresses in ((), (one,), (two,), (one, two), (BOB,)):
        for topics in (
            (),
            ((noted,),),
            ((plain,),),
            ((noted, plain),),
            ((), (first,)),
            ((noted,), (), (me,)),
            ((), (), ()),
            ((), (), (), ()),
            ((first,),),
        ):
            found = hand.logs(addresses=addresses, topics=topics)
            assert found == match(addresses, topics), (addresses, topics)


def test_finding_a_transaction_scans_nothing(hand: Any) -> None:
    """Transactions and logs are looked up in indexes, whatever the height."""
    database = hand.chain._database
    plans = [
        ("SELECT * FROM transactions WHERE hash = x'00'", "SEARCH"),
        ("SELECT * FROM transactions WHERE block = 5 ORDER BY position", "SEARCH"),
        ("SELECT * FROM logs WHERE block BETWEEN 5 AND 9 ORDER BY block, position", "SEARCH"),
        (
            "SELECT * FROM logs WHERE block BETWEEN 5 AND 9 AND address IN (x'00', x'01')"
            " ORDER BY block, position",
            "SEARCH",
        ),
    ]
    for statement, kind in plans:
        steps = [row[3] for row in database.rows("EXPLAIN QUERY PLAN " + statement)]
        assert any(step.startswith(kind) for step in steps), steps
        assert not any(step.startswith("SCAN") for step in steps), steps
