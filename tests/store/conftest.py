"""A store in a fresh home."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bitsnode.store.quota import Limits
from bitsnode.store.store import Store
from bitsnode.store.testing import PRICES, FailingDisk

OpenStore = Callable[..., Store]


@pytest.fixture
def reports() -> list[str]:
    """The faults that the store reported."""
    return []


@pytest.fixture
def disk() -> FailingDisk:
    """The door that the store was given."""
    return FailingDisk()


@pytest.fixture
def open_store(tmp_path: Path, reports: list[str], disk: FailingDisk) -> Iterator[OpenStore]:
    """Opens the store of this test's home, once or again."""
    stores: list[Store] = []

    def open_one(limits: Limits | None = None) -> Store:
        found = Store(tmp_path, PRICES, limits or Limits(), reports.append, disk)
        stores.append(found)
        return found

    yield open_one
    disk.heal()
    for found in stores:
        found.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """An empty store."""
    return open_store()
