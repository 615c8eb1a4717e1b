"""Which error a prover's reply stands for."""

from bitsnode.ledger.errors import (
    CircuitMissing,
    ProofNotValid,
    ProverError,
    ProverFailed,
    ProverOutOfMemory,
    WitnessNotAccepted,
)
from bitsnode.ledger.prover.frames import Kind

_BY_KIND: dict[Kind, type[ProverError]] = {
    Kind.REFUSED: WitnessNotAccepted,
    Kind.INVALID: ProofNotValid,
    Kind.OUT_OF_MEMORY: ProverOutOfMemory,
    Kind.NO_CIRCUIT: CircuitMissing,
}


def outcome(kind: Kind) -> ProverError:
    """Return the error for a reply that brings no proof."""
    return _BY_KIND.get(kind, ProverFailed)()
