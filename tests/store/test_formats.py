"""Share headers, deny lists, stretches, and the versions of the index."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.codec import keys
from bitsnode.ids import ContentId
from bitsnode.store import schema
from bitsnode.store.deny import parse_deny_list
from bitsnode.store.errors import BadDenyList, DamagedHeader, IndexDamaged, StoreTooNew
from bitsnode.store.shares import HEADER_SIZE, Geometry, Header, ShareKey
from bitsnode.store.stretches import Stretches, TooManyGaps

HEADER = Header(ShareKey(bytes(range(32)), 9), Geometry(3, 5000, 17, 100), bytes(32), 1_800_000_000)


def test_a_header_has_this_very_form():
    """The bytes of version 1 never change."""
    assert HEADER.encode().hex() == (
        "6269747373686172" "0001" "0009" "0000000000000003" "00001388" "00000011" "00000064"
        "000000006b49d200" + bytes(range(32)).hex() + bytes(32).hex() + "fe974043"
    )  # fmt: skip
    assert Header.parse(HEADER.encode()) == HEADER


@given(st.integers(0, HEADER_SIZE * 8 - 1))
def test_any_flipped_bit_of_a_header_is_found(bit):
    """One wrong bit, wherever: the header is damaged, not different."""
    data = bytearray(HEADER.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedHeader):
        Header.parse(bytes(data))


@given(st.binary(max_size=2 * HEADER_SIZE))
def test_rubbish_is_a_damaged_header(data):
    """No bytes make the parser raise anything else."""
    with pytest.raises(DamagedHeader):
        Header.parse(data)


def test_a_share_of_a_newer_version_is_refused(monkeypatch):
    """A file from the future says so instead of being misread."""
    monkeypatch.setattr("bitsnode.store.shares.SHARE_VERSION", 2)
    data = HEADER.encode()
    monkeypatch.undo()
    with pytest.raises(StoreTooNew, match="newer version of bits"):
        Header.parse(data)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=40))
def test_stretches_are_the_union_of_what_was_added(added):
    """Whatever the order and the overlaps, they cover just what a set of bytes would."""
    stretches, filled = Stretches(1000), set()
    for start, length in added:
        stretches.add(start, start + length)
        filled |= set(range(start, start + length))
    for start in range(0, 82, 3):
        for end in range(start, 84, 5):
            assert stretches.cover(start, end) == (set(range(start, end)) <= filled)


def test_too_many_gaps_change_nothing():
    """At the bound a new stretch is refused, but one that fills a gap is welcome."""
    stretches = Stretches(2)
    stretches.add(0, 1)
    stretches.add(2, 3)
    with pytest.raises(TooManyGaps):
        stretches.add(4, 5)
    stretches.add(1, 2)
    stretches.add(4, 5)
    assert stretches.cover(0, 3)
    assert not stretches.cover(0, 5)


def test_a_deny_list_names_shares_in_three_ways():
    """Storage index, content id and link; comments and empty lines are skipped."""
    content = ContentId(bytes(range(32)))
    wanted = keys.storage_index(content.digest)
    for text in (wanted.hex(), wanted.hex().upper(), str(content), f"bits:{content}#" + "a" * 52):
        assert parse_deny_list(f"# why\n\n {text}  # who\r\n", "deny.txt") == {wanted}


@pytest.mark.parametrize("line", ["x", "ab" * 31, "bafy", "bits:#a", "http://example.org"])
def test_a_malformed_line_is_named_by_its_number(line):
    """One sentence with the line's number, so that it can be corrected."""
    with pytest.raises(BadDenyList, match=r"Line 3 of deny\.txt is not"):
        parse_deny_list(f"# one\n\n{line}\n", "deny.txt")


def test_an_older_index_is_copied_and_then_brought_up_to_date(tmp_path):
    """Version 1 becomes version 2 with its rows, and version 1 lies beside it."""
    path = tmp_path / "index.db"
    old = schema.connect(path)
    old.execute("INSERT INTO counters VALUES ('reads', 5)")
    old.close()
    newer = (*schema.MIGRATIONS, ("ALTER TABLE counters ADD COLUMN note TEXT",))
    found = schema.connect(path, newer)
    assert found.execute("SELECT * FROM counters").fetchall() == [("reads", 5, None)]
    assert found.execute("PRAGMA user_version").fetchone() == (2,)
    found.close()
    copy = schema.connect(tmp_path / "index.db.v1")
    assert copy.execute("SELECT * FROM counters").fetchall() == [("reads", 5)]
    copy.close()


def test_a_migration_that_fails_leaves_the_index_as_it_was(tmp_path):
    """All statements of a version or none."""
    path = tmp_path / "index.db"
    schema.connect(path).close()
    broken = (*schema.MIGRATIONS, ("CREATE TABLE more (a)", "nonsense"))
    with pytest.raises(sqlite3.OperationalError):
        schema.connect(path, broken)
    found = schema.connect(path)
    assert found.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchall() == []
    found.close()


def test_an_index_of_a_newer_version_is_refused(tmp_path):
    """One clear sentence, and the file is not touched."""
    path = tmp_path / "index.db"
    newer = schema.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreTooNew, match="update bits"):
        schema.connect(path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """Rubbish in place of the index gives a sentence, not a traceback."""
    path = tmp_path / "index.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(IndexDamaged):
        schema.connect(path)
