"""What the tests of the shop share."""

import itertools
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from twisted.internet.defer import Deferred

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.ledger import database
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.items import Draft, Kind

KEY = b"\x5a" * 32
NOW = 1_800_000_123.0  # Unix time, some seconds into a day

T = TypeVar("T")


async def at_once(work: Callable[[], Any]) -> Any:
    """Run without a thread."""
    return work()


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of what waits for nothing; raise what it raised."""
    results: list[T] = []
    failures: list[BaseException] = []
    running = Deferred.fromCoroutine(coroutine)
    running.addCallbacks(results.append, lambda failure: failures.append(failure.value))
    for failure in failures:
        raise failure
    return results[0]


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what only a power cut would show."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """The catalogue of an empty shop."""
    made = Catalogue(tmp_path / "shop.db", KEY)
    yield made
    made.close()


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """Make drafts, each of a content of its own."""
    numbers = itertools.count(1)

    def make(title: str = "Blue hour", **values: Any) -> Draft:
        link = Link(ContentId(next(numbers).to_bytes(32, "big")), b"s" * 16, b"w" * 16)
        made = Draft(title, 10**16, Kind.IMAGE, link, b"p" * 32, "image/jpeg", 1000)
        return attrs.evolve(made, **values)

    return make
