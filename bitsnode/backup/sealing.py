"""The outside of a backup: a stream of blocks, each sealed, under a key from the wallet's words.

=======  =====  ==============================================================
field    bytes  what
=======  =====  ==============================================================
magic        8  ``bitsback``
version      1  1
salt        32  random
check       16  from the key: tells words that do not fit from a damaged file
blocks          each of 65,536 bytes, the last one of 0 to 65,536, and 16 more
=======  =====  ==============================================================

HKDF-SHA256 (RFC 5869) of the wallet's seed (64 bytes, BIP-39) with the salt and `Context.BACKUP`
gives key (32 bytes), nonce prefix (7) and check (16). Blocks are sealed with ChaCha20-Poly1305 in
the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and
its Nonce-Reuse Misuse-Resistance", CRYPTO 2015, section 7): the nonce is prefix ‖ number of the
block (4 bytes, big-endian) ‖ 1 for the last and 0 for all others, so that blocks can be neither
moved nor left out, nor the end cut off. The header is associated data of each block. The salt makes
each backup's key its own, so no nonce meets a key twice.
"""

import hmac
import secrets
import struct
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bitsnode.backup.errors import BackupDamaged, BackupTooNew, NotABackup, WrongWords
from bitsnode.ids import Context

MAGIC: Final = b"bitsback"
VERSION: Final = 1
HEADER: Final = struct.Struct(">8sB32s16s")
BLOCK: Final = 1 << 16  # bytes of plaintext
TAG_SIZE: Final = 16  # bytes
KEY_SIZE: Final = 32  # bytes
PREFIX_SIZE: Final = 7  # bytes
CHECK_SIZE: Final = 16  # bytes
SALT_SIZE: Final = 32  # bytes


class _Cipher:
    """Seals and opens the blocks of one backup in their order."""

    def __init__(self, seed: bytes, salt: bytes) -> None:
        size = KEY_SIZE + PREFIX_SIZE + CHECK_SIZE
        derived = HKDF(SHA256(), size, salt, Context.BACKUP).derive(seed)
        self._aead = ChaCha20Poly1305(derived[:KEY_SIZE])
        self._prefix = derived[KEY_SIZE:-CHECK_SIZE]
        self.check = derived[-CHECK_SIZE:]
        self.header = HEADER.pack(MAGIC, VERSION, salt, self.check)
        self._number = 0

    def seal(self, block: bytes, last: bool) -> bytes:
        return self._aead.encrypt(self._nonce(last), block, self.header)

    def open(self, sealed: bytes, last: bool) -> bytes:
        try:
            return self._aead.decrypt(self._nonce(last), sealed, self.header)
        except InvalidTag as error:
            raise BackupDamaged from error

    def _nonce(self, last: bool) -> bytes:
        nonce = self._prefix + self._number.to_bytes(4, "big") + bytes([last])
        self._number += 1
        return nonce


class SealedWriter:
    """Writes a backup's bytes; what is written is a backup only after `finish`.

    Args:
        file: where they go.
        seed: of the wallet, 64 bytes.
    """

    def __init__(self, file: BinaryIO, seed: bytes) -> None:
        self._file = file
        self._cipher = _Cipher(seed, secrets.token_bytes(SALT_SIZE))
        self._waiting = bytearray()
        file.write(self._cipher.header)

    def write(self, data: bytes) -> None:
        """Append to the plaintext."""
        self._waiting += data
        while len(self._waiting) > BLOCK:  # at least a byte is kept for the last block
            self._file.write(self._cipher.seal(bytes(self._waiting[:BLOCK]), last=False))
            del self._waiting[:BLOCK]

    def finish(self) -> None:
        """Write the last block."""
        self._file.write(self._cipher.seal(bytes(self._waiting), last=True))


class SealedReader:
    """Reads a backup; gives out nothing that is not verified.

    Args:
        file: at its beginning.
        seed: of the wallet, 64 bytes.

    Raises:
        NotABackup, BackupTooNew: the file is something else.
        WrongWords: the seed is another wallet's.
        OSError: it cannot be read.
    """

    def __init__(self, file: BinaryIO, seed: bytes) -> None:
        self._file = file
        salt, check = check_header(file)
        self._cipher = _Cipher(seed, salt)
        if not hmac.compare_digest(check, self._cipher.check):
            raise WrongWords
        self._ahead = self._sealed()
        self._opened = b""
        self._place = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return so many further bytes (`size` is bounded by the caller).

        Raises:
            BackupDamaged: there are not so many, or they were changed.
        """
        found = bytearray()
        while len(found) < size:
            part = self.some(size - len(found))
            if not part:
                raise BackupDamaged
            found += part
        return bytes(found)

    def some(self, most: int) -> bytes:
        """Return up to so many further bytes, none at the end only.

        Raises:
            BackupDamaged: they were changed, or the end is not where it was written.
        """
        while self._place == len(self._opened) and not self._ended:
            sealed, self._ahead = self._ahead, self._sealed()
            self._ended = not self._ahead
            self._opened, self._place = self._cipher.open(sealed, self._ended), 0
        part = self._opened[self._place : self._place + most]
        self._place += len(part)
        return part

    def _sealed(self) -> bytes:
        return self._file.read(BLOCK + TAG_SIZE)


def check_header(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return salt and check of a file that says it is a backup; no words are needed.

    Raises:
        NotABackup, BackupTooNew: it does not, or is of a later version.
        OSError: it cannot be read.
    """
    header = file.read(HEADER.size)
    if len(header) <= len(MAGIC) or not header.startswith(MAGIC) or not header[len(MAGIC)]:
        raise NotABackup
    if header[len(MAGIC)] > VERSION:
        raise BackupTooNew
    if len(header) < HEADER.size:
        raise BackupDamaged
    _magic, _version, salt, check = HEADER.unpack(header)
    return salt, check
