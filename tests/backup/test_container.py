"""The inside of a backup: nothing that it says of itself is believed before it is checked."""

import io
import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.backup.container import TABLE_SIZE, Entry, Table, check_padding, padded
from bitsnode.backup.contents import CONTENTS, GIB, Kind, folders, kept_as
from bitsnode.backup.errors import BackupDamaged, BackupError, TooMuch, UnknownContents
from bitsnode.backup.sealing import SealedReader
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.wire import cbor

VECTORS = Path(__file__).parents[1] / "vectors" / "backup_format.json"
HASH = bytes(32)
TABLE = Table(1_800_000_000, (Entry("config.toml", 5, HASH), Entry("keys/onion.seed", 32, HASH)))


class Plain:
    """Bytes as a backup gives them out.

    Args:
        data: all of them.
    """

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def some(self, most: int) -> bytes:
        """Return up to so many."""
        return self._file.read(most)

    def read(self, size: int) -> bytes:
        """Return so many."""
        found = self._file.read(size)
        if len(found) < size:
            raise BackupDamaged
        return found


def table_of(*entries: list[object]) -> Plain:
    """Return a backup that says of itself what nobody checked."""
    data = cbor.encode([1, list(entries)])
    return Plain(TABLE_SIZE.pack(len(data)) + data)


def test_a_table_comes_back() -> None:
    """As it was written."""
    assert Table.read(Plain(TABLE.encode())) == TABLE


@pytest.mark.parametrize(
    "path",
    [
        "../keys/onion.seed",
        "keys/../config.toml",
        "keys/..",
        "/etc/passwd",
        "/config.toml",
        "//config.toml",
        "./config.toml",
        "keys//onion.seed",
        "keys/onion.seed/",
        "keys/onion.seed\0",
        "keys/a\0.seed",
        "keys/.seed",
        "keys/.hidden.seed",
        "keys/ONION.seed",
        "keys/a b.seed",
        "keys/a\\b.seed",
        "keys/\u202edees.seed",
        "keys/a\n.seed",
        "keys/sub/onion.seed",
        "keys",
        "",
        "wallet/keystore",
        "wallet/history-1.sqlite-wal",
        "market/custody.db-wal",
        "tor/torrc",
        "node.lock",
        "api.token",
        "restored",
        "keys/" + "a" * 300 + ".seed",
    ],
)
def test_c4_a_path_that_no_backup_has_is_refused(path: str) -> None:
    """Whatever it could lead to: outside of the home, or at something that is not restored."""
    with pytest.raises(UnknownContents):
        kept_as(path)
    with pytest.raises(BackupError):
        Table.read(table_of([path, 1, HASH]))


def test_c4_no_file_is_there_twice() -> None:
    """Paths rise, so that none can come after itself in another place."""
    one, other = ["config.toml", 1, HASH], ["deny.txt", 1, HASH]
    Table.read(table_of(one, other))
    for wrong in ([one, one], [other, one]):
        with pytest.raises(UnknownContents):
            Table.read(table_of(*wrong))


def test_c4_too_much_is_refused_before_it_is_written() -> None:
    """One file that is too big, all that are, and more of them than there may be."""
    with pytest.raises(TooMuch):
        Table.read(table_of(["keys/onion.seed", 1025, HASH]))
    with pytest.raises(TooMuch):
        Table.read(table_of(["market/custody.db", GIB + 1, HASH]))
    big = [[f"wallet/history-{number}.sqlite", GIB, HASH] for number in range(1, 6)]
    with pytest.raises(TooMuch):
        Table.read(table_of(*big))
    with pytest.raises(BackupDamaged):
        Table.read(table_of(["config.toml", 1 << 60, HASH]))
    many = [[f"keys/{number:04}.seed", 1, HASH] for number in range(1001)]
    with pytest.raises(BackupDamaged):
        Table.read(table_of(*many))
    with pytest.raises(BackupDamaged):
        Table.read(Plain(b"\xff\xff\xff\xff" + bytes(100)))


@given(st.binary(max_size=300))
def test_p2_garbage_is_refused_in_words(data: bytes) -> None:
    """Any bytes in the place of a table raise an error of this room and nothing else."""
    with pytest.raises(BackupError):
        Table.read(Plain(TABLE_SIZE.pack(len(data)) + data))


@given(st.data())
def test_p2_a_changed_table_is_refused_or_another_table(data: st.DataObject) -> None:
    """Who has the words can make any backup; what is read of it still keeps the rules."""
    encoded = bytearray(TABLE.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(4, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = Table.read(Plain(bytes(encoded)))
    except BackupError:
        return
    for entry in table.entries:
        assert entry.size <= kept_as(entry.path).limit


def test_sizes_are_those_of_padme() -> None:
    """At most 12% more, few different ones, and as the paper's formula has it.

    Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
    PETS 2019, algorithm 1.
    """
    for size in (2, 9, 100, 1000, 65_537, 1_000_001, 123_456_789):
        exponent = math.floor(math.log2(size))
        low = exponent - (math.floor(math.log2(exponent)) + 1)
        mask = 2**low - 1
        assert padded(size) == (size + mask) & ~mask
        assert size <= padded(size) <= size * 1.12
    assert len({padded(size) for size in range(1 << 19, 1 << 20)}) <= 33


def test_a_backup_of_version_1_can_be_read_for_ever() -> None:
    """One that was kept: whoever changes the format needs a new version, and to read this one."""
    kept = json.loads(VECTORS.read_text())
    seed = Keys.from_entropy(entropy_of(kept["words"])).seed
    reader = SealedReader(io.BytesIO(bytes.fromhex(kept["backup"])), seed)
    table = Table.read(reader)
    assert table.made_at == kept["made_at"]
    assert {entry.path: reader.read(entry.size).hex() for entry in table.entries} == kept["files"]
    check_padding(reader)


def test_only_zeros_may_follow() -> None:
    """So that a backup cannot carry anything unseen."""
    check_padding(Plain(bytes(200_000)))
    with pytest.raises(BackupDamaged):
        check_padding(Plain(bytes(199_999) + b"\1"))


def test_the_table_of_contents_is_sound() -> None:
    """Every line can be restored, and has a version where it is a database."""
    for kept in CONTENTS:
        assert kept_as(kept.pattern.replace("*", "x")) is kept
        assert kept.kind is Kind.DATABASE or not kept.version
        assert kept.version or kept.kind is Kind.FILE or kept.pattern == "shop/*.db"
    assert all(one != other for one, other in pairwise(sorted(folders())))
    assert "tor" not in folders()
    assert "store" not in folders()
