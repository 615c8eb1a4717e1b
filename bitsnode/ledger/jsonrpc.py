"""JSON-RPC 2.0 as bytes: requests written, answers read strictly. Pure."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import attrs

from bitsnode.ledger.errors import RpcAnswerInvalid, RpcRefused

MAX_MESSAGE: Final = 300  # characters kept of an error message
MAX_ERROR_DATA: Final = 1 << 16  # characters kept of the data of an error
MAX_DEPTH: Final = 64  # of arrays and objects within one another; honest answers have below 10
MAX_BATCH: Final = 100  # requests; what common servers take
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


@attrs.frozen
class Request:
    """One question.

    Attributes:
        method: such as "eth_blockNumber".
        params: what `json` can write.
    """

    method: str
    params: Sequence[Any] = ()


def write_request(number: int, request: Request) -> bytes:
    """The bytes of one request."""
    return json.dumps(_request(number, request)).encode()


def write_batch(first: int, requests: Sequence[Request]) -> bytes:
    """The bytes of a batch whose requests are numbered from `first`."""
    return json.dumps([_request(first + i, each) for i, each in enumerate(requests)]).encode()


def read_answer(data: bytes, number: int) -> dict[str, Any]:
    """Read the answer to one request, which holds either "result" or "error".

    Raises:
        RpcAnswerInvalid: it is not an answer to this request.
    """
    return _checked(_parse(data), number)


def read_batch(data: bytes, first: int, count: int) -> list[dict[str, Any]]:
    """Read the answers to a batch, in the order of its requests whatever order they came in.

    Raises:
        RpcAnswerInvalid: they are not the answers to this batch.
        RpcRefused: the server refused the batch as a whole.
    """
    found = _parse(data)
    if isinstance(found, dict) and found.get("error") is not None:
        raise refusal(_checked(found | {"id": first}, first))
    if not isinstance(found, list) or len(found) != count:
        raise RpcAnswerInvalid("not as many answers as questions")
    answers = [each for each in found if isinstance(each, dict)]
    by_number = {each["id"]: each for each in answers if type(each.get("id")) is int}
    return [_checked(by_number.get(number), number) for number in range(first, first + count)]


def result(answer: dict[str, Any]) -> Any:
    """What an answer says.

    Raises:
        RpcRefused: it is an error.
    """
    if "error" in answer:
        raise refusal(answer)
    return answer["result"]


def refusal(answer: dict[str, Any]) -> RpcRefused:
    """The error that an answer is."""
    error = answer["error"]
    data = error.get("data")
    if isinstance(data, dict):  # some servers wrap the bytes of a revert
        data = data.get("data")
    if not isinstance(data, str) or len(data) > MAX_ERROR_DATA:
        data = None
    message = "".join(c if c.isprintable() else " " for c in error["message"][:MAX_MESSAGE])
    return RpcRefused(error["code"], message, data)


def _request(number: int, request: Request) -> dict[str, Any]:
    params = list(request.params)
    return {"jsonrpc": "2.0", "id": number, "method": request.method, "params": params}


def _parse(data: bytes) -> Any:
    _check_depth(data)
    try:
        return json.loads(data, parse_constant=_no_constant)
    except ValueError as error:  # not JSON, not UTF-8, a number of thousands of digits
        raise RpcAnswerInvalid("not JSON") from error


def _check_depth(data: bytes) -> None:
    # Python's parser recurses in C, and on a small stack (py-evm raises the recursion limit, a
    # greenlet or thread has less stack) it crashes the process before it raises RecursionError.
    depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise RpcAnswerInvalid("nested too deep")


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _checked(found: Any, number: int) -> dict[str, Any]:
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise RpcAnswerInvalid("not JSON-RPC 2.0")
    if "error" in found and found["error"] is not None:
        error = found["error"]
        is_error = isinstance(error, dict) and type(error.get("code")) is int
        # an error may have the id null when the server could not read the request
        if not is_error or not isinstance(error.get("message"), str):
            raise RpcAnswerInvalid("an error without code and message")
        if found.get("id") not in (number, None):
            raise RpcAnswerInvalid("an answer to another question")
        return {"jsonrpc": "2.0", "id": number, "error": error}
    if type(found.get("id")) is not int or found["id"] != number:
        raise RpcAnswerInvalid("an answer to another question")
    if "result" not in found:
        raise RpcAnswerInvalid("neither a result nor an error")
    return {"jsonrpc": "2.0", "id": number, "result": found["result"]}
