"""Transactions: one intent, at most one transaction in the chain, whatever happens in between."""

import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from bitsnode.ledger import errors, fees
from bitsnode.ledger.fees import Fee, Prices, in_coins, raised, suggest
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.journal import Journal
from bitsnode.ledger.standing import Call
from bitsnode.ledger.testing import FakeChain
from bitsnode.ledger.testing_rpc import FakeRefusal, FakeServer, fake_rpc
from bitsnode.ledger.transactions import POLL_SECONDS, STUCK_SECONDS, Transactions
from onion.isolation import Isolation

with tamed_imports():
    from eth_account import Account

ME = Isolation("account", "me")
TO = "0x" + "22" * 20
GWEI = 10**9
LIMIT = 10**15
GIFT = Call(TO, 5)
Got = Callable[[Coroutine[Any, Any, Any]], Any]


class FakeSigner:
    """A key of its own, and the count of what it signed."""

    def __init__(self, number: int = 1) -> None:
        self._account = Account.from_key(number.to_bytes(32, "big"))
        self.address: str = self._account.address
        self.signed: list[dict[str, Any]] = []

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """Sign."""
        self.signed.append(fields)
        return bytes(self._account.sign_transaction(fields).raw_transaction)


@pytest.fixture
def signer(fake_chain: FakeChain) -> FakeSigner:
    """An account with 1 ETH."""
    signer = FakeSigner()
    fake_chain.balances[signer.address.lower()] = 10**18
    return signer


@pytest.fixture
def opened(
    tmp_path: Path, clock: Clock, fake_server: FakeServer, no_fsync: None
) -> Iterator[Callable[..., Transactions]]:
    """Transactions over servers and a journal; a second call opens them anew, as a restart does."""
    journals: list[Journal] = []

    def make(*servers: FakeServer, path: Path | None = None) -> Transactions:
        journals.append(Journal(path or tmp_path / "journal.db", 13370042))
        names = ("one", "two", "three")
        pairs = zip(servers or (fake_server,), names, strict=False)
        rpcs = [fake_rpc(clock, server, name) for server, name in pairs]
        return Transactions(clock, rpcs, journals[-1], 13370042, execute)

    yield make
    for journal in journals:
        journal.close()


Opened = Callable[..., Transactions]


def sent_for(chain: FakeChain) -> list[bytes]:
    """The transactions in the chain."""
    return [raw for block in chain.blocks for raw in block.transactions]


