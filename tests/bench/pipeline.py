"""The whole encode and decode pipeline against its two heavy stages alone, in one run.

Encode is what staging does with a file: hash, encrypt, erasure-code, the Merkle root of every
block of all n shares. Decode is what a fetch does with k blocks of each chunk: take the whitening
off, check every block's root, rebuild, decrypt, hash. None of the blocks is a primary one, so that
every byte has to be computed. Both run on threads, as in a node, over the same functions.
"""

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bitsnode.codec.chunks import ChunkCipher
from bitsnode.codec.erasure import Code, decode, encode
from bitsnode.codec.keys import whitening_key
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.merkle import block_root, check_block
from bitsnode.codec.whitening import whiten
from bitsnode.content.staging import AHEAD, block_roots

THREADS = 3  # one more than cores: zfec lets go of the interpreter
ROUNDS = 5  # stages take turns, and the best turn of each counts
GOAL = 0.6


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ahead(pool: ThreadPoolExecutor, jobs: Iterable[Callable[[], Any]]) -> list[Any]:
    """Carry out jobs on the pool, a few at a time, and return their results in order."""
    pending: deque[Future[Any]] = deque()
    results = []
    for job in jobs:
        pending.append(pool.submit(job))
        if len(pending) > AHEAD:
            results.append(pending.popleft().result())
    return results + [waiting.result() for waiting in pending]


def _encode(code: Code, cipher: ChunkCipher, chunks: list[bytes]) -> None:
    digest = hashlib.sha256()

    def jobs() -> Iterable[Callable[[], bytes]]:
        for number, plain in enumerate(chunks):
            digest.update(plain)
            sealed = cipher.encrypt(number, plain)
            yield lambda sealed=sealed: block_roots(code, sealed)

    with ThreadPoolExecutor(THREADS) as pool:
        _ahead(pool, jobs())


def _decode(
    code: Code,
    cipher: ChunkCipher,
    keys: list[bytes],
    stored: list[dict[int, tuple[bytes, bytes]]],
) -> None:
    def one(number: int) -> bytes:
        blocks = {}
        for index, (whitened, root) in stored[number].items():
            block = whiten(keys[index], 0, number, whitened)
            check_block(block, root)
            blocks[index] = block
        return cipher.decrypt(number, decode(code, blocks, CHUNK_SIZE + 16))

    digest = hashlib.sha256()
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = (lambda number=number: one(number) for number in range(len(stored)))
        for plain in _ahead(pool, jobs):
            digest.update(plain)


def run(mib: int = 24, k: int = 10, n: int = 30) -> dict[str, float]:
    """Measure everything.

    Args:
        mib: MiB of plaintext.
        k: of the code.
        n: of the code.

    Returns:
        MB of plaintext per second of each stage and pipeline, and the two ratios.
    """
    code, secret = Code(k, n), secrets.token_bytes(16)
    chunks = [secrets.token_bytes(CHUNK_SIZE) for _ in range(mib)]
    cipher = ChunkCipher.of(secret, mib)
    aead, nonce = ChaCha20Poly1305(bytes(32)), bytes(12)
    sealed = [cipher.encrypt(number, plain) for number, plain in enumerate(chunks)]
    keys = [whitening_key(secret, bytes(32), index) for index in range(n)]
    chosen = list(range(n - k, n))  # no primary blocks: every byte takes arithmetic
    picked = [dict(zip(chosen, encode(code, each, chosen), strict=True)) for each in sealed]
    stored = [
        {i: (whiten(keys[i], 0, number, b), block_root(b)) for i, b in blocks.items()}
        for number, blocks in enumerate(picked)
    ]
    stages: dict[str, Callable[[], object]] = {
        "chacha20poly1305": lambda: [aead.encrypt(nonce, each, None) for each in chunks],
        "zfec encode": lambda: [encode(code, each) for each in sealed],
        "encode": lambda: _encode(code, cipher, chunks),
        "zfec decode": lambda: [decode(code, each, CHUNK_SIZE + 16) for each in picked],
        "decode": lambda: _decode(code, cipher, keys, stored),
    }
    turns = [{name: _seconds(work) for name, work in stages.items()} for _ in range(ROUNDS)]
    size = mib * CHUNK_SIZE / 1e6
    found = {name: size / min(turn[name] for turn in turns) for name in stages}
    for name in ("encode", "decode"):
        slower = min(found["chacha20poly1305"], found[f"zfec {name}"])
        found[f"{name} ratio"] = found[name] / slower
    return found


def rows() -> list[dict[str, Any]]:
    """Return one row for encoding and one for decoding, as `tests.bench` prints them."""
    found = run()
    return [
        {
            "what": f"{name} 10/30, against raw zfec",
            "measured": f"{found[name]:.0f} MB/s",
            "baseline": f"{found[f'zfec {name}']:.0f} MB/s",
            "ratio": f"{found[f'{name} ratio']:.2f}",
            "goal": f">= {GOAL}",
            "met": found[f"{name} ratio"] >= GOAL,
        }
        for name in ("encode", "decode")
    ]


if __name__ == "__main__":
    for what, value in run().items():
        print(f"{what:20}{value:10.2f}")
