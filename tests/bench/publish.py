"""Publishing to ten holders, against the two computations that nothing can save.

The publisher of a localnet of eleven nodes, at tor's own pace, publishes a new file in each round:
3 of 10, so that 3.3 times its bytes travel. The baseline encrypts and erasure-codes the same bytes
with the same code in memory, on one core.
"""

import secrets
import statistics
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bitsnode.codec.erasure import Code, encode
from bitsnode.codec.layout import CHUNK_SIZE
from tests.acceptance.cli_net import CliNode
from tests.bench.networks import grow, published_to, stopped_at_end
from tests.bench.processes import cpu_seconds, node_and_tor
from tests.bench.row import Options, Row, at_least

HOLDERS = 10
SIZE, QUICK_SIZE = 64 << 20, 8 << 20  # bytes
ROUNDS = 3


def _raw(data: bytes, code: Code) -> tuple[float, float]:
    """Encrypt and code the bytes; return seconds, and seconds of CPU."""
    aead, nonce = ChaCha20Poly1305(bytes(32)), bytes(12)
    began, before = time.perf_counter(), time.process_time()
    for at in range(0, len(data), CHUNK_SIZE):
        encode(code, aead.encrypt(nonce, data[at : at + CHUNK_SIZE], None))
    return time.perf_counter() - began, time.process_time() - before


def _published(node: CliNode, pids: list[int], file: Path) -> tuple[float, float]:
    """Publish a file; return seconds, and seconds of CPU of the node and its tor."""
    began, before = time.perf_counter(), cpu_seconds(pids)
    published = node.ok("publish", "--free", file)
    if len(published["holders"]) != HOLDERS:
        raise RuntimeError(f"not {HOLDERS} holders: {published['code']}")
    return time.perf_counter() - began, cpu_seconds(pids) - before


def rows(options: Options) -> list[Row]:
    """Measure both in turn."""
    size, rounds = (QUICK_SIZE, 1) if options.quick else (SIZE, ROUNDS)
    code, ours, raw = Code.for_holders(HOLDERS), [], []
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        with stopped_at_end(directory):
            publisher = grow(directory, HOLDERS + 1).nodes[0]
            pids = node_and_tor(publisher)
            small = directory / "small"
            small.write_bytes(secrets.token_bytes(1 << 20))
            published_to(publisher, small, HOLDERS)  # everybody knows everybody
            for _ in range(rounds):
                data = secrets.token_bytes(size)
                (directory / "big").write_bytes(data)
                raw.append(_raw(data, code))
                ours.append(_published(publisher, pids, directory / "big"))
    (seconds, cpu), (bare, bare_cpu) = (
        map(statistics.median, zip(*each, strict=True)) for each in (ours, raw)
    )
    megabytes = size / 1e6
    what = f"{size >> 20} MiB to {HOLDERS} holders"
    return [
        at_least(
            f"publish {what}, against raw zfec and encryption",
            f"{megabytes / seconds:.2f} MB/s",
            f"{megabytes / bare:.2f} MB/s",
            bare / seconds,
            None,
        ),
        at_least(
            f"CPU of a publish with its tor, {HOLDERS} holders, against the same",
            f"{cpu / megabytes * 1000:.1f} ms/MB",
            f"{bare_cpu / megabytes * 1000:.1f} ms/MB",
            cpu / bare_cpu,
            None,
        ),
    ]
