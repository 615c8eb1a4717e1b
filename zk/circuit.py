"""The circuit that proofs are made for: which files it is, and what goes into it.

The files come from npm's ``@zk-kit/semaphore-artifacts`` 4.13.0; `README.md` says how they are
fetched and why they are trusted.
"""

from typing import Final

import attrs

from zk.lean_imt import MAX_DEPTH, MerklePath
from zk.proof import SemaphoreProof
from zk.semaphore import (
    check_secret,
    check_uint256,
    commitment,
    nullifier,
    signal_hash,
)

WASM: Final = "semaphore-20.wasm"  # computes the witness
ZKEY: Final = "semaphore-20.zkey"  # proving key, after a ceremony of 386 contributions
SHA256: Final = {
    WASM: "6f71e55586929e520e76027ebe067daac8b41e2f4b8057313a5fd0304e1e44ee",
    ZKEY: "33f9a067a80c7daf90e085449073613a9559a1904dd40aeb6d603afb7988c2cc",
}


@attrs.frozen
class Witness:
    """What a proof is made from. It is as secret as the voucher.

    Attributes:
        secret: scalar of the member.
        path: of its commitment.
        message: uint256 that the proof signs.
        scope: uint256 within which its nullifier is unique.

    Raises:
        InvalidSecret, NotUint256: see `zk.semaphore`.
    """

    secret: int = attrs.field(repr=False, converter=check_secret)
    path: MerklePath = attrs.field(repr=False)
    message: int = attrs.field(repr=False, converter=check_uint256)
    scope: int = attrs.field(converter=check_uint256)

    def signals(self) -> dict[str, tuple[int, ...]]:
        """Return the inputs of the circuit by name; siblings are filled up with zeros."""
        siblings = self.path.siblings
        return {
            "secret": (self.secret,),
            "merkleProofLength": (len(siblings),),
            "merkleProofIndex": (self.path.index,),
            "merkleProofSiblings": siblings + (0,) * (MAX_DEPTH - len(siblings)),
            "message": (signal_hash(self.message),),
            "scope": (signal_hash(self.scope),),
        }

    def proves(self, points: tuple[int, ...]) -> SemaphoreProof:
        """Return the proof that these points are to be, with all that it shows computed here.

        The root and the nullifier are computed from the witness, independently of the circuit's
        program, so a proof of anything else does not verify. Takes about 10 ms.
        """
        root = self.path.root(commitment(self.secret))
        shown = nullifier(self.secret, self.scope)
        return SemaphoreProof(root, shown, self.message, self.scope, points)
