"""Encryption of chunks: ChaCha20-Poly1305 (RFC 8439) by ``cryptography``, the fastest measured.

Nonce: 4 zero bytes ‖ u64 BE chunk index. Associated data: context ‖ u64 BE index ‖ u64 BE number
of chunks, so that no chunk can be moved, dropped or appended. A key must meet one plaintext only:
whoever encrypts draws a fresh content secret for each (`fresh_secret`).
"""

import secrets
import struct

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bitsnode.codec.errors import DamagedChunk
from bitsnode.codec.keys import SECRET_SIZE, chunk_key
from bitsnode.codec.merkle import Buffer
from bitsnode.ids import Context


def fresh_secret() -> bytes:
    """Return 16 random bytes, for a content secret or a W."""
    return secrets.token_bytes(SECRET_SIZE)


@attrs.frozen
class ChunkCipher:
    """Encrypts and decrypts the chunks of one content.

    Attributes:
        aead: under the content's chunk key.
        total: how many chunks the content has, u64.
    """

    aead: ChaCha20Poly1305 = attrs.field(repr=False)
    total: int

    @classmethod
    def of(cls, content_secret: bytes, total: int) -> "ChunkCipher":
        """Return the cipher of a content secret (16 bytes) and a number of chunks."""
        return cls(ChaCha20Poly1305(chunk_key(content_secret)), total)

    def encrypt(self, index: int, plain: Buffer) -> bytes:
        """Return the ciphertext of chunk ``index``, 16 bytes longer than the plaintext."""
        return self.aead.encrypt(_nonce(index), plain, self._associated(index))

    def decrypt(self, index: int, cipher: Buffer) -> bytes:
        """Return the plaintext of chunk ``index``.

        Raises:
            DamagedChunk: another key, another place, or a changed ciphertext.
        """
        try:
            return self.aead.decrypt(_nonce(index), cipher, self._associated(index))
        except InvalidTag as error:
            raise DamagedChunk from error

    def _associated(self, index: int) -> bytes:
        return Context.CHUNK + struct.pack(">QQ", index, self.total)


def _nonce(index: int) -> bytes:
    return bytes(4) + struct.pack(">Q", index)
