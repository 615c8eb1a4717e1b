"""The identity key and its file."""

import base64
import hashlib
from pathlib import Path

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from onion.errors import KeyFileDamaged, KeyFilePermissions, KeyFileUnusable
from onion.keys import OnionKey, load_or_create_seed

# RFC 8032 section 7.1, test 2.
RFC_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
RFC_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
RFC_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_signs_as_in_the_rfc() -> None:
    """Key and signature are those of RFC 8032."""
    key = OnionKey(RFC_SEED)
    assert key.public_key == RFC_PUBLIC
    assert key.sign(b"\x72") == RFC_SIGNATURE
    with pytest.raises(BadSignatureError):
        VerifyKey(key.public_key).verify(b"\x73", key.sign(b"\x72"))


def test_tor_gets_the_expanded_key() -> None:
    """The blob is the clamped SHA-512 of the seed, in the form ADD_ONION takes."""
    kind, _, blob = OnionKey(RFC_SEED).tor_blob().partition(":")
    expanded = base64.b64decode(blob, validate=True)
    plain = hashlib.sha512(RFC_SEED).digest()
    assert kind == "ED25519-V3"
    assert len(expanded) == 64
    assert expanded[0] & 7 == 0
    assert expanded[31] >> 6 == 1
    assert (expanded[1:31], expanded[32:]) == (plain[1:31], plain[32:])


def test_the_seed_stays_out_of_logs() -> None:
    """Printing a key does not print its secret."""
    key = OnionKey.generate()
    assert key.seed.hex() not in repr(key)
    assert repr(key.seed) not in repr(key)


def test_a_seed_is_made_once_and_kept(tmp_path: Path) -> None:
    """The first start makes a private file, later starts read it, and no draft is left."""
    path = tmp_path / "onion.seed"
    seed = load_or_create_seed(path)
    assert load_or_create_seed(path) == seed
    assert len(seed) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that others could have read or written is not used."""
    path = tmp_path / "onion.seed"
    load_or_create_seed(path)
    path.chmod(mode)
    with pytest.raises(KeyFilePermissions):
        load_or_create_seed(path)


@pytest.mark.parametrize("size", [0, 31, 33, 4096])
def test_a_file_of_another_size_is_refused_and_kept(tmp_path: Path, size: int) -> None:
    """A damaged key is reported, never overwritten by a new one."""
    path = tmp_path / "onion.seed"
    path.touch(mode=0o600)
    path.write_bytes(b"x" * size)
    with pytest.raises(KeyFileDamaged):
        load_or_create_seed(path)
    assert path.read_bytes() == b"x" * size


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link in place of the key is refused."""
    load_or_create_seed(tmp_path / "elsewhere")
    (tmp_path / "onion.seed").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileUnusable):
        load_or_create_seed(tmp_path / "onion.seed")


def test_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    """What the system refuses is reported with the path, not as a bare OSError."""
    with pytest.raises(KeyFileUnusable, match="No such file"):
        load_or_create_seed(tmp_path / "nowhere" / "onion.seed")
