"""Withdrawals end to end: A3, fees from the payment itself, and nothing sent twice."""

from collections.abc import Callable
from typing import Any

import pytest

from bitsnode.ledger.errors import InsufficientFunds, TransactionReplaced
from bitsnode.ledger.wallet import progress
from bitsnode.ledger.wallet.errors import (
    BalanceTooLow,
    DestinationFunded,
    DestinationOwn,
    DestinationRegistered,
    DestinationReused,
    InvalidDestination,
    MergeRefused,
    SplitRefused,
    UnknownSource,
    WalletLocked,
    WithdrawalFailed,
    WrongPassword,
)
from bitsnode.ledger.wallet.history import State
from bitsnode.ledger.wallet.keys import KeySigner
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, FEE, FEE_LIMIT, FileChain
from zk.stealth import MetaAddress, checksum_address

PASSWORD = "correct horse"
Do = Callable[[Any], Any]
OpenWallet = Callable[..., Wallet]
FRESH, OTHER = (checksum_address(bytes([byte]) * 20) for byte in (0xAA, 0xBB))


class Crash(Exception):
    """The process ends here."""


def paid(do: Do, chain: FileChain, wallet: Wallet, *ephemerals: int) -> list[str]:
    """Pay one ether for each ephemeral key; return the stealth addresses."""
    meta = MetaAddress.parse(do(wallet.addresses()).meta_address)
    return [chain.pay(meta, bytes([number]) * 32, ETHER) for number in ephemerals]


def crash_at(chain: FileChain, wanted: str) -> None:
    """Let the next transfer crash at a step."""

    def stop(step: str) -> None:
        if step == wanted:
            raise Crash

    chain.stop = stop


def test_a_payment_goes_out_whole_and_pays_its_own_fee(
    do: Do, chain: FileChain, wallet: Wallet
) -> None:
    """What arrives is the payment less the fee; no other account has anything to do with it."""
    (payment,) = paid(do, chain, wallet, 1)
    account = do(wallet.addresses()).accounts[0]
    chain.give(account, ETHER)
    events: list[progress.Event] = []
    (done,) = do(wallet.withdraw(FRESH, password=PASSWORD, on_event=events.append))
    assert (done.state, done.amount, done.fee) == (State.DONE, ETHER - FEE_LIMIT, FEE)
    assert chain.wei(FRESH) == ETHER - FEE_LIMIT
    assert chain.wei(account) == ETHER
    assert chain.signed() == [(payment, FRESH, ETHER - FEE_LIMIT)]
    kinds = [type(event) for event in events]
    assert kinds[0] is progress.Opening
    assert kinds[-2:] == [progress.Sending, progress.Waiting]
    assert do(wallet.history()) == (done,)


def test_each_source_is_asked_about_over_its_own_circuits(
    do: Do, chain: FileChain, wallet: Wallet
) -> None:
    """No circuit ever carries two of our addresses."""
    paid(do, chain, wallet, 1, 2, 3)
    do(wallet.withdraw(FRESH, password=PASSWORD, accept=["merge"]))
    by_isolation: dict[Any, set[str]] = {}
    for address, isolation in chain.asked:
        by_isolation.setdefault(isolation, set()).add(address)
    assert len(by_isolation) == 4  # with the one for all events
    assert all(len(addresses) == 1 for addresses in by_isolation.values())


