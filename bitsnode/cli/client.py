"""Speaks to a running node over its control socket; imports no Twisted, so commands start fast."""

import http.client
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bitsnode.errors import BitsError

Line = dict[str, Any]


class NodeNotRunning(BitsError):
    """No node is running on this home; start one with 'bitsnode --tor'."""


class NodeWentAway(BitsError):
    """The node stopped before it had answered; start it again and repeat the command."""


class CommandFailed(BitsError):
    """The node could not carry the command out.

    Attributes:
        trace: the node's traceback, for --verbose.
    """

    def __init__(self, sentence: str, trace: str = "") -> None:
        super().__init__(sentence)
        self.trace = trace


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


def call(
    home: Path,
    command: str,
    arguments: Mapping[str, object] | None = None,
    on_event: Callable[[Line], None] = lambda line: None,
) -> Line:
    """Have the node at ``home`` carry a command out, and return its result.

    Args:
        home: the node's directory.
        command: a name of the control API.
        arguments: what the command takes.
        on_event: is given every progress event.

    Raises:
        NodeNotRunning: nothing answers on the socket.
        NodeWentAway: the connection ended before the result.
        CommandFailed: the node said why not.
    """
    try:
        token = (home / "api.token").read_text().strip()
        # a path too long for a unix socket is kept as a link to a short one
        connection = _UnixConnection(os.path.realpath(home / "api.sock"))
        connection.connect()
    except PermissionError as error:
        raise NodeNotRunning(
            f"The node at {home} belongs to another user; use that user's account."
        ) from error
    except OSError as error:
        raise NodeNotRunning from error
    try:
        connection.request(
            "POST",
            f"/v1/{command}",
            json.dumps(arguments or {}),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with connection.getresponse() as response:
            for raw in response:
                line: Line = json.loads(raw)
                if "result" in line:
                    result: Line = line["result"]
                    return result
                if "error" in line:
                    raise CommandFailed(line["error"], line.get("trace", ""))
                on_event(line)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NodeWentAway from error
    finally:
        connection.close()
    raise NodeWentAway
