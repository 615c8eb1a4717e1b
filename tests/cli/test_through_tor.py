"""The reactor of bin/deploy, which is not in the main thread."""

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(__file__).parents[2] / "bin"
SCRIPT = """
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import blockingCallFromThread
from through_tor import run_beside

class Child(ProcessProtocol):
    def __init__(self):
        self.ended = Deferred()
    def processEnded(self, reason):
        self.ended.callback("ended")

def start():
    child = Child()
    # its output ends before it does, as that of a tor on a busy machine may
    words = ["sh", "-c", "exec <&- >&- 2>&-; sleep 0.5"]
    reactor.spawnProcess(child, "/bin/sh", words, {})
    return child.ended

run_beside(reactor)
print(blockingCallFromThread(reactor, start))
"""


def test_a_child_that_ends_after_its_output_is_noticed() -> None:
    """Whoever waits for it would wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": str(BIN)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "ended\n", done.stderr
