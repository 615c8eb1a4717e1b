"""Asks a chain on this machine a question over its unix socket; without web3 and Twisted."""

import json
import os
import socket
from pathlib import Path
from typing import Any, Final

from bitsnode.errors import BitsError

TIMEOUT: Final = 60.0  # seconds
MAX_ANSWER: Final = 1 << 22  # bytes


class ChainNotRunning(BitsError):
    """No chain is running here; start one with 'bitsnode chain' or 'bitsnode localnet up'."""


class ChainAnswered(BitsError):
    """The chain refused."""


def ask_chain(directory: Path, method: str, parameters: list[Any]) -> Any:
    """Return the result of one JSON-RPC call.

    Args:
        directory: of the chain.
        method: its name.
        parameters: of the method.

    Raises:
        ChainNotRunning: nothing answers.
        ChainAnswered: with an error, in the chain's words.
    """
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(TIMEOUT)
            stream.connect(os.path.realpath(directory / "chain.sock"))
            stream.sendall(json.dumps(question).encode() + b"\n")
            with stream.makefile("rb") as answers:
                answer = json.loads(answers.readline(MAX_ANSWER))
    except (OSError, ValueError) as error:
        raise ChainNotRunning from error
    if "error" in answer:
        raise ChainAnswered(f"The chain refused: {answer['error'].get('message', 'no reason')}.")
    return answer["result"]
