"""A payment with a real proof to the real contracts on the embedded chain opens the real gate."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from web3 import Web3

from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.prover.child import Proving
from bitsnode.ledger.prover.service import CIRCUITS
from bitsnode.ledger.redemption import Spend
from bitsnode.ledger.refusals import VoucherSpent, refusal
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.testing import FakeChain
from bitsnode.ledger.testing_rpc import FakeServer, fake_rpc
from bitsnode.market.chain import LedgerChain
from bitsnode.market.offer import Market, SignedOffer
from bitsnode.market.receipt import Receipt
from bitsnode.market.sealing import open_for_buyer
from bitsnode.market.testing import DAY, Purchase, buy, make_offer, sign
from bitsnode.market.testing_holders import Holder
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.market_messages import KeyShare
from bitsnode.wire.messages import FailureCode
from onion.isolation import Isolation
from tests.contracts.chain_tools import CHAIN_ID, Hand, embedded
from tests.contracts.test_python_proofs import AMOUNT, SECRETS, deployed, made
from zk.circuit import Witness
from zk.lean_imt import LeanIMT
from zk.semaphore import commitment

GATE = Isolation("gate", "me")
VALIDITY = 30 * DAY


class Through(FakeServer):
    """Passes questions on to a chain that runs."""

    def __init__(self, clock: Clock, web3: Web3) -> None:
        super().__init__(FakeChain(clock.seconds, CHAIN_ID))
        self._web3 = web3

    def handle(self, body: bytes) -> bytes:
        """Answer a request or a batch."""
        asked = json.loads(body)
        if isinstance(asked, list):
            return json.dumps([self._pass_on(each) for each in asked]).encode()
        return json.dumps(self._pass_on(asked)).encode()

    def _pass_on(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer: Any = self._web3.provider.make_request(asked["method"], asked["params"])
        return {**answer, "id": asked["id"]}


def got(work: Any) -> Any:
    """The result of a coroutine that ends without waiting."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    assert results, "it waits for something"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def deployment_of(vouchers: Any, semaphore: Any) -> Deployment:
    """Where our contracts are; those that no test asks are nowhere."""
    places = dict.fromkeys(CONTRACTS, "0x" + "11" * 20)
    places |= {"Vouchers": vouchers.address, "Semaphore": semaphore.address}
    places |= {"ERC5564Announcer": vouchers.functions.announcer().call()}
    return Deployment(
        CHAIN_ID, {name: Deployed(where, 1, "0x" + "00" * 32) for name, where in places.items()}
    )


