"""Asking several RPC servers for what any one of them may answer."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bitsnode.ledger import errors
from bitsnode.ledger.rpc import Rpc

T = TypeVar("T")


async def first_answer(rpcs: Sequence[Rpc], ask: Callable[[Rpc], Awaitable[T]]) -> T:
    """What the first server says that answers; that it refuses is an answer.

    Raises:
        NoRpc: there is none.
        RpcError: none answers; the error of the first one.
    """
    failure: errors.LedgerError | None = None
    for rpc in rpcs:
        try:
            return await ask(rpc)
        except errors.RpcRefused:
            raise
        except errors.RpcError as error:
            failure = failure or error
    raise failure or errors.NoRpc
