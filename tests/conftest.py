"""What all tests share."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# A slow machine is not a failing test: with the default deadline of 200 ms correct tests fail, and
# so they do with the health check that wants ten inputs drawn within a second.
# Where a change is judged (CI is set) the inputs are the same each time: what chance finds is for
# whoever works on the code, and no verdict on a change that has nothing to do with it.
settings.register_profile(
    "bits",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("bits")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass the one warning of a dependency that we cannot mend."""
    # txtorcon (26.6, _read_cookie) leaves closing tor's cookie file to the garbage collector.
    config.addinivalue_line("filterwarnings", "ignore:unclosed file .*cookie:ResourceWarning")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that tests have made, which a run of several processes would swallow."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in getattr(report, "user_properties", ()):
            if name == "table" and report.when == "call":
                terminalreporter.write_sep("=", report.nodeid)
                terminalreporter.write_line(str(value))


class _Scheduling(LoadScopeScheduling):
    """Keeps together, in a run of several processes, the tests that share what is slow to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        folder = Path(file).parent.name
        if file.endswith("test_n1_leaks.py"):
            return file  # has a network of its own
        return folder if folder in ("acceptance", "browser", "integration") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal out the tests of a run of several processes."""
    return _Scheduling(config, log)
