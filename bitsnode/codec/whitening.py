"""Whitening: what each holder stores looks different, so that one machine cannot pose as many.

A stored block is the share's block XOR ChaCha20 (RFC 8439 §2.4) under the key of W, the holder
and the share's index; its nonce is the block's place. Whitening twice gives the block back.
"""

import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from bitsnode.codec.merkle import Buffer


def whiten(key: bytes, segment: int, chunk: int, block: Buffer) -> bytes:
    """Whiten a block, or take the whitening off it.

    Args:
        key: of `bitsnode.codec.keys.whitening_key`, 32 bytes.
        segment: number of the segment, u32.
        chunk: number of the chunk in the whole content, u64.
        block: at most 1 MiB + 16 bytes.
    """
    # cryptography's nonce: u32 LE initial counter ‖ the 12-byte nonce of RFC 8439
    nonce = struct.pack("<I", 0) + struct.pack(">IQ", segment, chunk)
    return Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(block)
