"""M1 for vouchers: no secret of one is in any file, log, error or repr."""

import base64
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from bitsnode.ledger.redeem import Voucher
from bitsnode.ledger.refusals import RedemptionFeeTooHigh, VoucherSpent
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet.errors import SelfRelayLinks, WrongPassword
from bitsnode.ledger.wallet.keys import VOUCHER_PATH, Keys, derive
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.ledger.wallet.voucher_testing import TABLE, FakeProver, VoucherChain
from bitsnode.ledger.wallet.voucher_values import Kit
from zk.circuit import Witness

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "canary of a password"
Do = Callable[[Any], Any]


def canaries(words: str, chain: VoucherChain) -> list[bytes]:
    """The voucher seed and the first secrets, in every spelling that might get out."""
    keys = Keys.from_entropy(entropy_of(words))
    contract = chain.deployment.address("Vouchers")
    vouchers = keys.vouchers(chain.chain_id, contract)
    seeds = [derive(keys.seed, VOUCHER_PATH)]
    seeds += [vouchers.secret(index).to_bytes(32, "big") for index in range(4)]
    found = []
    for secret in seeds:
        found += [
            secret,
            secret[::-1],
            secret.hex().lstrip("0").encode(),
            base64.b64encode(secret).rstrip(b"="),
            str(int.from_bytes(secret, "big")).encode(),
            repr(secret)[2:-1].encode(),
        ]
    return found


def test_m1_no_secret_of_a_voucher_leaves_the_wallet(
    tmp_path: Path, do: Do, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bought, found, reserved, proved, spent, refused: nothing of it tells a secret."""
    caplog.set_level(logging.DEBUG)
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    chain, clock, prover = VoucherChain(tmp_path / "chain.sqlite"), Clock(), FakeProver()
    clock.advance(1_800_000_000)
    wallet = Wallet(tmp_path / "wallet", chain, at_once, CHEAP)
    trees = Trees(tmp_path / "trees.db", chain.deployment, chain, 1)
    vouchers = wallet.vouchers(trees, clock)
    redeeming = wallet.redeeming(vouchers, prover, clock)
    try:
        words = do(wallet.create(PASSWORD))
        chain.give(do(wallet.addresses()).accounts[0], ETHER)
        bought = do(vouchers.top_up(Kit((0, 1, 2), sum(TABLE)), password=PASSWORD))
        do(vouchers.find(PASSWORD))
        ticket = do(vouchers.reserve(2, "a purchase"))
        own = do(redeeming.own_redemption())
        dear = do(redeeming.own_redemption(bytes(20), TABLE[2]))
        made = do(redeeming.prepare(ticket, own, password=PASSWORD))
        do(redeeming.submit(made, password=PASSWORD, accept=["link"]))
        raised = []
        for error, attempt in (
            (WrongPassword, vouchers.find("another password")),
            (SelfRelayLinks, redeeming.submit(made, password=PASSWORD)),
            (VoucherSpent, redeeming.prepare(ticket, dear, password=PASSWORD)),
            (
                RedemptionFeeTooHigh,
                redeeming.prepare(do(vouchers.reserve(1, "another")), dear, password=PASSWORD),
            ),
        ):
            with pytest.raises(error) as caught:
                do(attempt)
            raised.append(caught.value)
    finally:
        globalLogPublisher.removeObserver(events.append)
    (witness,) = prover.asked
    assert isinstance(witness, Witness)
    values = [bought, ticket, made, witness, Voucher(witness.secret, 0, witness.path)]
    keys = Keys.from_entropy(entropy_of(words)).vouchers(chain.chain_id, vouchers.contract)
    texts = [repr(each) for each in (*values, keys, vars(vouchers), vars(redeeming))]
    texts += [caplog.text, *map(str, map(formatEvent, events)), *capfd.readouterr()]
    for found in raised:
        texts += [repr(found), str(found), *traceback.format_exception(found)]
    haystacks = {"what was said": "\n".join(texts).encode()}
    for moment in ("open", "closed"):
        for path in tmp_path.rglob("*"):
            if path.is_file():
                haystacks[f"{path.name}, {moment}"] = path.read_bytes()
        wallet.close()
        trees.close()
    chain.close()
    secrets = canaries(words, chain)
    assert str(witness.secret).encode() in secrets  # so the search knows what to look for
    for name, hay in haystacks.items():
        assert not [secret for secret in secrets if secret in hay], name
