"""Restores that are killed: python restore_child.py FOLDER BACKUP NUMBER...

Restores into FOLDER/NUMBER, each in a process of its own that dies before it asks the system for
the NUMBERth time to open, make, rename or remove something. Prints how often it asked in all.
"""

import os
import signal
import sys
from pathlib import Path

from bitsnode.ledger import database
from tests.backup.conftest import bring_back

_ASKED = ("open", "os.", "shutil.", "sqlite3.connect")


def restore_until(home: Path, backup: Path, fatal: int) -> int:
    """Restore, and return how often the system was asked; die before it is asked so often."""
    asked = 0
    counting = True

    def hook(event: str, _arguments: object) -> None:
        nonlocal asked
        if counting and event.startswith(_ASKED):
            asked += 1
            if asked == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    bring_back(home, backup)
    counting = False
    return asked


def main(folder: Path, backup: Path, numbers: list[int]) -> None:
    """Do so."""
    database.SYNCHRONOUS = "OFF"  # a kill leaves what was written to the system
    os.fsync = lambda _descriptor: None
    bring_back(folder / "warm", backup)  # so that nothing is imported below
    for number in numbers:
        child = os.fork()
        if not child:
            asked = restore_until(folder / str(number), backup, number)
            print(asked, flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(each) for each in sys.argv[3:]])
