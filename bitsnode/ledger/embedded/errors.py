"""What can go wrong: for the person who starts the chain, and for who asks it something."""

from typing import Final

from bitsnode.errors import BitsError

PARSE_ERROR: Final = -32700  # JSON-RPC 2.0, section 5.1, as the four below
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000  # what go-ethereum gives for refused transactions and failed calls
LIMIT_EXCEEDED: Final = -32005  # EIP-1474
REVERTED: Final = 3  # go-ethereum: `data` holds what the contract returned


class ChainInUse(BitsError):
    """A chain is already running on this directory; stop it first or use another one."""


class ChainOpen(BitsError):
    """The directory of the chain can be entered by other users; make it private with chmod 700."""


class ChainUnusable(BitsError):
    """The directory of the chain cannot be used."""


class ChainDamaged(BitsError):
    """The database of the chain is damaged or not one of bits; restore it from a backup."""


class ChainTooNew(BitsError):
    """The database of the chain was written by a newer version of bits; use that one."""


class ChainIsAnother(BitsError):
    """The directory holds a chain with another chain id."""


class ChainFailed(BitsError):
    """The chain did not start."""


class RpcFault(Exception):
    """A JSON-RPC error, as the asker sees it.

    Args:
        code: one of the codes above.
        message: what is wrong, in the words of go-ethereum where libraries look for them.
        data: what a reverted call returned.
    """

    def __init__(self, code: int, message: str, data: bytes | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def refused(message: str) -> RpcFault:
    """Return the error for a transaction or call that is refused."""
    return RpcFault(SERVER_ERROR, message)
