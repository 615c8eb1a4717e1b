"""JSON-RPC 2.0: from the bytes of a request or batch to the bytes of the answer."""

import json
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    PARSE_ERROR,
    RpcFault,
)
from bitsnode.ledger.embedded.framing import NotJson, check_body
from bitsnode.ledger.embedded.methods import answer
from bitsnode.ledger.embedded.worker import Worker

MAX_BATCH: Final = 100  # requests
MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes of the answer to a batch
MAX_ID: Final = 128  # bytes of a request's id
_log = Logger()


@frozen
class _Request:
    id: Any
    method: str
    params: tuple[Any, ...]
    wants_answer: bool


class Dispatcher:
    """Answers bodies; every request in it waits its own turn for the chain's thread.

    Args:
        chain: that is asked.
        worker: its thread.
        local: whether the askers may call what only the socket may.
    """

    def __init__(self, chain: EmbeddedChain, worker: Worker, *, local: bool) -> None:
        self._chain = chain
        self._worker = worker
        self._local = local

    async def answer(self, body: bytes) -> bytes:
        """Answer a request or batch; empty if there is nothing to say.

        Raises nothing, unless it is cancelled: what has not begun is then never done.
        """
        try:
            check_body(body)
            value = json.loads(body, parse_constant=_no_constant)
        except (NotJson, ValueError, RecursionError):
            return _error(None, RpcFault(PARSE_ERROR, "parse error"))
        if not isinstance(value, list):
            return await self._one(value)
        if not value:
            return _error(None, RpcFault(INVALID_REQUEST, "empty batch"))
        if len(value) > MAX_BATCH:
            fault = RpcFault(INVALID_REQUEST, f"more than {MAX_BATCH} requests in a batch")
            return _error(None, fault)
        answers, size = [], 0
        for each in value:
            said = await self._one(each, full=size > MAX_ANSWER)
            size += len(said)
            if said:
                answers.append(said)
        return b"[" + b",".join(answers) + b"]" if answers else b""

    async def _one(self, value: Any, *, full: bool = False) -> bytes:
        try:
            request = _parse(value)
        except RpcFault as fault:
            return _error(_id_of(value), fault)
        if full:
            return _error(request.id, RpcFault(LIMIT_EXCEEDED, "the answer is too large"))

        def run() -> bytes:
            result = answer(self._chain, request.method, request.params, local=self._local)
            return _encode({"jsonrpc": "2.0", "id": request.id, "result": result})

        try:
            done: Deferred[bytes] = self._worker.run(run, local=self._local)
            said = await done
        except RpcFault as fault:
            said = _error(request.id, fault)
        except CancelledError:
            raise
        except Exception:  # a bug of ours: who asked learns nothing about it
            _log.failure("the chain failed to answer {method}", method=request.method[:64])
            said = _error(request.id, RpcFault(INTERNAL_ERROR, "internal error"))
        return said if request.wants_answer else b""


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _id_of(value: Any) -> Any:
    found = value.get("id") if isinstance(value, dict) else None
    plain = isinstance(found, int) and not isinstance(found, bool)
    return found if plain or (isinstance(found, str) and len(found) <= MAX_ID) else None


def _parse(value: Any) -> _Request:
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise RpcFault(INVALID_REQUEST, "invalid request")
    method, params = value.get("method"), value.get("params")
    identity = _id_of(value)
    if not isinstance(method, str) or (value.get("id") is not None and identity is None):
        raise RpcFault(INVALID_REQUEST, "invalid request")
    if params is not None and not isinstance(params, list):
        raise RpcFault(INVALID_PARAMS, "non-array args")
    return _Request(identity, method, tuple(params or ()), "id" in value)


def _error(identity: Any, fault: RpcFault) -> bytes:
    error: dict[str, Any] = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        error["data"] = "0x" + fault.data.hex()
    return _encode({"jsonrpc": "2.0", "id": identity, "error": error})


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
