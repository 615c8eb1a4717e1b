"""Node cards: what a node says of itself, signed by its onion key.

A card is to bits what a relay descriptor is to Tor. Its proof of work admits a key to the
keyspace (S/Kademlia, §4.1): the position is a hash of the proof, so it cannot be chosen without
paying again, and the proof is checked at the price of one hash before any signature is.
"""

import struct
from collections.abc import Callable
from functools import cached_property
from typing import Final, Self

import attrs
import nacl.bindings
import nacl.exceptions
import nacl.signing

from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context, leading_zero_bits, sha256
from bitsnode.wire import cbor
from bitsnode.wire.schema import Bytes, Text, Uint, field, from_map, to_map

CARD_VERSION: Final = 1
MAX_CARD: Final = 512  # bytes of a signed card; a full one has about 260
NONCE_SIZE: Final = 16  # bytes
HOUR: Final = 3600  # seconds; expiries are multiples of it, so that no card shows a clock's drift
MAX_CARD_LIFETIME: Final = 7 * 24 * HOUR  # seconds
MAX_SKEW: Final = 2 * HOUR  # seconds another node's clock may be ahead of ours


class Capability:
    """Bits of `NodeCard.capabilities`."""

    STORAGE: Final = 1
    CUSTODY: Final = 2
    RELAY: Final = 4
    INDEX: Final = 8


class BadCard(RemoteProtocolError):
    """A node card is malformed, expired, unpaid or not signed by its onion key."""


def puzzle_proof(onion_key: bytes, nonce: bytes) -> bytes:
    """Return the 32-byte proof p of an onion key (32 bytes) and a nonce (16 bytes)."""
    return sha256(Context.CARD_PUZZLE, onion_key, nonce)


def node_id(onion_key: bytes, nonce: bytes) -> bytes:
    """Return the 32-byte point of the keyspace that the proof gives."""
    return sha256(Context.NODE_ID, puzzle_proof(onion_key, nonce))


def solve_puzzle(onion_key: bytes, bits: int, start: int, tries: int) -> bytes | None:
    """Look for a nonce whose proof has ``bits`` leading zero bits.

    Args:
        onion_key: 32 bytes.
        bits: difficulty; 2**bits tries are needed on average.
        start: first counter to try; go on from ``start + tries`` when none was found.
        tries: counters to try, so that a caller can work in slices.

    Returns:
        A nonce of 16 bytes, or None.
    """
    for counter in range(start, start + tries):
        nonce = struct.pack(">QQ", 0, counter)
        if leading_zero_bits(puzzle_proof(onion_key, nonce)) >= bits:
            return nonce
    return None


@attrs.frozen
class NodeCard:
    """One version of what a node says of itself.

    Attributes:
        version: of this format, 1.
        network: name of the network, so that a card is of no use in another one.
        onion_key: Ed25519 public key of the onion address, 32 bytes; it signs the card.
        signing_key: Ed25519 public key for node duties, 32 bytes.
        sealing_key: X25519 public key, 32 bytes.
        capabilities: bits of `Capability`.
        nonce: solution of the admission puzzle, 16 bytes.
        sequence: higher replaces lower.
        expires: Unix time in seconds, a multiple of an hour.
    """

    version: int = field(1, Uint(CARD_VERSION, CARD_VERSION))
    network: str = field(2, Text(16))
    onion_key: bytes = field(3, Bytes(32, 32))
    signing_key: bytes = field(4, Bytes(32, 32))
    sealing_key: bytes = field(5, Bytes(32, 32))
    capabilities: int = field(6, Uint(0xFFFF))
    nonce: bytes = field(7, Bytes(NONCE_SIZE, NONCE_SIZE))
    sequence: int = field(8, Uint((1 << 63) - 1))
    expires: int = field(9, Uint(1 << 40))

    # both are asked for at every step of a lookup, of a few hundred cards
    @cached_property
    def node_id(self) -> bytes:
        """The node's 32-byte point of the keyspace."""
        return node_id(self.onion_key, self.nonce)

    @cached_property
    def point(self) -> int:
        """The same as an integer: distances are sorted by it."""
        return int.from_bytes(self.node_id, "big")

    def can(self, capability: int) -> bool:
        """Return whether the card names this capability."""
        return bool(self.capabilities & capability)


@attrs.frozen
class SignedCard:
    """A card that was checked, and the very bytes that were signed.

    Attributes:
        card: the parsed card.
        data: canonical CBOR of ``[card bytes, signature]``, at most `MAX_CARD` bytes.
    """

    card: NodeCard
    data: bytes = attrs.field(repr=False)

    @classmethod
    def sign(cls, card: NodeCard, sign: Callable[[bytes], bytes]) -> Self:
        """Sign a card with the onion key: ``sign(message)`` returns 64 bytes."""
        payload = cbor.encode(to_map(card))
        return cls(card, cbor.encode([payload, sign(Context.CARD + payload)]))

    @classmethod
    def parse(cls, data: bytes, *, network: str, puzzle_bits: int, now: float) -> Self:
        """Check a card from outside: size, form, puzzle, time, and at last the signature.

        Args:
            data: as in `SignedCard.data`.
            network: the only network name accepted.
            puzzle_bits: leading zero bits that the proof must have.
            now: Unix time in seconds.

        Raises:
            RemoteProtocolError: `BadCard`, or what the parts raise.
        """
        outer = cbor.decode(data, MAX_CARD)
        if type(outer) is not list or [type(part) for part in outer] != [bytes, bytes]:
            raise BadCard
        payload, signature = outer
        card = from_map(NodeCard, cbor.decode(payload, MAX_CARD))
        if card.network != network:
            raise BadCard(f'A node card is for the network "{card.network[:16]}", not this one.')
        if leading_zero_bits(puzzle_proof(card.onion_key, card.nonce)) < puzzle_bits:
            raise BadCard("A node card does not solve the admission puzzle.")
        if card.expires % HOUR or not now < card.expires <= now + MAX_CARD_LIFETIME + MAX_SKEW:
            raise BadCard("A node card has expired or comes from a wrong clock.")
        # rend-spec-v3 §1.9: clients refuse such a key as an onion address, so nobody could dial it
        if not nacl.bindings.crypto_core_ed25519_is_valid_point(card.onion_key):
            raise BadCard("A node card names a key that cannot be an onion address.")
        try:
            nacl.signing.VerifyKey(card.onion_key).verify(Context.CARD + payload, signature)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise BadCard("A node card is not signed by its onion key.") from error
        return cls(card, data)
