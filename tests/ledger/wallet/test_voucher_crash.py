"""C6 of vouchers: killed at any moment, no index is used and no voucher is given out twice."""

import os
import secrets
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from bitsnode.ledger import database
from bitsnode.ledger.redemption import Redemption
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.voucher_events import REDEEMED, read_redeemed
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.ledger.wallet.voucher_testing import TABLE, FakeProver, VoucherChain
from bitsnode.ledger.wallet.voucher_values import Kit, VoucherState
from bitsnode.ledger.wallet.vouchers import Vouchers

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"
NOW = 1_800_000_000
Do = Callable[[Any], Any]


class Opened:
    """A wallet of a home with its chain."""

    def __init__(self, home: Path) -> None:
        clock = Clock()
        clock.advance(NOW)
        self.chain = VoucherChain(home / "chain.sqlite")
        self.wallet = Wallet(home / "wallet", self.chain, at_once, CHEAP)
        self.trees = Trees(home / "trees.db", self.chain.deployment, self.chain, 1)
        self.vouchers: Vouchers = self.wallet.vouchers(self.trees, clock)
        self.redeeming: Redeeming = self.wallet.redeeming(self.vouchers, FakeProver(), clock)

    def close(self) -> None:
        """Close the files."""
        self.wallet.close()
        self.trees.close()
        self.chain.close()


def purchase(do: Do, opened: Opened, name: str, number: int) -> None:
    """Spend a voucher for a purpose; the same payment each time it is asked for."""
    ticket = do(opened.vouchers.reserve(0, name))
    payee = number.to_bytes(20, "big")
    key, tag = b"\x02" + bytes(32), number.to_bytes(32, "big")
    redemption = Redemption(payee, key, 7, tag, bytes(20), 0, NOW + 3600)
    prepared = do(opened.redeeming.prepare(ticket, redemption, password=PASSWORD))
    do(opened.redeeming.submit(prepared, password=PASSWORD, accept=["link"]))


def live(home: Path, do: Do, done: int) -> None:
    """Buy and spend until killed; write a byte after each purchase."""
    opened = Opened(home)
    do(opened.vouchers.finish())
    while True:
        paid = len(opened.chain.events("Vouchers", REDEEMED, None, 1 << 30))
        free = [each for each in do(opened.vouchers.all()) if each.spendable]
        held = [each for each in do(opened.vouchers.all()) if each.state is VoucherState.RESERVED]
        if not free and not held:
            do(opened.vouchers.top_up(Kit((0, 0), 2 * TABLE[0]), password=PASSWORD))
        purchase(do, opened, f"purchase {paid + 1}", paid + 1)
        os.write(done, b".")


def kill(home: Path, do: Do, seconds: float | None) -> float:
    """Let a process live on a home and kill it; None: after its first purchase."""
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            live(home, do, writing)
        finally:
            os._exit(1)
    os.close(writing)
    if seconds is None:
        os.read(reading, 1)
    else:
        time.sleep(seconds)
    lived = time.monotonic() - began
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    assert os.WIFSIGNALED(status), "the wallet failed before it was killed"
    return lived


def check(home: Path, do: Do) -> int:
    """Look at everything; return how many purchases were paid."""
    for path in [*home.rglob("*.sqlite"), *home.rglob("*.db")]:
        opened_file = sqlite3.connect(path)
        assert opened_file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        opened_file.close()
    opened = Opened(home)
    do(opened.vouchers.finish())
    leaves = [leaf for row in range(len(TABLE)) for leaf in opened.chain.commitments(row)]
    assert len(set(leaves)) == len(leaves), "an index was used twice"
    vouchers = do(opened.vouchers.all())
    bought = [each for each in vouchers if each.group is not None]
    assert len(bought) == len(leaves), "a voucher was lost"
    assert not [each for each in vouchers if each.state is VoucherState.PLANNED]
    paid = [read_redeemed(log) for log in opened.chain.events("Vouchers", REDEEMED, None, 1 << 30)]
    assert max(Counter(each.payee for each in paid).values(), default=1) == 1, "paid twice"
    spent = [each for each in vouchers if each.state is VoucherState.SPENT]
    assert len(spent) == len(paid)
    purposes = [each.purpose for each in vouchers if each.purpose]
    assert len(set(purposes)) == len(purposes)
    opened.close()
    return len(paid)


def run(home: Path, do: Do, kills: int) -> None:
    """Kill a wallet again and again on the same home."""
    first = Opened(home)
    do(first.wallet.create(PASSWORD))
    first.chain.give(do(first.wallet.addresses()).accounts[0], 1000 * ETHER)
    first.close()
    turn = kill(home, do, None)
    for number in range(kills - 1):
        kill(home, do, 2 * turn * secrets.randbelow(1000) / 1000 if number % 5 else None)
        check(home, do)
    assert check(home, do) > 0


def test_c6_killed_12_times(tmp_path: Path, do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every voucher is bought once, and every purchase is paid once."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")  # a kill leaves what the system has
    run(tmp_path, do, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_c6_killed_200_times(tmp_path: Path, do: Do) -> None:
    """The same, two hundred times."""
    run(tmp_path, do, 200)
