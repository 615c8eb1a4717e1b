"""Wallets on a chain in a file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import FileChain, at_once

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"


def result_of(coroutine: Any) -> Any:
    """Return what a coroutine that waits for nothing returns, or raise what it raises."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


@pytest.fixture
def do() -> Callable[[Any], Any]:
    """Run a coroutine to its end."""
    return result_of


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[FileChain]:
    """An empty chain."""
    chain = FileChain(tmp_path / "chain.sqlite")
    yield chain
    chain.close()


@pytest.fixture
def open_wallet(tmp_path: Path, chain: FileChain) -> Iterator[Callable[..., Wallet]]:
    """Open the wallet of a home, as often as a test likes."""
    opened = []

    def open_one(home: str = "home") -> Wallet:
        found = Wallet(tmp_path / home / "wallet", chain, at_once, CHEAP)
        opened.append(found)
        return found

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def wallet(open_wallet: Callable[..., Wallet]) -> Wallet:
    """A new wallet, unlocked."""
    wallet = open_wallet()
    result_of(wallet.create(PASSWORD))
    return wallet
