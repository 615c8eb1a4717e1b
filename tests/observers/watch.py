"""Counts what goes through a tor: for each second its bytes, and when it begins circuits.

It is what the first relay of each circuit sees, or whoever sits before it; tor tells it on the
control socket.
"""

import threading
import time
from pathlib import Path
from typing import Self

from tests.observers.shop_views import Traffic
from tests.observers.tap import TorControl


class Watch:
    """Watches one tor; a context manager.

    Args:
        directory: of the tor, with its control socket and cookie.
    """

    def __init__(self, directory: Path) -> None:
        self._tor = TorControl(directory)
        self._lock = threading.Lock()
        self._seconds: dict[int, int] = {}
        self._circuits: list[float] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._tor.__enter__()
        self._tor.ask("SETEVENTS BW CIRC")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self._tor.hang_up()
        self._thread.join()
        self._tor.__exit__(*error)

    @property
    def traffic(self) -> Traffic:
        """What was counted so far."""
        with self._lock:
            return Traffic(dict(self._seconds), tuple(self._circuits))

    def _listen(self) -> None:
        for line in self._tor.lines():
            words = line.split()
            with self._lock:
                if words[1:2] == ["BW"]:
                    second = int(time.time())
                    both = int(words[2]) + int(words[3])
                    self._seconds[second] = self._seconds.get(second, 0) + both
                elif words[1:2] == ["CIRC"] and words[3] == "LAUNCHED":
                    self._circuits.append(time.time())
