"""The outside of a backup: whatever is done to its bytes is noticed before they are used."""

import hashlib
import hmac
import io

import nacl.bindings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.backup.errors import BackupDamaged, BackupError, BackupTooNew, NotABackup, WrongWords
from bitsnode.backup.sealing import BLOCK, HEADER, TAG_SIZE, SealedReader, SealedWriter

SEED = bytes(range(64))
SIZES = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 77)


def sealed(data: bytes) -> bytes:
    """Return data as a backup has it."""
    file = io.BytesIO()
    writer = SealedWriter(file, SEED)
    for start in range(0, len(data), 10_000):
        writer.write(data[start : start + 10_000])
    writer.finish()
    return file.getvalue()


def opened(data: bytes, seed: bytes = SEED) -> bytes:
    """Return all that a backup holds."""
    reader, parts = SealedReader(io.BytesIO(data), seed), []
    while part := reader.some(1 << 30):
        parts.append(part)
    return b"".join(parts)


def filled(size: int) -> bytes:
    """Return so many bytes of which no two blocks are alike."""
    return hashlib.shake_128(size.to_bytes(8, "big")).digest(size)


LONG = sealed(filled(2 * BLOCK + 77))


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_comes_back(size: int) -> None:
    """Also at the edges of blocks, where an empty last block would be forgotten."""
    data = sealed(filled(size))
    assert opened(data) == filled(size)
    blocks = max(1, -(-size // BLOCK))
    assert len(data) == HEADER.size + size + blocks * TAG_SIZE


def test_two_backups_of_the_same_have_different_keys() -> None:
    """C5: the same bytes are sealed twice to bytes that have nothing in common."""
    one, other = sealed(bytes(100)), sealed(bytes(100))
    assert one[HEADER.size :] != other[HEADER.size :]
    assert one[9:41] != other[9:41]


def test_another_implementation_opens_it() -> None:
    """HKDF from its RFC's text, libsodium's ChaCha20-Poly1305, and STREAM as documented."""
    data = filled(BLOCK + 5)
    backup = sealed(data)
    header, salt, check = backup[:57], backup[9:41], backup[41:57]
    extracted = hmac.digest(salt, SEED, "sha256")  # RFC 5869 sections 2.2 and 2.3
    derived, last = b"", b""
    for number in (1, 2):
        last = hmac.digest(extracted, last + b"bits/backup/v1" + bytes([number]), "sha256")
        derived += last
    key, prefix = derived[:32], derived[32:39]
    assert check == derived[39:55]
    decrypt = nacl.bindings.crypto_aead_chacha20poly1305_ietf_decrypt
    first, second = backup[57 : 57 + BLOCK + 16], backup[57 + BLOCK + 16 :]
    plain = decrypt(first, header, prefix + bytes(4) + b"\0", key)
    plain += decrypt(second, header, prefix + b"\0\0\0\1" + b"\1", key)
    assert plain == data


@given(st.integers(0, len(LONG) * 8 - 1))
def test_c1_a_flipped_bit_anywhere_is_noticed(bit: int) -> None:
    """In the header, in any block and in any tag."""
    changed = bytearray(LONG)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BackupError):
        opened(bytes(changed))


@given(st.integers(0, len(LONG) - 1))
def test_c1_a_cut_anywhere_is_noticed(size: int) -> None:
    """Also at the end of a block, where every block that is left is sound."""
    with pytest.raises(BackupError):
        opened(LONG[:size])


def test_c1_blocks_cannot_be_moved_repeated_or_appended() -> None:
    """Each is at its place or does not open."""
    size, head = BLOCK + TAG_SIZE, LONG[: HEADER.size]
    first, second, last = (
        LONG[HEADER.size :][:size],
        LONG[HEADER.size + size :][:size],
        LONG[HEADER.size + 2 * size :],
    )
    for wrong in (
        second + first + last,
        first + first + last,
        first + last,
        first + second,
        first + second + last + last,
        first + second + last + b"\0",
    ):
        with pytest.raises(BackupDamaged):
            opened(head + wrong)


def test_the_end_is_reached_before_it_is_believed() -> None:
    """Who asks for more than there is learns that it is damaged, and never gets less."""
    reader = SealedReader(io.BytesIO(sealed(b"four")), SEED)
    with pytest.raises(BackupDamaged):
        reader.read(5)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotABackup),
        (b"bitsback", NotABackup),
        (b"PK\3\4" + bytes(100), NotABackup),
        (b"bitsback\0" + bytes(100), NotABackup),
        (b"bitsback\2" + bytes(100), BackupTooNew),
        (b"bitsback\1" + bytes(47), BackupDamaged),
        (b"bitsback\1" + bytes(48), WrongWords),
    ],
)
def test_what_is_no_backup_of_ours_is_called_what_it_is(
    data: bytes, error: type[BackupError]
) -> None:
    """Something else, a newer one, one that was cut short, one of another wallet."""
    with pytest.raises(error):
        opened(data)


def test_another_seed_does_not_open_it() -> None:
    """And is told apart from damage."""
    with pytest.raises(WrongWords):
        opened(LONG, bytes(64))
