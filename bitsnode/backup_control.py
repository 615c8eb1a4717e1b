"""What the control API can do to keep a home safe: one method a command."""

import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.backup.errors import BackupUnderWay, NoWalletToSeal
from bitsnode.backup.making import make
from bitsnode.control import absolute
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.mnemonic import entropy_of

MAX_TEXT: Final = 4_096  # characters of a password
T = TypeVar("T")


class Wallet(Protocol):
    """See `bitsnode.ledger.wallet.service.Wallet`."""

    @property
    def exists(self) -> bool:
        """Whether there is a wallet."""

    async def mnemonic(self, password: str) -> str:
        """Return the words."""


class Run(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work."""


class BackupControl:
    """The command ``backup``.

    Args:
        home: of the node.
        find: returns the wallet; it opens with its first use.
        run: runs blocking work in a thread.
        seconds: the time, Unix seconds.
    """

    def __init__(
        self, home: Path, find: Callable[[], Wallet], run: Run, seconds: Callable[[], float]
    ) -> None:
        self._home = home
        self._find = find
        self._run = run
        self._seconds = seconds
        self._making = threading.Lock()  # held by the thread, which a caller that hung up leaves

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {"backup": self.backup}

    async def backup(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Write a backup to the absolute ``path``; ``password`` opens the wallet, which seals it.

        Raises:
            NoWalletToSeal: there is no wallet.
            BackupUnderWay: another one is being made.
            BackupError: as for `bitsnode.backup.making.make`.
        """
        path, password = absolute(arguments, "path"), _text(arguments, "password")
        wallet = self._find()
        if not wallet.exists:
            raise NoWalletToSeal
        words = await wallet.mnemonic(password)

        def work() -> dict[str, object]:
            if not self._making.acquire(blocking=False):
                raise BackupUnderWay
            try:
                seed = Keys.from_entropy(entropy_of(words)).seed
                made = make(self._home, seed, path, self._seconds())
            finally:
                self._making.release()
            return {"path": str(path), "bytes": made.size, "files": list(made.files)}

        return await self._run(work)


def _text(arguments: Mapping[str, Any], name: str) -> str:
    found = arguments.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_TEXT:
        raise BadArguments
    return found