@attrs.frozen
class RealWorld:
    """A chain that runs, with our contracts and three vouchers in the first group.

    Attributes:
        hand: sends transactions.
        vouchers, semaphore: contracts.
        proving: makes proofs.
        tree: of the group.
        signed: an offer for one of them.
        shares: of its key.
    """

    hand: Hand
    vouchers: Any
    semaphore: Any
    proving: Proving
    tree: LeanIMT
    signed: SignedOffer
    shares: tuple[bytes, ...]

    @property
    def contract(self) -> bytes:
        """Address of the vouchers' contract, 20 bytes."""
        return bytes.fromhex(self.vouchers.address[2:])

    def call(self, receipt: Receipt, voucher: int) -> tuple[Receipt, Any]:
        """Spend a voucher for a receipt: the receipt with its nullifier, and the call to send."""
        functions = self.vouchers.functions
        group, scope = functions.currentGroup(0).call(), functions.scope().call()
        blank = Witness(SECRETS[voucher], self.tree.path(voucher), 0, scope)
        nullifier = blank.proves((1,) * 8).nullifier
        receipt = attrs.evolve(receipt, groups=(group,), nullifiers=(nullifier,))
        message = int.from_bytes(receipt.message(CHAIN_ID, self.contract), "big")
        spend = Spend.of(group, made(self.proving, attrs.evolve(blank, message=message)))
        words = receipt.redemption()
        fields = (
            Web3.to_checksum_address(words.payee),
            words.ephemeral_public_key[0],
            words.ephemeral_public_key[1:],
            bytes([words.view_tag]),
            words.tag,
            Web3.to_checksum_address(words.relayer),
            words.fee,
            words.deadline,
        )
        proofs = [(spend.group, spend.nullifier, spend.root, list(spend.points))]
        return receipt, functions.redeem(fields, proofs)

    def redeem(self, receipt: Receipt, voucher: int) -> Receipt:
        """Spend a voucher for a receipt, and return the receipt with its nullifier."""
        receipt, call = self.call(receipt, voucher)
        self.hand.send(self.hand.account(b"\x08" * 32), call)
        return receipt


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorld]:
    """Contracts and vouchers; each test spends vouchers of its own."""
    folder = tmp_path_factory.mktemp("real")
    proving = Proving(CIRCUITS, folder / "cache")
    with embedded(folder / "chain") as web3:
        hand, tree = Hand(web3, "bits_fund"), LeanIMT()
        vouchers, semaphore, _verifier = deployed(hand, hand.account(b"\x07" * 32))
        for secret in SECRETS[:3]:
            call = vouchers.functions.deposit(0, commitment(secret))
            hand.send(hand.account(b"\x08" * 32), call, AMOUNT)
            tree.append(commitment(secret))
        now = int(web3.eth.get_block("latest")["timestamp"])
        offer, shares = make_offer(
            chain_id=CHAIN_ID,
            vouchers=bytes.fromhex(vouchers.address[2:]),
            denomination=0,
            price=AMOUNT,
            fee_limit=AMOUNT // 20,
            valid_from=now - DAY,
            valid_until=now + VALIDITY,
        )
        yield RealWorld(hand, vouchers, semaphore, proving, tree, sign(offer), shares)


@pytest.mark.usefixtures("no_fsync")
def test_a_real_payment_opens_the_gate(world: RealWorld, tmp_path: Path) -> None:
    """Contracts, proof, index, witness and gate together; one field changed, and it stays shut."""
    signed, web3 = world.signed, world.hand.web3
    clock = Clock()
    clock.advance(int(web3.eth.get_block("latest")["timestamp"]))
    rpc = fake_rpc(clock, Through(clock, web3), own=True, chain_id=CHAIN_ID)
    deployment = deployment_of(world.vouchers, world.semaphore)
    ledger = Ledger(clock, [rpc], deployment, tmp_path / "ledger", execute)
    market = Market(CHAIN_ID, world.contract, (AMOUNT,))
    chain = LedgerChain(ledger, GATE, clock.seconds)
    holder = Holder(tmp_path / "custody.db", 1, chain, market=market)
    try:
        holder.now = clock.seconds()
        holder.entrust(signed, world.shares)
        bought = buy(signed, fee=AMOUNT // 100)
        receipt = world.redeem(bought.receipt, 1)

        def release(found: Receipt) -> bytes:
            reader = X25519PrivateKey.generate()
            request = holder.ask(Purchase(bought.seed, found), reader)
            reply: KeyShare = got(holder.responder.handle(request, Caller(1)))
            return open_for_buyer(reader, signed.hash, reply.index, reply.sealed)

        assert release(receipt) == world.shares[0]
        for changes in ({"fee": receipt.fee + 1}, {"nullifiers": (1,)}):
            changed = attrs.evolve(receipt, **changes)
            with pytest.raises(Refused, check=lambda e: e.code == FailureCode.NOT_FINAL):
                release(changed)
    finally:
        got(ledger.stop())
        holder.store.close()


def test_a1_the_same_voucher_twice_is_refused_on_the_chain_and_explained(world: RealWorld) -> None:
    """Two payments, each with a good proof of one voucher: the contract takes the first."""
    first, second = buy(world.signed, fee=0), buy(world.signed, 2, fee=0)
    _receipt, again = world.call(second.receipt, 2)
    world.redeem(first.receipt, 2)
    explained = refusal(world.hand.refused(again))
    assert isinstance(explained, VoucherSpent)
    assert str(explained) == "This voucher is spent already, and nobody can spend it twice."
