"""``bitsnode --tor``: the node in the foreground."""

import sys
from typing import Any, NoReturn

from twisted.internet import reactor as _reactor  # noqa: TID251 -- the edge of the process
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from bitsnode.cli.context import CommandLine
from bitsnode.cli.lifeline import Lifeline
from bitsnode.cli.log import begin_logging
from bitsnode.cli.words import sentence
from bitsnode.errors import BitsError
from bitsnode.events import NodeEvent
from bitsnode.ledger.wallet.memory import forbid_core_dumps
from bitsnode.node import Node
from onion.errors import OnionError

_log = Logger()


class Foreground:
    """Runs one node until it is told to stop.

    Args:
        line: the global options.
        until_stdin_ends: stop when standard input does: the lifeline of a supervisor.
    """

    def __init__(self, line: CommandLine, until_stdin_ends: bool) -> None:
        self._line = line
        self._reactor: Any = _reactor
        self._node = Node(self._reactor, line.settings, self._show)
        self._failure: BaseException | None = None
        self._until_stdin_ends = until_stdin_ends

    def run(self) -> None:
        """Run, and return when the node has stopped.

        Raises:
            BaseException: why it could not run.
        """
        self._reactor.callWhenRunning(lambda: Deferred.fromCoroutine(self._start()))
        self._reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(self._node.stop())
        )
        self._reactor.run()
        if self._failure is not None:
            raise self._failure

    async def _start(self) -> None:
        if self._until_stdin_ends:
            self._reactor.addReader(Lifeline(self._reactor))
        try:
            await self._node.start()
        except Exception as error:
            self._failure = error
            self._reactor.stop()

    def _show(self, event: NodeEvent) -> None:
        name, values, text = sentence(event)
        self._line.emit({"event": name, **values, "text": text}, text or None)
        sys.stdout.flush()


def run(line: CommandLine, until_stdin_ends: bool = False) -> NoReturn:
    """Run the node of the home, and end the program with its exit status."""
    try:
        forbid_core_dumps()
        begin_logging(line.home, line.verbose)
        Foreground(line, until_stdin_ends).run()
    except (BitsError, OnionError) as error:
        line.fail(error)
    except OSError as error:
        line.fail(f"The home {line.home} cannot be used: {error.strerror or error}.")
    sys.exit(0)
