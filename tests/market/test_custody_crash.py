"""A key holder that is killed keeps what it promised and remembers what it answered."""

import subprocess
import sys
from pathlib import Path

import pytest

from bitsnode.market.custody import CustodyStore, Limits
from bitsnode.market.errors import ReceiptUsedTooOften, UnknownOffer
from bitsnode.market.testing import MARKET, NOW, make_offer, sign

CHILD = Path(__file__).with_name("custody_child.py")
ROOT = Path(__file__).parents[2]
OFFER, _SHARES = make_offer()
SIGNED = sign(OFFER)


def test_a1_killed_at_each_statement_a_holder_forgets_nothing(tmp_path: Path) -> None:
    """What was said to be kept is kept; what was answered is counted; the file is sound."""
    said: list[str] = []
    for fatal in range(1, 30):
        file = tmp_path / f"{fatal}.db"
        arguments = [str(file), str(fatal), SIGNED.data.hex(), str(MARKET.chain_id)]
        child = subprocess.run(
            [sys.executable, str(CHILD), *arguments, MARKET.vouchers.hex()],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        said = child.stdout.split()
        store = CustodyStore(file, MARKET, Limits(answers=1))
        try:
            if "kept" in said:
                assert store.get(SIGNED.hash).signed == SIGNED
            else:
                with pytest.raises(UnknownOffer):
                    store.get(SIGNED.hash)
            if "answered" in said:
                with pytest.raises(ReceiptUsedTooOften):
                    store.count_answer(b"m" * 32, NOW)
        finally:
            store.close()
        if child.returncode == 0:
            break
    assert said == ["kept", "answered"]
    assert fatal > 9  # so many statements there are at least
