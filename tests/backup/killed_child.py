"""Backups and restores that are killed: python killed_child.py WORK FOLDER OTHER NUMBER...

WORK is ``restore``, which restores the backup OTHER into FOLDER/NUMBER, or ``make``, which backs
the home OTHER up to FOLDER/NUMBER; each in a process of its own that dies before it asks the system
for the NUMBERth time to open, make, rename or remove something. Prints how often it asked in all.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bitsnode.backup.making import make
from bitsnode.ledger import database
from tests.backup.conftest import NOW, SEED, bring_back

_ASKED = ("open", "os.", "shutil.", "sqlite3.connect")


def until(fatal: int, work: Callable[[], object]) -> int:
    """Work, and return how often the system was asked; die before it is asked so often."""
    asked = 0
    counting = True

    def hook(event: str, _arguments: object) -> None:
        nonlocal asked
        if counting and event.startswith(_ASKED):
            asked += 1
            if asked == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()
    counting = False
    return asked


def main(kind: str, folder: Path, other: Path, numbers: list[int]) -> None:
    """Do so."""
    database.SYNCHRONOUS = "OFF"  # a kill leaves what was written to the system
    os.fsync = lambda _descriptor: None

    def work(name: str) -> object:
        if kind == "make":
            return make(other, SEED, folder / name, NOW)
        return bring_back(folder / name, other)

    work("warm")  # so that nothing is imported below
    for number in numbers:
        child = os.fork()
        if not child:
            asked = until(number, lambda: work(str(number)))  # noqa: B023
            print(asked, flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), [int(each) for each in sys.argv[4:]])
