"""Where each byte of a content lies: chunks, blocks, shares, segments. Arithmetic only."""

from typing import Final

import attrs

CHUNK_SIZE: Final = 1 << 20  # bytes of plaintext in every chunk but the last
TAG_SIZE: Final = 16  # bytes that encryption adds to a chunk (RFC 8439 §2.8)
SEGMENT_CHUNKS: Final = 256  # chunks whose blocks make one share file with one root
MAX_SIZE: Final = 1 << 48  # bytes of the largest content
MAX_SHARES: Final = 256  # largest n: zfec computes in the field of 256 elements


@attrs.frozen
class Layout:
    """The places of a content of ``size`` bytes, coded k of n.

    A *block* is one share's piece of one chunk; a *share* all blocks of one index, in the order
    of the chunks. Callers have checked 0 <= size <= `MAX_SIZE` and 1 <= k <= n.

    Attributes:
        size: bytes of plaintext.
        k: blocks that rebuild a chunk.
        n: blocks made of each chunk.
    """

    size: int
    k: int
    n: int

    @property
    def chunks(self) -> int:
        """How many chunks there are; none for an empty content."""
        return -(-self.size // CHUNK_SIZE)

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return -(-self.chunks // SEGMENT_CHUNKS)

    def plain_size(self, chunk: int) -> int:
        """Bytes of plaintext in a chunk."""
        return min(CHUNK_SIZE, self.size - chunk * CHUNK_SIZE)

    def cipher_size(self, chunk: int) -> int:
        """Bytes of a chunk's ciphertext."""
        return self.plain_size(chunk) + TAG_SIZE

    def cipher_offset(self, chunk: int) -> int:
        """Where a chunk's ciphertext begins when all are written one after the other."""
        return chunk * (CHUNK_SIZE + TAG_SIZE)

    def block_size(self, chunk: int) -> int:
        """Bytes of each block of a chunk."""
        return -(-self.cipher_size(chunk) // self.k)

    def block_offset(self, chunk: int) -> int:
        """Where the block of a chunk begins in a share."""
        return chunk * self.full_block_size

    @property
    def full_block_size(self) -> int:
        """Bytes of the blocks of every chunk but the last."""
        return self.block_size(0) if self.chunks else 0

    @property
    def last_block_size(self) -> int:
        """Bytes of the last chunk's blocks; 0 when there is no chunk."""
        return self.block_size(self.chunks - 1) if self.chunks else 0

    @property
    def share_size(self) -> int:
        """Bytes of a share."""
        return max(0, self.chunks - 1) * self.full_block_size + self.last_block_size

    @staticmethod
    def segment(chunk: int) -> int:
        """The segment that a chunk is in."""
        return chunk // SEGMENT_CHUNKS

    def chunks_of(self, segment: int) -> range:
        """The chunks of a segment."""
        first = segment * SEGMENT_CHUNKS
        return range(first, min(first + SEGMENT_CHUNKS, self.chunks))

    def chunks_for(self, first: int, last: int) -> range:
        """The chunks that hold the bytes from ``first`` to ``last``, both included."""
        return range(first // CHUNK_SIZE, min(last // CHUNK_SIZE + 1, self.chunks))
