"""Runs one command of the control API for a person: progress, result, errors."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from bitsnode.cli.client import CommandFailed, call
from bitsnode.cli.context import CommandLine
from bitsnode.cli.progress import text_of
from bitsnode.errors import BitsError

QUIET = 5.0  # seconds between two lines of one stage where the lines cannot be overwritten


def run_command(
    line: CommandLine,
    command: str,
    arguments: Mapping[str, object],
    show: Callable[[dict[str, Any]], str],
) -> None:
    """Carry a command out and print its progress and its result.

    Args:
        line: the global options.
        command: name of the control API.
        arguments: what the command takes.
        show: turns the result into text for a person.
    """
    result = answer(line, command, arguments)
    line.emit(result, show(result))


def answer(line: CommandLine, command: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Carry a command out, print its progress, and return its result; what fails ends here."""
    progress = ProgressLine(line)
    try:
        result = call(line.home, command, arguments, progress.event)
    except CommandFailed as error:
        progress.end()
        line.fail(str(error), error.trace)
    except BitsError as error:
        progress.end()
        line.fail(error)
    except KeyboardInterrupt:
        progress.end()
        line.fail("Stopped.")
    progress.end()
    return result


def content_name(text: str) -> str:
    """Return the name of a content, of which a link may have been given."""
    return text.removeprefix("bits:").split("#")[0]


class ProgressLine:
    """Shows progress events: JSON lines for machines, one changing line on a terminal."""

    def __init__(self, line: CommandLine) -> None:
        self._line = line
        self._live = not line.as_json and sys.stderr.isatty()
        self._last = ""
        self._stage: object = None
        self._next = 0.0

    def event(self, event: dict[str, Any]) -> None:
        """Show one event."""
        if self._line.as_json:
            self._line.emit(event)
            return
        text = text_of(event)
        if not text or text == self._last:
            return
        self._last = text
        if self._live:
            width = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[2K{text[: width - 1]}")
            sys.stderr.flush()
        elif event.get("event") != self._stage or time.monotonic() >= self._next:
            self._stage, self._next = event.get("event"), time.monotonic() + QUIET
            print(text, file=sys.stderr)

    def end(self) -> None:
        """Finish the changing line."""
        if self._live and self._last:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
