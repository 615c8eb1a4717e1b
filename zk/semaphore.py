"""Semaphore version 4: who a member is, what a proof says in public, and what it costs to say it.

A member is a secret scalar s. Its public key is s times the base point of Baby Jubjub, its
commitment, the leaf of the group's tree, Poseidon(x, y) of that. A proof shows the nullifier
Poseidon(hash(scope), s): one per member and scope, the same each time. Message and scope are any
uint256 and enter the circuit as hashes.

Sources: semaphore.circom and Semaphore.sol of Semaphore 4.14.3. The JS packages derive s from a
private key by EdDSA's rules; here a member is the scalar, and whoever derives it has 64 uniform
bytes.
"""

from collections.abc import Sequence
from typing import Final

from eth_hash.auto import keccak

from zk.babyjubjub import SUBGROUP, multiply_base
from zk.poseidon import hash_pair

MAX_UINT256: Final = (1 << 256) - 1
SEED_SIZE: Final = 64  # bytes, so that the remainder below is biased by less than 2**-256


class InvalidSecret(ValueError):
    """This is not the secret of a member: it is zero, negative, or not below the curve's order."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]


class NotUint256(ValueError):
    """This number does not fit into an unsigned word of 256 bits."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]


def secret_from_seed(seed: bytes) -> int:
    """Return the secret scalar for 64 uniform bytes, such as the output of HKDF.

    Raises:
        InvalidSecret: there are not 64 of them.
    """
    if len(seed) != SEED_SIZE:
        raise InvalidSecret
    return 1 + int.from_bytes(seed, "big") % (SUBGROUP - 1)


def check_secret(secret: int) -> int:
    """Return a secret scalar that the circuit accepts.

    The circuit takes every scalar below the order; 0 is refused here, for everybody knows it.

    Raises:
        InvalidSecret: it is not in [1, order of the subgroup).
    """
    if not 0 < secret < SUBGROUP:
        raise InvalidSecret
    return secret


def commitment(secret: int) -> int:
    """Return the public commitment of a member, a field element.

    Raises:
        InvalidSecret: see `check_secret`.
    """
    return hash_pair(*multiply_base(check_secret(secret)))


def nullifier(secret: int, scope: int) -> int:
    """Return what a proof of this member in this scope shows, a field element.

    Raises:
        InvalidSecret: see `check_secret`.
        NotUint256: the scope is not a uint256.
    """
    return hash_pair(signal_hash(scope), check_secret(secret))


def signal_hash(value: int) -> int:
    """Return how message or scope enter the circuit: keccak256 of the word, without 8 bits.

    31 bytes always fit into the field, so no two names of one element arise.

    Raises:
        NotUint256: the value is not a uint256.
    """
    return int.from_bytes(keccak(check_uint256(value).to_bytes(32, "big")), "big") >> 8


def check_uint256(value: int) -> int:
    """Return a number that Solidity would take for a uint256.

    Raises:
        NotUint256: it is negative or too large.
    """
    if not 0 <= value <= MAX_UINT256:
        raise NotUint256
    return value


def public_signals(root: int, nullifier: int, message: int, scope: int) -> Sequence[int]:
    """Return the four public inputs of the circuit, in its order."""
    return root, nullifier, signal_hash(message), signal_hash(scope)
