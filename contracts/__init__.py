"""The contracts on chain: Solidity sources, compiled artifacts, and what loads them."""

from contracts.artifact import (
    Artifact,
    LinkError,
    NotLinkedError,
    UnknownContractError,
    load,
    names,
)

__all__ = ["Artifact", "LinkError", "NotLinkedError", "UnknownContractError", "load", "names"]
