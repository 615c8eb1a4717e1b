"""The node's log: ``HOME/log/node.log``, with everything that names anyone taken out."""

import os
import re
import sys
from pathlib import Path
from typing import Final

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatEventAsClassicLogText,
    globalLogBeginner,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

MAX_LOG: Final = 4 * 1024 * 1024  # bytes of one file; the four last ones are kept

# What must not be in a log: links, and anything long in base32 (onion addresses, content ids, keys)
# or hex (keys, digests). No word of a sentence is that long.
_SECRETS: Final = re.compile(
    r"bits:\S+|(?<![a-z0-9])[a-z2-7]{26,}(\.onion)?(?![a-z0-9])|\b[0-9a-fA-F]{32,}\b"
)


def redact(text: str) -> str:
    """Return the text with onion addresses, links, content ids and hex keys taken out."""
    return _SECRETS.sub("[redacted]", text)


@implementer(ILogObserver)
class RedactingObserver:
    """Writes events as lines of text, each redacted, tracebacks included."""

    def __init__(self, file: object) -> None:
        self._file = file

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        text = formatEventAsClassicLogText(event) or formatEvent(event)
        self._file.write(redact(text) + ("" if text.endswith("\n") else "\n"))  # type: ignore[attr-defined]


def begin_logging(home: Path, verbose: bool) -> None:
    """Send the process's log to the home (0700), and to standard error too when verbose."""
    directory = home / "log"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chmod(directory, 0o700)
    file = LogFile("node.log", str(directory), MAX_LOG, defaultMode=0o600, maxRotatedFiles=3)
    observers: list[ILogObserver] = [_from(LogLevel.info, RedactingObserver(file))]
    if verbose:
        observers.append(_from(LogLevel.debug, RedactingObserver(sys.stderr)))
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False)


def _from(level: object, observer: ILogObserver) -> ILogObserver:
    return FilteringLogObserver(observer, [LogLevelFilterPredicate(defaultLogLevel=level)])