def test_a_transaction_is_sent_and_mined(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """What was signed is what arrives, and the outcome says what it cost."""
    transactions = opened()
    sent = got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    assert (sent.accepted, sent.nonce) == (True, 0)
    assert got(transactions.look_after("gift", ME)) is None
    fake_chain.mine()
    mined = got(transactions.wait("gift", ME))
    assert mined.transaction_hash == sent.transaction_hash
    assert (mined.block, mined.succeeded, mined.fee) == (1, True, 21_000 * 11 * GWEI // 10)
    (fields,) = signer.signed
    assert fields["chainId"] == 13370042
    assert (fields["maxFeePerGas"], fields["maxPriorityFeePerGas"]) == (21 * GWEI // 10, GWEI // 10)
    assert got(transactions.knows("gift"))
    assert not got(transactions.knows("other"))


def test_the_same_intent_is_signed_once(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Sending again, at once, after a restart or when it is mined, sends the same bytes."""
    got(opened().send(signer, "gift", GIFT, ME, LIMIT))
    assert got(opened().send(signer, "gift", GIFT, ME, LIMIT)).accepted
    fake_chain.mine()
    again = got(opened().send(signer, "gift", GIFT, ME, LIMIT))
    assert again.accepted
    assert len(signer.signed) == 1
    assert len(set(fake_chain.received)) == 1
    fake_chain.mine()
    assert len(sent_for(fake_chain)) == 1


def test_an_intent_cannot_change(opened: Opened, signer: FakeSigner, got: Got) -> None:
    """The same name for another recipient, sum, call or account is refused."""
    transactions = opened()
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    for other in (Call("0x" + "33" * 20, 5), Call(TO, 6), Call(TO, 5, b"x")):
        with pytest.raises(errors.IntentChanged):
            got(transactions.send(signer, "gift", other, ME, LIMIT))
    with pytest.raises(errors.IntentChanged):
        got(transactions.send(FakeSigner(2), "gift", GIFT, ME, LIMIT))
    assert len(signer.signed) == 1


class Killed(BaseException):
    """The process ends here."""


def test_no_transaction_is_sent_twice_wherever_the_process_dies(
    opened: Opened, fake_chain: FakeChain, clock: Clock, got: Got, tmp_path: Path
) -> None:
    """Killed before each statement and each question in turn, then asked again: one transaction."""
    steps = 0
    for step in range(200):
        chain, signer = FakeChain(clock.seconds), FakeSigner()
        chain.balances[signer.address.lower()] = 10**18
        server = FakeServer(chain)
        path = tmp_path / f"{step}" / "journal.db"
        transactions = opened(server, path=path)
        left = step

        def tick(*_anything: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        handle = server.handle

        def dying(body: bytes, handle: Callable[[bytes], bytes] = handle) -> bytes:
            tick()  # before the question arrives
            answer = handle(body)
            tick()  # before the answer does
            return answer

        transactions._journal.database.before = tick
        server.handle = dying  # type: ignore[method-assign]
        try:
            got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
        except Killed:
            steps += 1
        server.handle = handle  # type: ignore[method-assign]
        after = tmp_path / f"{step}" / "after"
        shutil.copytree(path.parent, after, ignore=shutil.ignore_patterns("*-shm", "after"))
        restarted = opened(server, path=after / "journal.db")
        sent = got(restarted.send(signer, "gift", GIFT, ME, LIMIT))
        assert sent.nonce == 0
        chain.mine()
        got(restarted.send(signer, "gift", GIFT, ME, LIMIT))
        chain.mine()
        assert got(restarted.wait("gift", ME)).transaction_hash == sent.transaction_hash
        assert len(sent_for(chain)) == 1
        assert len(set(chain.received)) == 1
        if left >= 0:
            break
    assert steps > 10


def test_what_is_signed_is_in_the_journal_before_anybody_has_it(
    opened: Opened, signer: FakeSigner, fake_server: FakeServer, got: Got
) -> None:
    """When the bytes arrive at the server, the journal has them."""
    transactions = opened()
    seen: list[bool] = []

    def receive(text: str) -> str:
        (signed,) = transactions._journal.signed("gift")
        seen.append("0x" + signed.raw.hex() == text)
        return "0x" + signed.hash.hex()

    fake_server.faults["eth_sendRawTransaction"] = receive
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    assert seen == [True]


def test_many_sent_at_once_get_nonces_in_a_row(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain
) -> None:
    """Sends of one account wait for one another, so none takes the nonce of another."""
    transactions = opened()
    deferreds = [
        Deferred.fromCoroutine(transactions.send(signer, f"gift {n}", GIFT, ME, LIMIT))
        for n in range(5)
    ]
    nonces: list[int] = []
    for each in deferreds:
        each.addCallback(lambda sent: nonces.append(sent.nonce))
    assert nonces == [0, 1, 2, 3, 4]
    fake_chain.mine()
    assert len(sent_for(fake_chain)) == 5


def test_nonces_follow_the_journal_when_a_server_forgets(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """A server that lost its pool reports old nonces: what it lost is sent again first."""
    transactions = opened()
    got(transactions.send(signer, "one", GIFT, ME, LIMIT))
    fake_chain.pool.clear()
    sent = got(transactions.send(signer, "two", GIFT, ME, LIMIT))
    assert sent.nonce == 1
    assert len(fake_chain.pool) == 2


def test_a_transaction_dropped_by_a_reorganisation_is_sent_again(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Mined, dropped, and mined again: the same bytes, looked after until they are final."""
    transactions = opened()
    sent = got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    fake_chain.mine()
    assert got(transactions.wait("gift", ME)).block == 1
    fake_chain.fork(1)
    restarted = opened()
    assert got(restarted.accounts()) == [signer.address.lower()]
    got(restarted.look_after_account(signer.address, ME))
    fake_chain.mine(count=10)
    assert got(restarted.wait("gift", ME)).transaction_hash == sent.transaction_hash
    assert got(restarted.accounts()) == []
    assert len(signer.signed) == 1


def test_a_stuck_transaction_is_replaced_at_its_nonce_within_the_limit(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, clock: Clock, got: Got
) -> None:
    """After two minutes and five blocks the fee rises by an eighth, as far as the limit goes."""
    transactions = opened()
    fake_chain.base_fee, fake_chain.tip = 100 * GWEI, GWEI
    limit = 21_000 * 250 * GWEI
    first = got(transactions.send(signer, "gift", GIFT, ME, limit))
    stuck = dict(fake_chain.pool)
    for _ in range(4):
        clock.advance(STUCK_SECONDS)
        fake_chain.pool.clear()
        fake_chain.mine(count=6)
        assert got(transactions.look_after("gift", ME)) is None
    assert [each["nonce"] for each in signer.signed] == [0] * len(signer.signed)
    most = [each["maxFeePerGas"] for each in signer.signed]
    assert most[0] == 201 * GWEI
    assert len(most) == 2
    assert most[1] * 8 >= most[0] * 9
    assert most[1] * 21_000 <= limit
    assert len(fake_chain.pool) == 1
    fake_chain.pool = stuck  # the first one is mined after all
    fake_chain.mine()
    assert got(transactions.wait("gift", ME)).transaction_hash == first.transaction_hash


def test_only_a_stuck_transaction_is_replaced(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, clock: Clock, got: Got
) -> None:
    """Time alone, on a chain that stands still, replaces nothing; nor do blocks alone."""
    transactions = opened()
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    clock.advance(STUCK_SECONDS)
    got(transactions.look_after("gift", ME))
    assert len(signer.signed) == 1
    got(transactions.send(signer, "other", GIFT, ME, LIMIT))
    fake_chain.pool.clear()
    fake_chain.mine(count=6)
    got(transactions.look_after("other", ME))
    assert len(signer.signed) == 2


def test_a_fee_spike_signs_nothing(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Above the limit there is one sentence with both sums, and nothing is signed or kept."""
    fake_chain.base_fee = 500 * GWEI
    transactions = opened()
    with pytest.raises(errors.FeeTooHigh, match=r"above the limit.*0\.01181.* ETH.*0\.001 ETH"):
        got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    assert signer.signed == []
    assert not got(transactions.knows("gift"))
    fake_chain.base_fee = GWEI
    assert got(transactions.send(signer, "gift", GIFT, ME, LIMIT)).accepted


def test_too_little_money_signs_nothing(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Neither the value nor the value with the fee: one sentence with both sums."""
    transactions = opened()
    for value, match in ((2 * 10**18, r"1 ETH of 2 ETH and the fee"), (10**18, r"1 ETH of 1\.00")):
        with pytest.raises(errors.InsufficientFunds, match=match):
            got(transactions.send(signer, "gift", Call(TO, value), ME, LIMIT))
    assert signer.signed == []


def test_what_would_revert_is_not_signed(
    opened: Opened, signer: FakeSigner, fake_server: FakeServer, got: Got
) -> None:
    """The contract's own words and data are in the error."""

    def revert(*_params: Any) -> None:
        raise FakeRefusal(3, "execution reverted: deadline", "0x12345678")

    fake_server.faults["eth_estimateGas"] = revert
    with pytest.raises(errors.WouldRevert, match="deadline") as refused:
        got(opened().send(signer, "gift", Call(TO, 0, b"x"), ME, LIMIT))
    assert refused.value.data == "0x12345678"
    assert signer.signed == []


def test_a_mined_transaction_that_reverted_says_so(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Whoever waits learns that the contract refused."""
    transactions = opened()
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    fake_chain.reverting = {keccak(raw) for raw in fake_chain.pool.values()}
    fake_chain.mine()
    assert not got(transactions.wait("gift", ME)).succeeded


def test_a_nonce_that_went_elsewhere_is_told_once_it_is_final(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Another wallet used the nonce: while that may be undone we wait, then we say so."""
    transactions = opened()
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    other = signer.sign_transaction(signer.signed[0] | {"value": 99})
    fake_chain.pool = {keccak(other): other}
    fake_chain.mine()
    assert got(transactions.look_after("gift", ME)) is None
    fake_chain.mine(count=4)
    with pytest.raises(errors.TransactionReplaced, match="took the place"):
        got(transactions.look_after("gift", ME))
    assert got(transactions.accounts()) == []


def test_a2_one_lying_server_cannot_make_a_nonce_seem_lost(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """A server that counts a nonce as used, and hides the receipt, is overruled by the other."""
    liar, honest = FakeServer(fake_chain), FakeServer(fake_chain)
    transactions = opened(liar, honest)
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    fake_chain.mine(count=9)
    liar.faults["eth_getTransactionReceipt"] = lambda _hash: None
    liar.faults["eth_getTransactionCount"] = lambda _account, _tag: "0x9"
    assert got(transactions.look_after("gift", ME)) is None


def test_a_refused_transaction_stays_in_the_journal_and_is_sent_again(
    opened: Opened, signer: FakeSigner, fake_server: FakeServer, fake_chain: FakeChain, got: Got
) -> None:
    """The words of the server are told; when it changes its mind, the same bytes are taken."""

    def refuse(_raw: str) -> None:
        raise FakeRefusal(-32000, "txpool is full")

    fake_server.faults["eth_sendRawTransaction"] = refuse
    transactions = opened()
    sent = got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    assert (sent.accepted, sent.refusal) == (False, "txpool is full")
    del fake_server.faults["eth_sendRawTransaction"]
    got(transactions.look_after("gift", ME))
    fake_chain.mine()
    assert got(transactions.wait("gift", ME)).transaction_hash == sent.transaction_hash


def test_waiting_ends(opened: Opened, signer: FakeSigner, clock: Clock, got: Got) -> None:
    """Not mined in time, and never signed, are each one sentence."""
    transactions = opened()
    with pytest.raises(errors.NotMined):
        got(transactions.wait("nothing", ME))
    got(transactions.send(signer, "gift", GIFT, ME, LIMIT))
    waiting = Deferred.fromCoroutine(transactions.wait("gift", ME, timeout=20))
    failures: list[Any] = []
    waiting.addErrback(failures.append)
    for _ in range(5):
        assert not failures
        clock.advance(POLL_SECONDS)
    assert failures[0].check(errors.NotMined)


def test_the_second_server_is_used_when_the_first_is_down(
    opened: Opened, signer: FakeSigner, fake_chain: FakeChain, got: Got
) -> None:
    """Signing needs one server that answers, sending too."""
    down, up = FakeServer(fake_chain), FakeServer(fake_chain)
    down.down = True
    assert got(opened(down, up).send(signer, "gift", GIFT, ME, LIMIT)).accepted
    up.down = True
    with pytest.raises(errors.RpcUnreachable):
        got(opened(down, up).send(signer, "other", GIFT, ME, LIMIT))


amounts = st.integers(0, 10**12)


@given(amounts, amounts, st.integers(21_000, 10**7), st.integers(0, 10**20))
def test_fees_stay_within_the_limit(base: int, tip: int, gas: int, limit: int) -> None:
    """Any suggestion covers the next block and never costs more than the limit."""
    try:
        fee = suggest(gas, Prices(1, base, tip), limit)
    except errors.FeeTooHigh:
        assert gas * (base + base // 8 + 1 + tip) > limit
        return
    assert base + tip < fee.max_fee
    assert fee.tip <= fee.max_fee
    assert fee.most <= limit


@given(amounts, amounts, amounts, amounts, st.integers(0, 10**20))
def test_replacements_are_an_eighth_dearer(
    most: int, tip: int, base: int, now: int, limit: int
) -> None:
    """Pools take a replacement only when both fees rise by an eighth; the limit holds."""
    fee = Fee(21_000, most + tip, tip)
    found = raised(fee, Prices(1, base, now), limit)
    if found is not None:
        assert 8 * found.max_fee >= 9 * fee.max_fee
        assert 8 * found.tip >= 9 * fee.tip
        assert found.tip > fee.tip
        assert found.tip <= found.max_fee
        assert found.most <= limit


def test_sums_are_written_exactly() -> None:
    """No float comes near money."""
    assert in_coins(0) == "0 ETH"
    assert in_coins(1) == "0.000000000000000001 ETH"
    assert in_coins(10**18 + 5 * 10**17) == "1.5 ETH"
    assert in_coins(123 * fees.WEI) == "123 ETH"
