"""M1 for keys and mnemonics: no file, log, error or core dump ever has any of them."""

import base64
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from bitsnode.ledger.wallet.errors import WalletError
from bitsnode.ledger.wallet.keys import ACCOUNT_PATH, SPENDING_PATH, VIEWING_PATH, Keys, derive
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import CHAIN_ID, ETHER, FileChain
from zk.stealth import MetaAddress, public_key, stealth_private_key

PASSWORD, OTHER = "canary of a password", "another canary of one"
EPHEMERALS = [bytes([number]) * 32 for number in (1, 2)]
Do = Callable[[Any], Any]


def canaries(words: str) -> list[bytes]:
    """Return every secret of a wallet in every spelling that might get out."""
    entropy = entropy_of(words)
    keys = Keys.from_entropy(entropy)
    paths = [SPENDING_PATH, VIEWING_PATH, *(ACCOUNT_PATH.format(index=i) for i in range(2))]
    secrets = [entropy, keys.seed, *(derive(keys.seed, path) for path in paths)]
    spending, viewing = secrets[2:4]
    secrets += [stealth_private_key(spending, viewing, public_key(r)) for r in EPHEMERALS]
    found = [PASSWORD.encode(), OTHER.encode()]
    for secret in secrets:
        found += [
            secret,
            secret.hex().encode(),
            base64.b64encode(secret).rstrip(b"="),
            str(int.from_bytes(secret, "big")).encode(),
            repr(secret)[2:-1].encode(),
        ]
    spoken = words.split()
    found += [" ".join(spoken[at : at + 3]).encode() for at in range(len(spoken) - 2)]
    return found


def use(do: Do, chain: FileChain, wallet: Wallet) -> list[BaseException]:
    """Do everything a wallet can do, right and wrong; return what was raised."""
    meta = MetaAddress.parse(do(wallet.addresses()).meta_address)
    payments = [chain.pay(meta, ephemeral, ETHER) for ephemeral in EPHEMERALS]
    account = do(wallet.new_account(PASSWORD))
    chain.give(account, ETHER)
    do(wallet.balance())
    words = do(wallet.mnemonic(PASSWORD))
    do(wallet.withdraw("0x" + "aa" * 20, password=PASSWORD, source=payments[0]))
    do(wallet.withdraw("0x" + "bb" * 20, 1000, password=PASSWORD, source=account))
    do(wallet.change_password(PASSWORD, OTHER))
    do(wallet.restore(words, PASSWORD))

    def crash(step: str) -> None:
        if step == "send":
            raise RuntimeError("crashed while sending")

    chain.stop = crash
    wrong = [
        wallet.withdraw("0x" + "cc" * 20, password=PASSWORD, source=payments[1]),
        wallet.unlock(OTHER),
        wallet.unlock(PASSWORD + "x"),
        wallet.withdraw(account, password=PASSWORD),
        wallet.create(PASSWORD),
        wallet.restore(words + " zoo", PASSWORD),
        wallet.restore(" ".join(reversed(words.split())), PASSWORD),
        wallet.change_password(PASSWORD, "short"),
    ]
    raised = []
    for attempt in wrong:
        with pytest.raises((WalletError, RuntimeError)) as caught:
            do(attempt)
        raised.append(caught.value)
    return raised


def test_m1_no_secret_leaves_the_wallet(
    do: Do,
    chain: FileChain,
    wallet: Wallet,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Every byte of the home, of the chain and of all logs, with the databases open and closed."""
    caplog.set_level(logging.DEBUG)
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        do(wallet.change_password("correct horse", PASSWORD))
        raised = use(do, chain, wallet)
    finally:
        globalLogPublisher.removeObserver(events.append)
    secrets = canaries(do(wallet.mnemonic(PASSWORD)))
    texts = [repr(wallet), repr(vars(wallet)), caplog.text, *map(formatEvent, events)]
    texts += capfd.readouterr()
    for error in raised:
        texts += [repr(error), str(error), *traceback.format_exception(error)]
    haystacks = {"what was said": "\n".join(map(str, texts)).encode()}
    for moment in ("open", "closed"):
        for path in tmp_path.rglob("*"):
            if path.is_file():
                haystacks[f"{path.name}, {moment}"] = path.read_bytes()
        wallet.close()
    names = " ".join(haystacks)
    assert f"history-{CHAIN_ID}.sqlite-wal, open" in names
    assert "keystore, closed" in names
    for name, hay in haystacks.items():
        assert not [secret for secret in secrets if secret in hay], name


def test_m1_the_search_would_find_a_secret(tmp_path: Path, do: Do, wallet: Wallet) -> None:
    """A history that kept the viewing key would fail the test above."""
    words = do(wallet.mnemonic("correct horse"))
    key = derive(Keys.from_entropy(entropy_of(words)).seed, VIEWING_PATH)
    wallet._history.database.rows("INSERT INTO facts VALUES ('leak', ?)", key.hex())
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert [secret for secret in canaries(words) if secret in files]


def test_m1_no_core_dumps() -> None:
    """The process that says so leaves none, whatever the shell allowed."""
    code = (
        "import ctypes, resource, sys\n"
        "from bitsnode.ledger.wallet.memory import forbid_core_dumps\n"
        "forbid_core_dumps()\n"
        "assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
        "assert sys.platform != 'linux' or ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
