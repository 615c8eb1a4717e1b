"""From a redemption's fields to a transaction: message, witnesses, proofs, call data."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from bitsnode.ledger.errors import LedgerError
from bitsnode.ledger.redemption import (
    Redemption,
    Spend,
    message_of,
    redeem_data,
    scope_of,
)
from zk.circuit import Witness
from zk.lean_imt import MerklePath
from zk.proof import SemaphoreProof
from zk.semaphore import commitment, nullifier


class WrongProof(LedgerError):
    """The prover proved something else than it was asked to, so nothing was handed out."""


class Prover(Protocol):
    """Makes proofs; `bitsnode.ledger.prover`."""

    async def prove(self, witness: Witness) -> SemaphoreProof:
        """Return a proof that was verified."""


@attrs.frozen
class Voucher:
    """A voucher to be spent.

    Attributes:
        secret: scalar.
        group: that it was deposited into.
        path: of its commitment, to the epoch root.
    """

    secret: int = attrs.field(repr=False)
    group: int
    path: MerklePath = attrs.field(repr=False)


@attrs.frozen
class Prepared:
    """A redemption that anybody can submit.

    Attributes:
        message: that the proofs sign, 32 bytes; the redemption is known by it.
        redemption: where the value goes.
        spends: a proof for each voucher.
    """

    message: bytes
    redemption: Redemption
    spends: tuple[Spend, ...]

    @property
    def data(self) -> bytes:
        """The data of the transaction."""
        return redeem_data(self.redemption, self.spends)


async def prepare(
    prover: Prover,
    chain_id: int,
    contract: str,
    redemption: Redemption,
    vouchers: Sequence[Voucher],
) -> Prepared:
    """Make the proofs of a redemption, one after another, and hold them against what was asked.

    Args:
        prover: makes them.
        chain_id: as in EIP-155.
        contract: of the vouchers, hex with 0x.
        redemption: where the value goes.
        vouchers: from 1 to 8.

    Raises:
        WrongProof: the prover proved something else.
        MalformedRedemption: there are too many vouchers, or none.
    """
    scope = scope_of(chain_id, contract)
    groups = [voucher.group for voucher in vouchers]
    nullifiers = [nullifier(voucher.secret, scope) for voucher in vouchers]
    message = message_of(chain_id, contract, redemption, groups, nullifiers)
    number = int.from_bytes(message, "big")
    spends = []
    for voucher, shown in zip(vouchers, nullifiers, strict=True):
        proof = await prover.prove(Witness(voucher.secret, voucher.path, number, scope))
        root = voucher.path.root(commitment(voucher.secret))
        if (proof.root, proof.nullifier, proof.message, proof.scope) != (
            root,
            shown,
            number,
            scope,
        ):
            raise WrongProof
        spends.append(Spend.of(voucher.group, proof))
    return Prepared(message, redemption, tuple(spends))
