"""The Ed25519 key of an onion service: the same key signs here and is served by tor."""

import base64
import hashlib
import os
import secrets
import stat
from pathlib import Path

import attrs
from nacl.signing import SigningKey

from onion.address import OnionAddress
from onion.errors import KeyFileDamaged, KeyFilePermissions, KeyFileUnusable

SEED_SIZE = 32  # bytes; RFC 8032 section 5.1.5
SIGNATURE_SIZE = 64  # bytes


def _check_seed(_instance: object, _field: object, seed: bytes) -> None:
    if not isinstance(seed, bytes) or len(seed) != SEED_SIZE:
        raise ValueError(f"a seed has {SEED_SIZE} bytes")


@attrs.frozen
class OnionKey:
    """The identity key of an onion service, kept as its RFC 8032 seed.

    Attributes:
        seed: 32 secret bytes.
    """

    seed: bytes = attrs.field(repr=False, validator=_check_seed)

    @classmethod
    def generate(cls) -> "OnionKey":
        """A new key from the system's source of randomness."""
        return cls(secrets.token_bytes(SEED_SIZE))

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return bytes(SigningKey(self.seed).verify_key)

    @property
    def address(self) -> OnionAddress:
        """The onion address at which tor serves this key."""
        return OnionAddress.from_public_key(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature of the message, 64 bytes."""
        return SigningKey(self.seed).sign(message).signature

    def tor_blob(self) -> str:
        """The key as ADD_ONION takes it (control-spec section 3.27): secret, do not log.

        Tor wants the expanded key: SHA-512 of the seed with its scalar half clamped.
        """
        expanded = bytearray(hashlib.sha512(self.seed).digest())
        expanded[0] &= 0xF8
        expanded[31] = (expanded[31] & 0x3F) | 0x40
        return "ED25519-V3:" + base64.b64encode(expanded).decode("ascii")


def load_or_create_seed(path: Path) -> bytes:
    """Read the 32-byte seed kept at a path, or make one there (0600, durable before it is used).

    Raises:
        KeyFilePermissions: the file may be read or written by others, or is not ours.
        KeyFileDamaged: the file is not 32 bytes long.
        KeyFileUnusable: the system refuses to read or create it.
    """
    try:
        try:
            return _load_seed(path)
        except FileNotFoundError:
            _create_seed(path)
            return _load_seed(path)
    except OSError as error:
        raise KeyFileUnusable(f"{path}: {error.strerror}") from error


def _load_seed(path: Path) -> bytes:
    # O_NOFOLLOW: a symbolic link could lead to a file that someone else controls.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileDamaged(f"{path} is not a file")
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise KeyFilePermissions(str(path))
        seed = file.read(SEED_SIZE + 1)
    if len(seed) != SEED_SIZE:
        raise KeyFileDamaged(str(path))
    return seed


def _create_seed(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SEED_SIZE))
            file.flush()
            os.fsync(descriptor)
        try:
            # A link, not a rename: it never replaces a key that another process made meanwhile.
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
