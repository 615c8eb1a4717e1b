"""The keystore: what opens it, what does not, and that no key is ever lost over it."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.ledger.wallet import keystore as module
from bitsnode.ledger.wallet.errors import (
    KeystoreDamaged,
    KeystoreOpen,
    KeystoreTooNew,
    KeystoreUnusable,
    NoWallet,
    PasswordTooLong,
    PasswordTooShort,
    WalletError,
    WalletExists,
    WrongPassword,
)
from bitsnode.ledger.wallet.keystore import (
    DEFAULT_COST,
    FILE_SIZE,
    MIN_MEMORY,
    Cost,
    Keystore,
    seal,
    unseal,
)
from zk.stealth import MetaAddress, public_key

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"
ENTROPY = bytes(range(16))
META = MetaAddress(public_key(b"\1" * 32), public_key(b"\2" * 32))
OTHER = MetaAddress(public_key(b"\2" * 32), public_key(b"\1" * 32))
SEALED = seal(ENTROPY, META, PASSWORD, CHEAP)


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    """A keystore with something in it."""
    keystore = Keystore(tmp_path / "wallet" / "keystore")
    keystore.create(SEALED)
    return keystore


@pytest.mark.parametrize("size", [16, 32])
def test_round_trip(size: int) -> None:
    """What went in comes out, and the file does not tell how many words there are."""
    sealed = seal(bytes(size), META, PASSWORD, CHEAP)
    assert unseal(sealed, PASSWORD) == bytes(size)
    assert len(sealed) == FILE_SIZE


def test_default_cost_is_that_of_rfc_9106() -> None:
    """64 MiB, 3 passes, 4 lanes: the second recommended option."""
    assert DEFAULT_COST == Cost(memory=65536, iterations=3, lanes=4)
    assert DEFAULT_COST.sane


def test_password_is_the_same_on_every_keyboard() -> None:
    """An umlaut typed as one code point or as two opens the same keystore."""
    sealed = seal(ENTROPY, META, "gr\u00fc\u00dfe dich", CHEAP)
    assert unseal(sealed, "gru\u0308\u00dfe dich") == ENTROPY


@pytest.mark.parametrize(
    "password", ["", "Correct horse", "correct horse ", "x" * 2000, "\ud800" * 9]
)
def test_wrong_password_does_not_open(password: str) -> None:
    """Any other password is one sentence."""
    with pytest.raises(WrongPassword):
        unseal(SEALED, password)


def test_bad_new_passwords_are_refused() -> None:
    """A password must be worth guessing, and must end."""
    with pytest.raises(PasswordTooShort):
        seal(ENTROPY, META, "seven77", CHEAP)
    with pytest.raises(PasswordTooLong):
        seal(ENTROPY, META, "x" * 1025, CHEAP)


def test_two_files_share_nothing() -> None:
    """Salt, nonce, fingerprint and ciphertext are new each time."""
    again = seal(ENTROPY, META, PASSWORD, CHEAP)
    assert again[21:37] != SEALED[21:37]
    assert again[37:49] != SEALED[37:49]
    assert again[49:65] != SEALED[49:65]
    assert again[65:] != SEALED[65:]


@given(st.integers(0, FILE_SIZE - 1), st.integers(1, 255))
def test_every_changed_byte_is_noticed(position: int, change: int) -> None:
    """Header and ciphertext are authenticated: nothing can be changed and still open."""
    damaged = bytearray(SEALED)
    damaged[position] ^= change
    # a huge but sane cost would only make the test slow
    if 9 <= position < 21:
        memory, iterations, _lanes = struct.unpack(">III", damaged[9:21])
        if memory > 4 * MIN_MEMORY or iterations > 3:
            return
    with pytest.raises((WrongPassword, KeystoreDamaged, KeystoreTooNew)):
        unseal(bytes(damaged), PASSWORD)


@pytest.mark.parametrize("length", [0, 1, 8, 9, 64, 65, FILE_SIZE - 1])
def test_truncated_files_are_damaged(length: int) -> None:
    """A cut file is one sentence, whatever is left."""
    with pytest.raises(KeystoreDamaged):
        unseal(SEALED[:length], PASSWORD)


def test_longer_and_foreign_files_are_damaged() -> None:
    """So is one with something behind it, and one that is something else."""
    for data in (SEALED + b"\0", b"\0" * FILE_SIZE, b"{" * FILE_SIZE):
        with pytest.raises(KeystoreDamaged):
            unseal(data, PASSWORD)


def test_newer_versions_are_refused_whatever_follows() -> None:
    """A later format may have another size."""
    for rest in (SEALED[9:], b"", bytes(1000)):
        with pytest.raises(KeystoreTooNew):
            unseal(b"bitskeys\x02" + rest, PASSWORD)


@pytest.mark.parametrize(
    "cost",
    [
        (1 << 20) + 1,
        0xFFFFFFFF,
        MIN_MEMORY - 1,
        0,
    ],
)
def test_memory_is_checked_before_it_is_taken(cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file cannot make us take gigabytes, nor weaken the next guess."""
    monkeypatch.setattr(module, "Argon2id", None)  # may not even be called
    with pytest.raises(KeystoreDamaged):
        unseal(SEALED[:9] + struct.pack(">III", cost, 1, 1) + SEALED[21:], PASSWORD)
    for iterations, lanes in ((0, 1), (65, 1), (1, 0), (1, 17)):
        changed = struct.pack(">III", MIN_MEMORY, iterations, lanes)
        with pytest.raises(KeystoreDamaged):
            unseal(SEALED[:9] + changed + SEALED[21:], PASSWORD)


