"""The logs of a node and of its shop, with everything that names anyone taken out.

What the shop's rooms say goes to ``HOME/shop/log/shop.log`` and never to ``HOME/log/node.log``, and
only from warnings on: not even the hour of a visit is in a log.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    formatEventAsClassicLogText,
    globalLogBeginner,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

MAX_LOG: Final = 4 * 1024 * 1024  # bytes of one file; the four last ones are kept

# Where what a visitor does may be heard of. The control API logs its own failures by another name.
_SHOPS: Final = (
    "bitsnode.shop",
    "bitsnode.web",
    "bitsnode.invoice_access",
    "bitsnode.market.invoice",
    "klein",
    "twisted.web",
)
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


class ShopLog:
    """The file of a shop's log, made with its first line, so that there is none without a shop.

    Args:
        home: of the node.
    """

    def __init__(self, home: Path) -> None:
        self._directory = home / "shop" / "log"
        self._file: LogFile | None = None

    def write(self, text: str) -> None:
        """Write a line; nowhere if there is no shop."""
        if self._file is None:
            if not self._directory.parent.is_dir():
                return
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._file = _log_file("shop.log", self._directory)
        self._file.write(text)

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._file is not None:
            self._file.close()


@implementer(ILogFilterPredicate)
class Of:
    """Lets pass what is the shop's, or what is not.

    Args:
        shop: which of the two.
    """

    def __init__(self, *, shop: bool) -> None:
        self._shop = shop

    def __call__(self, event: LogEvent) -> Any:
        """See `ILogFilterPredicate`."""
        of_shop = str(event.get("log_namespace", "")).startswith(_SHOPS)
        return PredicateResult.maybe if of_shop is self._shop else PredicateResult.no


def begin_logging(home: Path, verbose: bool) -> None:
    """Send the process's log to the home (0700), and to standard error too when verbose."""
    directory = home / "log"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chmod(directory, 0o700)
    observers = list(observers_of(_log_file("node.log", directory), ShopLog(home)))
    if verbose:
        observers.append(_from(LogLevel.debug, RedactingObserver(sys.stderr)))
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False)


def observers_of(node_log: object, shop_log: object) -> tuple[ILogObserver, ILogObserver]:
    """Return what writes the node's log, and what writes its shop's."""
    return (
        _from(LogLevel.info, RedactingObserver(node_log), Of(shop=False)),
        _from(LogLevel.warn, RedactingObserver(shop_log), Of(shop=True)),
    )


def _log_file(name: str, directory: Path) -> LogFile:
    return LogFile(name, str(directory), MAX_LOG, defaultMode=0o600, maxRotatedFiles=3)


def _from(level: object, observer: ILogObserver, *further: ILogFilterPredicate) -> ILogObserver:
    return FilteringLogObserver(
        observer, [LogLevelFilterPredicate(defaultLogLevel=level), *further]
    )
