"""Values of provider and placement records."""

import nacl.signing
import pytest

from bitsnode.codec.errors import BadPlacement
from bitsnode.codec.keys import record_seal_key
from bitsnode.codec.placement import (
    Placed,
    Provider,
    open_placement,
    seal_placement,
    seal_provider,
    unseal_provider,
)
from bitsnode.codec.sealing import seal
from bitsnode.ids import Context
from bitsnode.wire import cbor
from bitsnode.wire.record import MAX_VALUE

DIGEST = b"d" * 32
SEED = b"p" * 32
KEY = nacl.signing.SigningKey(SEED)
PUBLISHER = bytes(KEY.verify_key)
LINES = tuple(Placed(index, bytes([index]) * 32, b"r" * 32) for index in range(256))


def test_a_placement_of_256_holders_fits_a_record_and_comes_back() -> None:
    """The largest placement is within a record's limit."""
    value = seal_placement(DIGEST, LINES, SEED)
    assert len(value) <= MAX_VALUE
    placement = open_placement(DIGEST, value)
    placement.verify(DIGEST, PUBLISHER)
    assert placement.placed == LINES


def test_a_provider_comes_back() -> None:
    """A provider record tells holder and index to those who know the content id."""
    provider = Provider(b"h" * 32, 7)
    assert unseal_provider(DIGEST, seal_provider(DIGEST, provider)) == provider
    with pytest.raises(BadPlacement):
        unseal_provider(b"e" * 32, seal_provider(DIGEST, provider))


def test_a_reader_cannot_forge_a_placement() -> None:
    """Who knows the content id can seal a value, but not sign it as the publisher."""
    forged = seal_placement(DIGEST, LINES[:2], b"q" * 32)
    with pytest.raises(BadPlacement, match="not signed by its publisher"):
        open_placement(DIGEST, forged).verify(DIGEST, PUBLISHER)


def test_a_placement_of_another_content_is_refused() -> None:
    """The signature names the content, so a placement cannot be carried over."""
    payload = cbor.encode([])
    signature = KEY.sign(Context.PLACEMENT + b"e" * 32 + payload).signature
    value = seal(record_seal_key(DIGEST), cbor.encode([payload, signature]))
    with pytest.raises(BadPlacement, match="not signed by its publisher"):
        open_placement(DIGEST, value).verify(DIGEST, PUBLISHER)


@pytest.mark.parametrize(
    "lines",
    [
        None,
        {},
        [None],
        [[0, b"h" * 32]],
        [[256, b"h" * 32, b"r" * 32]],
        [[-1, b"h" * 32, b"r" * 32]],
        [[True, b"h" * 32, b"r" * 32]],
        [[0, b"h" * 31, b"r" * 32]],
        [[0, b"h" * 32, "r" * 32]],
        [[0, b"h" * 32, b"r" * 32], [0, b"i" * 32, b"r" * 32]],
    ],
)
def test_malformed_placements_are_refused(lines: object) -> None:
    """Even a publisher's signature does not make a malformed placement good."""
    payload = cbor.encode(lines)
    signature = KEY.sign(Context.PLACEMENT + DIGEST + payload).signature
    value = seal(record_seal_key(DIGEST), cbor.encode([payload, signature]))
    with pytest.raises(BadPlacement):
        open_placement(DIGEST, value)


@pytest.mark.parametrize("found", [None, [], [b"h" * 32], [b"h", 1], [b"h" * 32, 256], [1, 1]])
def test_malformed_providers_are_refused(found: object) -> None:
    """A provider record is exactly a key of 32 bytes and an index below 256."""
    with pytest.raises(BadPlacement):
        unseal_provider(DIGEST, seal(record_seal_key(DIGEST), cbor.encode(found)))
    with pytest.raises(BadPlacement):
        unseal_provider(DIGEST, b"short")
