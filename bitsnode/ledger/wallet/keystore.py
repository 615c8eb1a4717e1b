"""The keystore: the wallet's entropy, encrypted under a password, in one small file.

============  =====  ===========================================================
field         bytes  what
============  =====  ===========================================================
magic             8  ``bitskeys``
version           1  1
memory            4  KiB for Argon2id, big-endian like all numbers here
iterations        4  passes
lanes             4  parallelism
salt             16  random; new whenever the file is written
nonce            12  random; new whenever the file is written
fingerprint      16  HMAC-SHA256(salt, meta-address), cut: which wallet this is
sealed           49  ChaCha20-Poly1305 of size (1) and entropy (32, padded with zeros);
                     everything before it is associated data
============  =====  ===========================================================

Argon2id: RFC 9106; the default is its second recommended option.
"""

import hmac
import os
import secrets
import stat
import struct
import unicodedata
from pathlib import Path
from typing import Final

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from bitsnode.ledger.wallet.errors import (
    KeystoreDamaged,
    KeystoreOpen,
    KeystoreTooNew,
    KeystoreUnusable,
    NoWallet,
    PasswordTooLong,
    PasswordTooShort,
    WalletExists,
    WrongPassword,
)
from bitsnode.ledger.wallet.mnemonic import ENTROPY_SIZES
from zk.stealth import MetaAddress

MAGIC: Final = b"bitskeys"
VERSION: Final = 1
HEADER: Final = struct.Struct(">8sBIII16s12s16s")
PADDED_SIZE: Final = 32  # bytes of entropy, so that the file does not tell 12 words from 24
FILE_SIZE: Final = HEADER.size + 1 + PADDED_SIZE + 16
KEY_SIZE: Final = 32  # bytes

MIN_PASSWORD: Final = 8  # characters, NIST SP 800-63B section 3.1.1.2
MAX_PASSWORD: Final = 1024  # bytes

# Bounds on what a file may ask for, checked before any memory is taken. The lowest is what the
# OWASP cheat sheet on password storage still allows.
MIN_MEMORY: Final = 19 << 10  # KiB
MAX_MEMORY: Final = 1 << 20  # KiB: 1 GiB
MAX_ITERATIONS: Final = 64
MAX_LANES: Final = 16


@attrs.frozen
class Cost:
    """What a guess at the password costs.

    Attributes:
        memory: KiB.
        iterations: passes over it.
        lanes: computed in parallel.
    """

    memory: int = 64 << 10
    iterations: int = 3
    lanes: int = 4

    @property
    def sane(self) -> bool:
        """Whether a keystore may ask for it."""
        return (
            MIN_MEMORY <= self.memory <= MAX_MEMORY
            and 1 <= self.iterations <= MAX_ITERATIONS
            and 1 <= self.lanes <= MAX_LANES
        )


DEFAULT_COST: Final = Cost()  # RFC 9106 section 4, second recommended option


@attrs.frozen
class _Header:
    cost: Cost
    salt: bytes
    nonce: bytes
    fingerprint: bytes

    def encode(self) -> bytes:
        cost = (self.cost.memory, self.cost.iterations, self.cost.lanes)
        return HEADER.pack(MAGIC, VERSION, *cost, self.salt, self.nonce, self.fingerprint)

    @classmethod
    def decode(cls, data: bytes) -> "_Header":
        if len(data) <= len(MAGIC) or not data.startswith(MAGIC):
            raise KeystoreDamaged
        if data[len(MAGIC)] > VERSION:
            raise KeystoreTooNew
        if len(data) != FILE_SIZE or data[len(MAGIC)] != VERSION:
            raise KeystoreDamaged
        _magic, _version, *cost, salt, nonce, fingerprint = HEADER.unpack(data[: HEADER.size])
        header = cls(Cost(*cost), salt, nonce, fingerprint)
        if not header.cost.sane:
            raise KeystoreDamaged
        return header


def check_password(password: str) -> None:
    """Make sure that a new password can be used.

    Raises:
        PasswordTooShort: fewer than 8 characters.
        PasswordTooLong: more than 1,024 bytes.
    """
    if len(password) < MIN_PASSWORD:
        raise PasswordTooShort
    _encode(password)


