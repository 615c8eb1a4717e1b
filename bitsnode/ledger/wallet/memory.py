"""Keeps keys out of core dumps."""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def forbid_core_dumps() -> None:
    """Let this process leave no core dump behind, and no other process of the user read it.

    The first is a limit, for cores that go to a file. On Linux the process is made undumpable
    too, as the limit does not hold for cores piped to a program (core(5)); that also keeps
    debuggers out, and gives its files in /proc to root.

    Memory may still be swapped out: Python cannot lock the pages of its objects.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
