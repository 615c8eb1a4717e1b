"""Make tests/vectors/codec_formats.json from the written formats alone: ``python FILE > …json``.

It shares no code with bits: HKDF by RFC 5869 over ``hmac``, ChaCha20 by RFC 8439 §2.3 in plain
Python, so that the vectors check the formats and not the program against itself.
"""

import hashlib
import hmac
import json
import struct


def hkdf(secret: bytes, info: bytes) -> str:
    """Return one block of HKDF-SHA256 without salt (RFC 5869 §2.2, §2.3)."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).hexdigest()


def chacha20(key: bytes, nonce: bytes, size: int) -> bytes:
    """Return the key stream from block 0 on (RFC 8439 §2.3)."""
    stream = b""
    for counter in range(-(-size // 64)):
        first = [*b"expa", *b"nd 3", *b"2-by", *b"te k"]
        state = list(struct.unpack("<16I", bytes(first) + key + struct.pack("<I", counter) + nonce))
        work = state[:]
        for _ in range(10):
            for columns in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
                _quarter(work, *columns)
            for diagonals in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                _quarter(work, *diagonals)
        words = [(a + b) & 0xFFFFFFFF for a, b in zip(work, state, strict=True)]
        stream += struct.pack("<16I", *words)
    return stream[:size]


def _quarter(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        mixed = s[z] ^ s[x]
        s[z] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF


def main() -> None:
    """Print the vectors."""
    digest, secret, whitening = bytes(range(32)), bytes(range(16)), bytes(range(16, 32))
    onion_key, index = bytes(range(64, 96)), 7
    info = b"bits/whitening/v1" + onion_key + struct.pack(">H", index)
    whitening_key = bytes.fromhex(hkdf(whitening, info))
    nonce = struct.pack(">IQ", 2, 515)
    share = b"bits/share-puzzle/v1" + onion_key + digest + struct.pack(">H", index) + digest
    counter = 0
    bound = (1 << 256) // ((1 << 6) * 3)
    while True:
        solution = struct.pack(">QQ", 0, counter)
        if int.from_bytes(hashlib.sha256(share + solution).digest(), "big") < bound:
            break
        counter += 1
    vectors = {
        "source": "the formats of bits, version 1",
        "generator": "tests/codec/make_vectors.py, which shares no code with bits",
        "checked_by": "tests/codec/test_vectors.py",
        "digest": digest.hex(),
        "content_secret": secret.hex(),
        "whitening": whitening.hex(),
        "onion_key": onion_key.hex(),
        "index": index,
        "manifest_key": hkdf(digest, b"bits/manifest-key/v1"),
        "storage_index": hkdf(digest, b"bits/storage-index/v1"),
        "record_seed": hkdf(digest, b"bits/record-seed/v1"),
        "record_seal_key": hkdf(digest, b"bits/record-seal/v1"),
        "chunk_key": hkdf(secret, b"bits/chunk-key/v1"),
        "whitening_key": whitening_key.hex(),
        "whitening_commitment": hashlib.sha256(
            b"bits/whitening-commitment/v1" + whitening
        ).hexdigest(),
        "provider_slot_seed": hkdf(b"p" * 32, b"bits/slot-seed/v1" + digest + b"\x01" + onion_key),
        "whitened_zeros": {
            "segment": 2,
            "chunk": 515,
            "block": chacha20(whitening_key, nonce, 100).hex(),
        },
        "share_puzzle": {
            "storage_index": digest.hex(),
            "whitened_root": digest.hex(),
            "size": (2 << 20) + 1,
            "bits": 6,
            "nonce": solution.hex(),
        },
    }
    print(json.dumps(vectors, indent=2))


if __name__ == "__main__":
    main()
