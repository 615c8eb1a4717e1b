"""Erasure coding and the layout of blocks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsnode.codec.chunks import ChunkCipher
from bitsnode.codec.erasure import Code, TooFewBlocks, decode, encode
from bitsnode.codec.keys import whitening_key
from bitsnode.codec.layout import CHUNK_SIZE, SEGMENT_CHUNKS, Layout
from bitsnode.codec.whitening import whiten


@given(st.binary(min_size=1, max_size=300), st.integers(1, 12), st.integers(0, 12), st.data())
def test_any_k_blocks_give_the_chunk_back(
    cipher: bytes, k: int, more: int, data: st.DataObject
) -> None:
    """Every choice of k of the n blocks rebuilds every ciphertext."""
    code = Code(k, k + more)
    blocks = encode(code, cipher)
    assert len(blocks) == code.n
    assert {len(block) for block in blocks} == {-(-len(cipher) // k)}
    chosen = data.draw(st.permutations(range(code.n)))[:k]
    assert decode(code, {number: blocks[number] for number in chosen}, len(cipher)) == cipher


def test_one_block_can_be_made_alone() -> None:
    """A block made alone is the block made with all the others."""
    code, cipher = Code(3, 9), bytes(range(200))
    blocks = encode(code, cipher)
    assert [encode(code, cipher, [number])[0] for number in range(9)] == blocks


def test_fewer_than_k_blocks_are_refused() -> None:
    """Too few by one raise and do not give garbage."""
    code = Code(3, 9)
    blocks = encode(code, b"cipher")
    with pytest.raises(TooFewBlocks):
        decode(code, {0: blocks[0], 8: blocks[8]}, 6)


@pytest.mark.parametrize(
    ("willing", "k", "n", "happiness"),
    [(1, 1, 1, 1), (2, 1, 2, 2), (5, 1, 5, 4), (7, 2, 7, 6), (10, 3, 10, 8), (30, 10, 30, 24)],
)
def test_the_code_follows_the_willing_holders(willing: int, k: int, n: int, happiness: int) -> None:
    """The code has n = min(30, H), k = max(1, n // 3), happiness = ceil(0.8 n)."""
    code = Code.for_holders(willing)
    assert (code.k, code.n, code.happiness) == (k, n, happiness)
    assert Code.for_holders(100) == Code(10, 30)
    assert str(code) == f"{k}/{n}"


SIZES = st.one_of(
    st.integers(0, 3),
    st.builds(
        lambda chunks, off: max(0, chunks * CHUNK_SIZE + off), st.integers(1, 3), st.integers(-2, 2)
    ),
)


@settings(max_examples=20)
@given(SIZES, st.integers(1, 4), st.integers(0, 3))
def test_round_trip_of_a_whole_content(size: int, k: int, more: int) -> None:
    """Sizes around the chunk boundaries come back from shares laid out as `Layout` says."""
    layout, code = Layout(size, k, k + more), Code(k, k + more)
    plain = (bytes(range(256)) * (size // 256 + 1))[:size]
    cipher = ChunkCipher.of(bytes(16), layout.chunks)
    shares = [bytearray() for _ in range(code.n)]
    for chunk in range(layout.chunks):
        assert layout.block_offset(chunk) == len(shares[0])
        piece = plain[chunk * CHUNK_SIZE : (chunk + 1) * CHUNK_SIZE]
        assert len(piece) == layout.plain_size(chunk)
        for share, block in zip(shares, encode(code, cipher.encrypt(chunk, piece)), strict=True):
            assert len(block) == layout.block_size(chunk)
            share += block
    assert {len(share) for share in shares} == {layout.share_size}
    back = b""
    for chunk in range(layout.chunks):
        at, length = layout.block_offset(chunk), layout.block_size(chunk)
        blocks = {i: shares[i][at : at + length] for i in range(code.n - code.k, code.n)}
        back += cipher.decrypt(chunk, decode(code, blocks, layout.cipher_size(chunk)))
    assert back == plain


def test_layout_of_an_empty_content() -> None:
    """Nothing has no chunks, no segments and shares of no bytes."""
    layout = Layout(0, 2, 7)
    assert (layout.chunks, layout.segments, layout.share_size, layout.full_block_size) == (0,) * 4


def test_layout_of_segments() -> None:
    """A segment has 256 chunks, and the last has what is left."""
    layout = Layout(SEGMENT_CHUNKS * CHUNK_SIZE + 1, 1, 1)
    assert (layout.chunks, layout.segments) == (257, 2)
    assert (layout.chunks_of(0), layout.chunks_of(1)) == (range(256), range(256, 257))
    assert (layout.segment(255), layout.segment(256)) == (0, 1)


@pytest.mark.parametrize(
    ("first", "last", "chunks"),
    [
        (0, 0, range(0, 1)),
        (CHUNK_SIZE - 1, CHUNK_SIZE, range(0, 2)),
        (CHUNK_SIZE, 2 * CHUNK_SIZE - 1, range(1, 2)),
        (0, 10**12, range(0, 3)),
    ],
)
def test_chunks_of_a_byte_range(first: int, last: int, chunks: range) -> None:
    """A range needs the chunks it touches and no others."""
    assert Layout(2 * CHUNK_SIZE + 5, 1, 1).chunks_for(first, last) == chunks


def test_whitening_differs_by_holder_index_segment_and_chunk_and_comes_off() -> None:
    """Each place has its own stream, and whitening twice is no whitening."""
    block = bytes(1000)
    places = set()
    for onion in (b"a" * 32, b"b" * 32):
        for index in (0, 1):
            key = whitening_key(bytes(16), onion, index)
            for segment, chunk in ((0, 0), (0, 1), (1, 0)):
                stored = whiten(key, segment, chunk, block)
                assert whiten(key, segment, chunk, stored) == block
                places.add(stored)
    assert len(places) == 12
