"""How a process of a localnet learns that its supervisor is gone, however that ended."""

import os
from typing import Any


class Lifeline:
    """Stops the reactor when standard input ends."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def fileno(self) -> int:
        """Standard input."""
        return 0

    def logPrefix(self) -> str:
        """See `ILoggingContext`."""
        return "lifeline"

    def doRead(self) -> None:
        """Stop when there is nothing more to come."""
        if not os.read(0, 4096):
            self._reactor.removeReader(self)
            self._reactor.stop()

    def connectionLost(self, reason: object) -> None:
        """See `IReadDescriptor`."""
