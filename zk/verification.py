"""Verifying proofs of the circuit of depth 20 (Groth16 on BN254), in about 5 ms.

groth16py (arkworks) does the pairings; that points are on their curves is checked here before it
sees them, and the library checks the subgroup. What it refuses and what breaks it is the same to a
caller: the proof is not valid.
"""

import json
from functools import cache
from typing import TYPE_CHECKING

from zk.bn254 import G1, G2, check_g1, check_g2
from zk.proof import InvalidProof, SemaphoreProof
from zk.verification_key import ALPHA, BETA, DELTA, GAMMA, INPUTS

if TYPE_CHECKING:
    from groth16py import Verifier


def verify(proof: SemaphoreProof) -> None:
    """Check a proof, whoever made it.

    That its root is one of the group's, its nullifier unspent and its scope the right one is for
    the caller to know.

    Raises:
        InvalidProof: it is not valid; also if its points are not on their curves.
    """
    a_x, a_y, b_x_i, b_x_r, b_y_i, b_y_r, c_x, c_y = proof.points
    check_g1((a_x, a_y))
    check_g2(((b_x_r, b_x_i), (b_y_r, b_y_i)))
    check_g1((c_x, c_y))
    try:
        valid = _verifier().verify(proof.points_bytes(), list(proof.public_signals()))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        raise InvalidProof from error
    if valid is not True:
        raise InvalidProof


@cache
def _verifier() -> "Verifier":
    import groth16py  # 16 MB, and not every process verifies

    return groth16py.Verifier(groth16py.VerifyingKey.from_snarkjs(key_json()))


def key_json() -> str:
    """Return the verification key in the form of snarkjs."""

    def g1(point: G1) -> list[str]:
        return [*map(str, point), "1"]

    def g2(point: G2) -> list[list[str]]:
        return [*(list(map(str, pair)) for pair in point), ["1", "0"]]

    return json.dumps(
        {
            "protocol": "groth16",
            "curve": "bn128",
            "nPublic": len(INPUTS) - 1,
            "vk_alpha_1": g1(ALPHA),
            "vk_beta_2": g2(BETA),
            "vk_gamma_2": g2(GAMMA),
            "vk_delta_2": g2(DELTA),
            "IC": [g1(point) for point in INPUTS],
        }
    )