def _encode(password: str) -> bytes:
    # the same letters may be typed as different code points on another machine
    data = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    if len(data) > MAX_PASSWORD:
        raise PasswordTooLong
    return data


def _cipher(password: str, header: _Header) -> ChaCha20Poly1305:
    cost = header.cost
    derived = Argon2id(
        salt=header.salt,
        length=KEY_SIZE,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory,
    ).derive(_encode(password))
    return ChaCha20Poly1305(derived)


def _fingerprint(salt: bytes, meta: MetaAddress) -> bytes:
    return hmac.digest(salt, bytes(meta), "sha256")[:16]


def seal(entropy: bytes, meta: MetaAddress, password: str, cost: Cost = DEFAULT_COST) -> bytes:
    """Return a keystore's bytes.

    Raises:
        PasswordTooShort, PasswordTooLong: the password does not fit.
    """
    check_password(password)
    salt = secrets.token_bytes(16)
    header = _Header(cost, salt, secrets.token_bytes(12), _fingerprint(salt, meta))
    plain = bytes([len(entropy)]) + entropy.ljust(PADDED_SIZE, b"\0")
    encoded = header.encode()
    return encoded + _cipher(password, header).encrypt(header.nonce, plain, encoded)


def unseal(data: bytes, password: str) -> bytes:
    """Return the entropy in a keystore's bytes.

    Raises:
        KeystoreDamaged, KeystoreTooNew: it cannot be read, or asks for too much memory or work.
        WrongPassword: it does not open.
    """
    header = _Header.decode(data)
    try:
        plain = _cipher(password, header).decrypt(
            header.nonce, data[HEADER.size :], data[: HEADER.size]
        )
    except (InvalidTag, PasswordTooLong):
        raise WrongPassword from None
    if plain[0] not in ENTROPY_SIZES.values():
        raise KeystoreDamaged
    return plain[1 : 1 + plain[0]]


class Keystore:
    """The file; used by one process at a time, which holds the home's lock.

    Args:
        path: of the file; its directory is made when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._draft = path.with_name(f"{path.name}.new")

    @property
    def exists(self) -> bool:
        """Whether there is a keystore, sound or not."""
        return self.path.is_symlink() or self.path.exists()

    def create(self, data: bytes) -> None:
        """Write the first keystore; when this returns it survives a power cut.

        Raises:
            WalletExists: there is a file already, which stays as it is.
            KeystoreUnusable: the system refuses.
        """
        if self.exists:
            raise WalletExists
        try:
            self._write_draft(data)
            # a link, unlike a rename, never takes the place of a file that is there
            os.link(self._draft, self.path)
            self._sync_folder()
            self._draft.unlink()
        except OSError as error:
            raise KeystoreUnusable from error

    def replace(self, data: bytes) -> None:
        """Write the keystore anew, for another password; a cut leaves the old or the new one.

        Raises:
            KeystoreUnusable: the system refuses.
        """
        try:
            self._write_draft(data)
            os.rename(self._draft, self.path)
            self._sync_folder()
        except OSError as error:
            raise KeystoreUnusable from error

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            NoWallet: there is none.
            KeystoreOpen: other users may read it, or it is not ours.
            KeystoreUnusable: the system refuses, or it is not a plain file.
        """
        # O_NONBLOCK, so that a pipe in its place is refused and not waited for
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            raise NoWallet from None
        except OSError as error:
            raise KeystoreUnusable from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise KeystoreUnusable
            if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
                raise KeystoreOpen
            return os.read(descriptor, FILE_SIZE + 1)
        except OSError as error:
            raise KeystoreUnusable from error
        finally:
            os.close(descriptor)

    def is_of(self, meta: MetaAddress) -> bool:
        """Whether the file says that it is of this wallet; no password is needed to ask.

        Raises:
            NoWallet, KeystoreOpen, KeystoreUnusable, KeystoreDamaged, KeystoreTooNew: as above.
        """
        header = _Header.decode(self.read())
        return hmac.compare_digest(header.fingerprint, _fingerprint(header.salt, meta))

    def _write_draft(self, data: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._draft.unlink(missing_ok=True)
        descriptor = os.open(
            self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
