"""Encryption of chunks."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bitsnode.codec.chunks import ChunkCipher, fresh_secret
from bitsnode.codec.errors import DamagedChunk
from bitsnode.codec.keys import chunk_key

SECRET = bytes(range(16))


def test_the_library_is_rfc_8439() -> None:
    """The AEAD underneath gives the ciphertext and tag of RFC 8439 §2.8.2."""
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    associated = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plain = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
        b"the future, sunscreen would be it."
    )
    sealed = ChaCha20Poly1305(key).encrypt(nonce, plain, associated)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


def test_the_nonce_and_associated_data_are_the_documented_ones() -> None:
    """A chunk made by hand from the format's description is what the cipher makes."""
    nonce = bytes(4) + (5).to_bytes(8, "big")
    associated = b"bits/chunk/v1" + (5).to_bytes(8, "big") + (9).to_bytes(8, "big")
    by_hand = ChaCha20Poly1305(chunk_key(SECRET)).encrypt(nonce, b"text", associated)
    assert ChunkCipher.of(SECRET, 9).encrypt(5, b"text") == by_hand


@pytest.mark.parametrize("byte", [0, 3, 4, 19])
def test_c1_a_flipped_bit_of_ciphertext_or_tag_is_detected(byte: int) -> None:
    """No plaintext comes of a chunk with one bit changed anywhere."""
    cipher = ChunkCipher.of(SECRET, 1)
    damaged = bytearray(cipher.encrypt(0, b"text"))
    damaged[byte] ^= 0x10
    with pytest.raises(DamagedChunk):
        cipher.decrypt(0, damaged)


@pytest.mark.parametrize(("index", "total"), [(1, 3), (0, 2), (0, 4)])
def test_a_chunk_cannot_be_moved_or_cut_off(index: int, total: int) -> None:
    """A chunk decrypts only at its place and in a content of its length."""
    sealed = ChunkCipher.of(SECRET, 3).encrypt(0, b"text")
    with pytest.raises(DamagedChunk):
        ChunkCipher.of(SECRET, total).decrypt(index, sealed)


def test_c5_the_same_plaintext_twice_gives_other_keys_and_ciphertexts() -> None:
    """Every content draws its own secret, so equal plaintexts share neither key nor bytes."""
    first, second = fresh_secret(), fresh_secret()
    assert chunk_key(first) != chunk_key(second)
    plain = bytes(1000)
    assert ChunkCipher.of(first, 1).encrypt(0, plain) != ChunkCipher.of(second, 1).encrypt(0, plain)


def test_the_key_is_not_shown() -> None:
    """Neither the cipher's repr nor its fields print key material."""
    assert chunk_key(SECRET).hex() not in repr(ChunkCipher.of(SECRET, 1))
    assert "aead" not in repr(ChunkCipher.of(SECRET, 1))
