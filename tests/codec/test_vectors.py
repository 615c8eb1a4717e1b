"""The derived formats against vectors made without our code."""

import json
from pathlib import Path

import pytest

from bitsnode.codec import keys, share_puzzle
from bitsnode.codec.share_puzzle import SharePuzzle
from bitsnode.codec.whitening import whiten
from bitsnode.wire.record import RecordKind

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/codec_formats.json").read_text())
DIGEST = bytes.fromhex(VECTORS["digest"])
ONION_KEY = bytes.fromhex(VECTORS["onion_key"])


@pytest.mark.parametrize("name", ["manifest_key", "storage_index", "record_seed"])
def test_keys_of_a_content_id(name: str) -> None:
    """Each key is HKDF of the digest under its own context."""
    assert getattr(keys, name)(DIGEST).hex() == VECTORS[name]


def test_other_derivations() -> None:
    """Sealing key, chunk key, whitening key and commitment, seed of a slot key."""
    secret, whitening = (bytes.fromhex(VECTORS[name]) for name in ("content_secret", "whitening"))
    assert keys.record_seal_key(DIGEST).hex() == VECTORS["record_seal_key"]
    assert keys.chunk_key(secret).hex() == VECTORS["chunk_key"]
    key = keys.whitening_key(whitening, ONION_KEY, VECTORS["index"])
    assert key.hex() == VECTORS["whitening_key"]
    assert keys.whitening_commitment(whitening).hex() == VECTORS["whitening_commitment"]
    seed = keys.slot_seed(b"p" * 32, DIGEST, RecordKind.PROVIDER, ONION_KEY)
    assert seed.hex() == VECTORS["provider_slot_seed"]


def test_the_whitening_stream() -> None:
    """Whitened zeros are ChaCha20's key stream from block 0 on."""
    found = VECTORS["whitened_zeros"]
    block = bytes.fromhex(found["block"])
    key = bytes.fromhex(VECTORS["whitening_key"])
    assert whiten(key, found["segment"], found["chunk"], bytes(len(block))) == block


def test_the_share_puzzle() -> None:
    """The first solution by the written formula is the first that we find."""
    found = VECTORS["share_puzzle"]
    puzzle = SharePuzzle(
        ONION_KEY,
        bytes.fromhex(found["storage_index"]),
        VECTORS["index"],
        bytes.fromhex(found["whitened_root"]),
        found["size"],
        found["bits"],
    )
    assert share_puzzle.solve(puzzle) == bytes.fromhex(found["nonce"])
    share_puzzle.check(puzzle, bytes.fromhex(found["nonce"]))
