"""Runs a chain in the foreground."""

import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.internet import reactor as _reactor  # noqa: TID251 -- the edge of the process
from twisted.internet.defer import Deferred

from bitsnode.chain_host import ChainHost
from bitsnode.cli.context import CommandLine
from bitsnode.cli.lifeline import Lifeline
from bitsnode.cli.log import begin_logging
from bitsnode.cli.words import sentence
from bitsnode.errors import BitsError
from bitsnode.events import ChainEvent
from onion.errors import OnionError


def run(line: CommandLine, directory: Path, onion: bool, until_stdin_ends: bool) -> NoReturn:
    """Run the chain of a directory, and end the program with its exit status."""
    reactor: Any = _reactor
    failures: list[Exception] = []

    def show(event: ChainEvent) -> None:
        name, values, text = sentence(event)
        line.emit({"event": name, **values, "text": text}, text or None)
        sys.stdout.flush()

    async def start() -> None:
        if until_stdin_ends:
            reactor.addReader(Lifeline(reactor))
        try:
            await host.start()
        except Exception as error:
            failures.append(error)
            reactor.stop()

    try:
        begin_logging(directory, line.verbose)
        host = ChainHost(reactor, directory, line.settings, show, onion=onion)
        reactor.callWhenRunning(lambda: Deferred.fromCoroutine(start()))
        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(host.stop())
        )
        reactor.run()
        if failures:
            raise failures[0]
    except (BitsError, OnionError) as error:
        line.fail(error)
    except OSError as error:
        line.fail(f"The directory {directory} cannot be used: {error.strerror or error}.")
    sys.exit(0)
