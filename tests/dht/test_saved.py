"""The file of contacts and records."""

import secrets
import sqlite3
import stat

import pytest

from bitsnode.dht.anchors import Anchor
from bitsnode.dht.records import Changes
from bitsnode.dht.routing import Contact
from bitsnode.dht.saved import Saved, SavedByNewer, SavedUnusable


def place(signed):
    """Return where a record is kept."""
    return (signed.record.key, signed.record.kind, signed.record.slot)


def test_what_was_saved_is_there_after_reopening(tmp_path, make):
    """Contacts are replaced as a whole, records by slot."""
    path = tmp_path / "dht.sqlite"
    card, record = make.card(), make.record(secrets.token_bytes(32))
    saved = Saved(path)
    saved.save_contacts([Contact(make.card(), 5.0, 5.0)])
    saved.save_contacts([Contact(card, 9.0, 9.0, since=7.0)])
    anchors = [Anchor(b"a" * 32, 1.0, 2.0)]
    saved.save_watch(anchors, 1000.0)
    gone = make.record(secrets.token_bytes(32))
    kept = [(place(signed), signed) for signed in (record, gone)]
    saved.save_records(Changes(tuple(kept), ()))
    saved.save_records(Changes((), (place(gone),)))
    saved.close()
    saved = Saved(path)
    assert saved.contacts() == [(card.card.onion_key, card.data, 7.0)]
    assert (saved.anchors(), saved.nodes()) == (anchors, 1000.0)
    assert saved.records() == [record.data]
    saved.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_contacts_do_not_replace_some(tmp_path, make):
    """A node that lost all contacts keeps the saved ones as its way back."""
    saved = Saved(tmp_path / "dht.sqlite")
    saved.save_contacts([Contact(make.card(), 5.0, 5.0)])
    saved.save_contacts([])
    assert len(saved.contacts()) == 1
    saved.close()


def test_contacts_of_the_first_format_are_taken_over(tmp_path, make):
    """They are undated; its records are of a form that no longer exists."""
    path, card = tmp_path / "dht.sqlite", make.card()
    file = sqlite3.connect(path)
    file.executescript(
        "CREATE TABLE contacts (onion_key BLOB PRIMARY KEY, card BLOB NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE records (key BLOB, kind INTEGER, slot BLOB, data BLOB);"
        "INSERT INTO records VALUES (x'00', 1, x'00', x'00'); PRAGMA user_version = 1;"
    )
    with file:
        file.execute("INSERT INTO contacts VALUES (?, ?)", (card.card.onion_key, card.data))
    file.close()
    saved = Saved(path)
    assert saved.contacts() == [(card.card.onion_key, card.data, 0.0)]
    assert (saved.records(), saved.anchors(), saved.nodes()) == ([], [], 0.0)
    saved.close()


def test_a_newer_format_is_refused_and_left_as_it_is(tmp_path):
    """The sentence says what to do."""
    path = tmp_path / "dht.sqlite"
    Saved(path).close()
    file = sqlite3.connect(path)
    file.execute("PRAGMA user_version = 3")
    file.close()
    before = path.read_bytes()
    with pytest.raises(SavedByNewer, match="newer bits"):
        Saved(path)
    assert path.read_bytes() == before


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path):
    """It is not overwritten."""
    path = tmp_path / "dht.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    before = path.read_bytes()
    with pytest.raises(SavedUnusable, match="cannot be used"):
        Saved(path)
    assert path.read_bytes() == before