def test_a3_forbidden_destinations(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """Own, funding and public addresses are refused, and nothing is signed."""
    (payment,) = paid(do, chain, wallet, 1)
    account = do(wallet.addresses()).accounts[0]
    do(wallet.note_funder(OTHER.lower()))
    chain.public.add(FRESH)
    for to, error in (
        (account, DestinationOwn),
        (payment.lower(), DestinationOwn),
        (OTHER, DestinationFunded),
        (FRESH, DestinationRegistered),
        (chain.deployment.address("Vouchers"), DestinationRegistered),
        ("0x1234", InvalidDestination),
    ):
        with pytest.raises(error):
            do(wallet.withdraw(to, password=PASSWORD))
    with pytest.raises(InvalidDestination):
        do(wallet.note_funder("nobody"))
    assert chain.signed() == []
    assert do(wallet.history()) == ()


def test_a3_no_destination_twice(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """A second payment may not follow the first, even after a restart of both."""
    paid(do, chain, wallet, 1)
    do(wallet.withdraw(FRESH, password=PASSWORD))
    paid(do, chain, wallet, 2)
    with pytest.raises(DestinationReused):
        do(wallet.withdraw(FRESH, password=PASSWORD, accept=["merge", "split"]))
    do(wallet.withdraw(OTHER, password=PASSWORD))
    assert len(chain.signed()) == 2


def test_a3_payments_are_not_merged_silently(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """Several need a plain word, and then keep a transaction each; one can be picked."""
    first, second, third = paid(do, chain, wallet, 1, 2, 3)
    with pytest.raises(MergeRefused):
        do(wallet.withdraw(FRESH, password=PASSWORD))
    assert chain.signed() == []
    (picked,) = do(wallet.withdraw(OTHER, password=PASSWORD, source=second.lower()))
    assert picked.source == second
    done = do(wallet.withdraw(FRESH, password=PASSWORD, accept=["merge"]))
    assert [line.source for line in done] == [first, third]
    assert chain.wei(FRESH) == 2 * (ETHER - FEE_LIMIT)


def test_a_sum_of_a_payment(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """Leaving something behind must be accepted; more than any payment has is not there."""
    paid(do, chain, wallet, 1)
    with pytest.raises(SplitRefused):
        do(wallet.withdraw(FRESH, ETHER // 2, password=PASSWORD))
    with pytest.raises(BalanceTooLow):
        do(wallet.withdraw(FRESH, ETHER, password=PASSWORD))
    do(wallet.withdraw(FRESH, ETHER // 2, password=PASSWORD, accept=["split"]))
    assert chain.wei(FRESH) == ETHER // 2


def test_account_money(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """An account pays out what is asked, but never to where a payment went."""
    account = do(wallet.addresses()).accounts[0]
    chain.give(account, ETHER)
    do(wallet.withdraw(FRESH, ETHER // 4, password=PASSWORD, source=account))
    assert chain.wei(FRESH) == ETHER // 4
    with pytest.raises(BalanceTooLow):
        do(wallet.withdraw(FRESH, ETHER, password=PASSWORD, source=account))
    paid(do, chain, wallet, 1)
    with pytest.raises(DestinationReused):
        do(wallet.withdraw(FRESH, password=PASSWORD))
    do(wallet.withdraw(OTHER, password=PASSWORD))
    with pytest.raises(DestinationReused):
        do(wallet.withdraw(OTHER, password=PASSWORD, source=account))
    do(wallet.withdraw(FRESH, password=PASSWORD, source=account))
    assert chain.wei(account) == FEE_LIMIT - FEE


def test_unknown_sources_and_wrong_passwords(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """Nothing is signed for them."""
    paid(do, chain, wallet, 1)
    with pytest.raises(UnknownSource):
        do(wallet.withdraw(FRESH, password=PASSWORD, source=OTHER))
    with pytest.raises(WrongPassword):
        do(wallet.withdraw(FRESH, password="wrong password"))
    assert chain.signed() == []


@pytest.mark.parametrize("step", ["ask", "journal", "send", "wait"])
def test_a_crash_at_any_step_sends_once(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet, step: str
) -> None:
    """What was signed is brought to its end by itself; what was not is free to be asked again."""
    paid(do, chain, wallet, 1)
    crash_at(chain, step)
    with pytest.raises(Crash):
        do(wallet.withdraw(FRESH, password=PASSWORD))
    wallet.close()
    chain.stop = lambda _step: None
    again = open_wallet()
    finished = do(again.finish())
    signed = step in ("send", "wait")
    assert len(finished) == signed
    assert do(again.finish()) == ()
    if not signed:
        assert chain.wei(FRESH) == 0
        do(again.unlock(PASSWORD))
        do(again.withdraw(FRESH, password=PASSWORD))
    assert chain.wei(FRESH) == ETHER - FEE_LIMIT
    assert len(chain.signed()) == 1


def test_a_cut_merge_can_be_gone_on_with(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet
) -> None:
    """After a crash between two payments the second may follow, if merging is accepted again."""
    paid(do, chain, wallet, 1, 2)
    steps: list[str] = []

    def stop(step: str) -> None:
        steps.append(step)
        if steps.count("ask") == 2:
            raise Crash

    chain.stop = stop
    with pytest.raises(Crash):
        do(wallet.withdraw(FRESH, password=PASSWORD, accept=["merge"]))
    wallet.close()
    chain.stop = lambda _step: None
    again = open_wallet()
    with pytest.raises(MergeRefused):
        do(again.withdraw(FRESH, password=PASSWORD))
    do(again.withdraw(FRESH, password=PASSWORD, accept=["merge"]))
    assert chain.wei(FRESH) == 2 * (ETHER - FEE_LIMIT)
    assert len(chain.signed()) == 2


def test_a_refusal_before_signing_leaves_the_destination_free(
    do: Do, chain: FileChain, wallet: Wallet
) -> None:
    """When the money went elsewhere meanwhile, nothing was done and nothing stays planned."""
    (payment,) = paid(do, chain, wallet, 1)

    def spend(step: str) -> None:
        if step == "ask":
            chain.give(payment, -ETHER)

    chain.stop = spend
    with pytest.raises(InsufficientFunds):
        do(wallet.withdraw(FRESH, password=PASSWORD))
    chain.stop = lambda _step: None
    assert [line.state for line in do(wallet.history())] == [State.DROPPED]
    chain.give(payment, ETHER)
    do(wallet.withdraw(FRESH, password=PASSWORD))
    assert chain.wei(FRESH) == ETHER - FEE_LIMIT


def test_a_withdrawal_that_the_chain_refuses_is_said(
    do: Do, chain: FileChain, wallet: Wallet
) -> None:
    """It is in the history as failed, and the destination counts as used."""
    paid(do, chain, wallet, 1)
    chain.reverts = True
    with pytest.raises(WithdrawalFailed):
        do(wallet.withdraw(FRESH, password=PASSWORD))
    assert [line.state for line in do(wallet.history())] == [State.FAILED]
    chain.reverts = False
    with pytest.raises(DestinationReused):
        do(wallet.withdraw(FRESH, password=PASSWORD))


def test_a_nonce_used_elsewhere_is_said_once(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet
) -> None:
    """When the same words withdrew on another machine first, this one gives up and goes on."""
    paid(do, chain, wallet, 1)

    def replaced(step: str) -> None:
        if step == "wait":
            raise TransactionReplaced

    chain.stop = replaced
    with pytest.raises(TransactionReplaced):
        do(wallet.withdraw(FRESH, password=PASSWORD))
    assert [line.state for line in do(wallet.history())] == [State.FAILED]
    assert do(wallet.finish()) == ()


def test_keys_are_forgotten_once_the_money_is_there(
    do: Do, chain: FileChain, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger keeps the signer, but nothing can be signed with it any more."""
    signers: list[KeySigner] = []
    send = chain.send

    async def watched(signer: KeySigner, *arguments: Any) -> Any:
        signers.append(signer)
        return await send(signer, *arguments)

    monkeypatch.setattr(chain, "send", watched)
    paid(do, chain, wallet, 1)
    do(wallet.withdraw(FRESH, password=PASSWORD))
    with pytest.raises(WalletLocked):
        signers[0].sign_transaction({"chainId": 1})
