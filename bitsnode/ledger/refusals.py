"""Why the vouchers contract refuses, in sentences for people. Pure.

A revert carries the hash of its error's name (Solidity's custom errors); every one that a wallet
or a relay can meet is here as a class.
"""

from typing import Final

from eth_hash.auto import keccak

from bitsnode.ledger.errors import TransactionError


class VouchersRefused(TransactionError):
    """The vouchers contract refuses this."""


class CommitmentCopied(VouchersRefused):
    """Somebody copied this voucher and paid for it: it is yours to spend, and you paid nothing."""


class VoucherSpent(VouchersRefused):
    """This voucher is spent already, and nobody can spend it twice."""


class RedemptionExpired(VouchersRefused):
    """The time in which this payment could be made has passed; nothing was paid."""


class RedemptionFeeTooHigh(VouchersRefused):
    """The fee is more than a tenth of what the voucher is worth."""


class ProofRefused(VouchersRefused):
    """The proof is wrong, or was made for another payment."""


class RootUnknown(VouchersRefused):
    """The proof is for a group of vouchers that the chain does not know."""


class WrongSum(VouchersRefused):
    """A voucher costs exactly its denomination, and the chain has no such denomination."""


_BY_SIGNATURE: Final = {
    "LeafAlreadyExists()": CommitmentCopied,
    "VouchersSpent(uint256,uint256)": VoucherSpent,
    "VouchersExpired(uint256)": RedemptionExpired,
    "VouchersFeeTooHigh(uint256,uint256)": RedemptionFeeTooHigh,
    "VouchersInvalidProof(uint256)": ProofRefused,
    "VouchersUnknownGroup(uint256)": RootUnknown,
    "VouchersZeroRoot()": RootUnknown,
    "Semaphore__GroupHasNoMembers()": RootUnknown,
    "Semaphore__MerkleTreeRootIsNotPartOfTheGroup()": RootUnknown,
    "VouchersWrongSum(uint256,uint256)": WrongSum,
    "VouchersUnknownDenomination(uint256)": WrongSum,
}


def selector(signature: str) -> bytes:
    """Return the first four bytes of an error's data or of a call's."""
    return bytes(keccak(signature.encode())[:4])


_BY_SELECTOR: Final = {
    "0x" + selector(signature).hex(): error for signature, error in _BY_SIGNATURE.items()
}


def refusal(data: str | None) -> VouchersRefused | None:
    """Return the error that the data of a revert ("0x…") stands for; None for any other."""
    found = _BY_SELECTOR.get((data or "")[:10].lower())
    return found() if found else None
