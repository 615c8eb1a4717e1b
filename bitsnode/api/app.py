"""Routes of the control API: one POST per command, answered in JSON lines.

``POST /v1/NAME`` with a JSON object as body and ``Authorization: Bearer TOKEN``. The answer is
progress events, one JSON object a line, and then ``{"result": …}`` or ``{"error": "one sentence",
"trace": "…"}``. Who hangs up cancels the command.
"""

import json
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.server import Request

from bitsnode.errors import BitsError
from onion.errors import OnionError

Report = Callable[[Mapping[str, object]], None]
Command = Callable[[Mapping[str, Any], Report], Awaitable[Mapping[str, object]]]

MAX_BODY: Final = 64 * 1024  # bytes of a command's arguments
_log = Logger()


class BadArguments(BitsError):
    """The arguments of a control command are not what it takes."""


class ControlApi:
    """The control API over a table of commands.

    Args:
        commands: name -> coroutine function of (arguments, report); its result is the answer.
        token: what a caller must show.
    """

    app = Klein()

    def __init__(self, commands: Mapping[str, Command], token: str) -> None:
        self._commands = commands
        self._token = token.encode("ascii")

    @app.route("/v1/<name>", methods=["POST"])
    def run(self, request: Request, name: str) -> Deferred[None]:
        """Carry a command out while its caller listens."""
        running = Deferred.fromCoroutine(self._run(request, name))
        hung_up = request.notifyFinish()
        hung_up.addErrback(lambda _: running.cancel())
        return running

    async def _run(self, request: Request, name: str) -> None:
        request.setHeader(b"content-type", b"application/x-ndjson")
        given = request.getHeader(b"authorization") or b""
        if not secrets.compare_digest(given, b"Bearer " + self._token):
            request.setResponseCode(403)
            _line(request, {"error": "The token of the control API is wrong."})
            return
        command = self._commands.get(name)
        if command is None:
            request.setResponseCode(404)
            _line(request, {"error": f'This node has no command "{name[:32]}"; is it older?'})
            return
        try:
            result = await command(_arguments(request), lambda event: _line(request, event))
            _line(request, {"result": dict(result)})
        except CancelledError:
            return
        except (BitsError, OnionError) as error:
            _line(request, {"error": str(error), "trace": traceback.format_exc()})
        except Exception:
            _log.failure("a control command failed: {name}", name=name)
            sentence = "A bug in bits ended the command; --verbose shows it. Please report it."
            _line(request, {"error": sentence, "trace": traceback.format_exc()})


def _arguments(request: Request) -> Mapping[str, Any]:
    body = request.content.read(MAX_BODY + 1) if request.content else b""
    try:
        found = json.loads(body) if len(body) <= MAX_BODY else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadArguments
    return found


def _line(request: Request, value: Mapping[str, object]) -> None:
    # a caller that hung up has no transport any more; its command is being cancelled
    if not getattr(request, "_disconnected", False):
        request.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
