"""What the tests of the market share."""

import pytest

from bitsnode.ledger import database


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill leaves what was written to the system, so tests need not wait for disks."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")
