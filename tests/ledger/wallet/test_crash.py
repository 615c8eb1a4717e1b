"""C6 of the wallet: killed at any moment, no key is lost and nothing is sent twice."""

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

from bitsnode.ledger.wallet.errors import NoWallet, WrongPassword
from bitsnode.ledger.wallet.history import State
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost, Keystore, unseal
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, FileChain, at_once
from zk.stealth import MetaAddress, checksum_address

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORDS = ("the first one", "the second one")
Do = Callable[[Any], Any]


def open_both(home: Path) -> tuple[FileChain, Wallet]:
    """Open the chain and the wallet of a home."""
    chain = FileChain(home / "chain.sqlite")
    return chain, Wallet(home / "wallet", chain, at_once, CHEAP)


def live(home: Path, do: Do, done: int) -> None:
    """Use a wallet for everything it is for, until killed; write a byte after each withdrawal."""
    chain, wallet = open_both(home)
    if not wallet.exists:
        do(wallet.create(PASSWORDS[0]))
    old, new = PASSWORDS
    while True:
        try:
            do(wallet.change_password(old, new))
        except WrongPassword:
            pass
        old, new = new, old
        do(wallet.unlock(old))
        do(wallet.finish())
        meta = MetaAddress.parse(do(wallet.addresses()).meta_address)
        payment = chain.pay(meta, secrets.token_bytes(32), ETHER)
        do(wallet.scan())
        to = checksum_address(secrets.token_bytes(20))
        do(wallet.withdraw(to, password=old, source=payment))
        os.write(done, b".")


def kill(home: Path, do: Do, seconds: float | None) -> float:
    """Let a process live on a home and kill it; return how long it lived.

    Args:
        home: of the wallet and its chain.
        do: runs coroutines.
        seconds: after which, or None for after the first withdrawal.
    """
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


def entropy_in(home: Path) -> bytes | None:
    """Open the keystore with whichever password was written last."""
    try:
        data = Keystore(home / "wallet" / "keystore").read()
    except NoWallet:
        return None
    try:
        return unseal(data, PASSWORDS[0])
    except WrongPassword:
        return unseal(data, PASSWORDS[1])


def check_home(home: Path, do: Do) -> None:
    """Databases are sound, and what was signed arrived once and is written down."""
    for path in home.rglob("*.sqlite"):
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
    chain, wallet = open_both(home)
    do(wallet.finish())
    signed = chain.signed()
    assert all(count == 1 for count in Counter(sender for sender, _, _ in signed).values())
    assert all(chain.wei(recipient) == value for _, recipient, value in signed)
    lines = do(wallet.history())
    done = [line for line in lines if line.state is State.DONE]
    assert {line.state for line in lines} <= {State.DONE, State.DROPPED}
    assert [(line.source, line.destination, line.amount) for line in done] == signed
    wallet.close()
    chain.close()


def run(tmp_path: Path, do: Do, kills: int) -> None:
    """Kill wallets, half of them young, and look at each afterwards."""
    known: dict[Path, bytes] = {}
    turn = 0.0
    for number in range(kills):
        home = tmp_path / (f"young-{number}" if number % 2 else f"old-{number // 100}")
        home.mkdir(exist_ok=True)
        if number % 100 == 0:  # how fast is the machine, now?
            turn = kill(home, do, None)
        else:
            longest = turn / 2 if number % 2 else 2 * turn
            kill(home, do, longest * secrets.randbelow(1000) / 1000)
        found = entropy_in(home)
        if home in known:
            assert found == known[home]
        elif found is not None:
            known[home] = found
        check_home(home, do)
    assert len(known) > 1


def warm(tmp_path: Path, do: Do) -> None:
    """Import everything here, so that the children need not."""
    do(Wallet(tmp_path / "warm" / "wallet", None, at_once, CHEAP).create(PASSWORDS[0]))


def test_c6_killed_20_times(tmp_path: Path, do: Do) -> None:
    """The keystore opens, the databases are sound, and each payment was withdrawn at most once."""
    warm(tmp_path, do)
    run(tmp_path, do, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_c6_killed_1000_times(tmp_path: Path, do: Do) -> None:
    """The same, a thousand times."""
    warm(tmp_path, do)
    run(tmp_path, do, 1000)