def test_file_is_private(keystore: Keystore) -> None:
    """The file is 0600 in a directory of 0700, and no draft stays."""
    assert keystore.path.stat().st_mode & 0o777 == 0o600
    assert keystore.path.parent.stat().st_mode & 0o777 == 0o700
    assert list(keystore.path.parent.iterdir()) == [keystore.path]
    assert keystore.read() == SEALED


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_files_open_to_others_are_refused(keystore: Keystore, mode: int) -> None:
    """Others may have read it, and may change it."""
    keystore.path.chmod(mode)
    with pytest.raises(KeystoreOpen):
        keystore.read()


def test_create_never_overwrites(keystore: Keystore, tmp_path: Path) -> None:
    """Whatever is there stays: a keystore, an empty file, a dangling link."""
    with pytest.raises(WalletExists):
        keystore.create(seal(ENTROPY, META, "another one", CHEAP))
    assert keystore.read() == SEALED
    empty = Keystore(tmp_path / "empty")
    empty.path.touch()
    dangling = Keystore(tmp_path / "dangling")
    dangling.path.symlink_to(tmp_path / "nowhere")
    for there in (empty, dangling):
        assert there.exists
        with pytest.raises(WalletExists):
            there.create(SEALED)


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, keystore: Keystore) -> None:
    """No file, a directory, a link, a disk that refuses."""
    with pytest.raises(NoWallet):
        Keystore(tmp_path / "none").read()
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(keystore.path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("directory", "link", "pipe"):
        with pytest.raises(KeystoreUnusable):
            Keystore(tmp_path / name).read()
    with pytest.raises(KeystoreUnusable):
        Keystore(keystore.path / "below a file").create(SEALED)


def test_replace_leaves_one_or_the_other(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk refuses at any step, what was there still opens."""
    new = seal(ENTROPY, META, "another one", CHEAP)
    for call in ("open", "fsync", "rename"):

        def refuse(*_arguments: object, **_named: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(KeystoreUnusable):
                keystore.replace(new)
        assert unseal(keystore.read(), PASSWORD) == ENTROPY
    keystore.replace(new)
    assert unseal(keystore.read(), "another one") == ENTROPY
    assert list(keystore.path.parent.iterdir()) == [keystore.path]


def test_fingerprint_tells_wallets_apart(keystore: Keystore) -> None:
    """Without a password one can ask whether it is the keystore of given words."""
    assert keystore.is_of(META)
    assert not keystore.is_of(OTHER)


@given(st.binary(max_size=2 * FILE_SIZE))
def test_any_bytes_are_refused_by_a_sentence(data: bytes) -> None:
    """No file makes anything but an error of ours."""
    with pytest.raises(WalletError):
        unseal(data, PASSWORD)
