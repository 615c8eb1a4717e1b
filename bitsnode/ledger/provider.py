"""web3 on top of one of our RPC servers. Imported only where web3 is used: it takes seconds."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from web3 import Web3
from web3.exceptions import (
    ContractLogicError,
    MismatchedABI,
    Web3RPCError,
    Web3ValidationError,
)
from web3.middleware import AttributeDictMiddleware
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from bitsnode.ledger.errors import LedgerError, RpcAnswerInvalid, RpcRefused
from bitsnode.ledger.jsonrpc import MAX_MESSAGE, refusal

T = TypeVar("T")
REVERTED: Final = 3  # JSON-RPC code of a revert
Exchange = Callable[[Callable[[int], bytes]], dict[str, Any]]
"""Posts the request that is made for a number, and returns the checked answer to it."""


class OnionProvider(JSONBaseProvider):
    """A web3 provider whose only way out is the exchange that it is given."""

    # CCIP-Read (ERC-3668) would have web3 fetch web addresses that a contract names, by itself
    global_ccip_read_enabled = False

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask one question."""

        def written(number: int) -> bytes:
            self.request_counter = iter((number,))  # type: ignore[assignment]
            return self.encode_rpc_request(method, params)

        answer: Any = self._exchange(written)
        return answer  # type: ignore[no-any-return]


def make_web3(exchange: Exchange) -> Web3:
    """A web3 that makes the requests it is asked for and no others.

    Its usual middleware asks for the chain id before each call, estimates, and looks up names;
    we check the chain ourselves, and there are no names.
    """
    nothing_else = [(AttributeDictMiddleware, "attributes")]
    return Web3(OnionProvider(exchange), middleware=nothing_else, ens=None)


def call_web3(call: Callable[[Web3], T], web3: Web3) -> T:
    """Make a call, and turn what web3 makes of bad answers into our errors.

    Raises:
        RpcRefused: the server or a contract refused.
        RpcAnswerInvalid: web3 can make no sense of an answer.
        Web3ValidationError, MismatchedABI: the call is wrong by itself.
    """
    try:
        return call(web3)
    except (LedgerError, Web3ValidationError, MismatchedABI):
        raise
    except ContractLogicError as error:
        revert = error.data if isinstance(error.data, str) else None
        raise RpcRefused(
            REVERTED, str(error.message or "reverted")[:MAX_MESSAGE], revert
        ) from error
    except Web3RPCError as error:
        answer: Any = error.rpc_response
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            raise refusal(answer) from error
        raise RpcAnswerInvalid(type(error).__name__) from error
    except Exception as error:  # its formatters raise whatever int() and friends do
        raise RpcAnswerInvalid(type(error).__name__) from error


def encode_call(address: str, abi: list[Any], function: str, args: Sequence[Any]) -> bytes:
    """The data of a call, without asking anybody.

    Raises:
        MismatchedABI, Web3ValidationError: there is no such function, or it takes others.
    """

    def nobody(_write: Callable[[int], bytes]) -> dict[str, Any]:
        raise RuntimeError("encoding a call asks nobody")

    target: Any = address
    contract = make_web3(nobody).eth.contract(address=target, abi=abi)
    return bytes.fromhex(contract.encode_abi(function, list(args)).removeprefix("0x"))
