"""Vouchers on the embedded chain with the real contracts and the real prover."""

import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.task import Clock

from bitsnode.ledger.deploy import Terms, deploy
from bitsnode.ledger.embedded.start import running_chain
from bitsnode.ledger.errors import WouldRevert
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.local_key import LocalKey
from bitsnode.ledger.prover.service import CIRCUITS, Prover
from bitsnode.ledger.redemption import Redemption, deposit_data
from bitsnode.ledger.refusals import CommitmentCopied, ProofRefused, VoucherSpent, refusal
from bitsnode.ledger.rpc import Rpc, RpcEndpoint
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.standing import Call
from bitsnode.ledger.testing_rpc import FakeCarrier
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.ledger.wallet.voucher_values import VoucherState
from bitsnode.ledger.wallet.vouchers import Vouchers
from bitsnode.market.hot_key import open_hot_key
from bitsnode.market.relay import Relay
from bitsnode.market.relay_journal import RelayJournal
from bitsnode.wire.relay_messages import SubmitRedeem
from onion.isolation import Isolation
from zk.circuit import ZKEY
from zk.stealth import MetaAddress, generate

with tamed_imports():
    from web3 import IPCProvider, Web3

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"
TABLE = tuple(row * 10**17 for row in (1, 2, 5))  # wei
OTHERS = LocalKey(b"\x77" * 32)  # deploys, and buys vouchers, too
ME = Isolation("test", "me")
SECONDS = 60
needs_circuits = pytest.mark.skipif(
    not (CIRCUITS / ZKEY).exists(), reason="the circuit's files are missing; run bin/setup"
)


class _Socket:
    """A chain behind a unix socket, as a carrier of the tests wants it."""

    def __init__(self, path: Path) -> None:
        self.isolations: list[Isolation] = []
        self.down, self.stalls, self.status = False, 0.0, 200
        self._path = path

    def handle(self, body: bytes) -> bytes:
        """Ask, and read until the answer is whole."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self._path))
            connection.sendall(body)
            answer = b""
            while True:
                answer += connection.recv(1 << 16)
                try:
                    json.loads(answer)
                except ValueError:
                    continue
                return answer

    def ask(self, method: str, *params: object) -> Any:
        """Ask one thing."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = json.loads(self.handle(json.dumps(request).encode()))
        assert "error" not in answer, answer
        return answer["result"]

    def wei(self, address: bytes | str) -> int:
        """What an address has."""
        text = address if isinstance(address, str) else "0x" + address.hex()
        return int(self.ask("eth_getBalance", text, "latest"), 16)


@attrs.frozen
class _Person:
    """A wallet with its trees."""

    wallet: Wallet
    trees: Trees
    vouchers: Vouchers
    redeeming: Redeeming


@attrs.frozen
class _World:
    """The chain, a ledger on it and a prover."""

    folder: Path
    server: _Socket
    ledger: Ledger
    prover: Prover
    reactor: Any
    opened: list[_Person] = attrs.Factory(list)

    async def person(self, name: str, words: str | None = None) -> tuple[_Person, str]:
        """A person with a new wallet or a restored one, and its words."""
        wallet = Wallet(self.folder / name / "wallet", self.ledger, at_once, CHEAP)
        trees = Trees(self.folder / name / "trees.db", self.ledger.deployment, self.ledger.index, 1)
        vouchers = wallet.vouchers(trees, self.reactor)
        redeeming = wallet.redeeming(vouchers, self.prover, self.reactor)
        found = _Person(wallet, trees, vouchers, redeeming)
        self.opened.append(found)
        if words is None:
            words = await wallet.create(PASSWORD)
        else:
            await wallet.restore(words, PASSWORD)
        return found, words

    async def send(self, data: bytes, value: int) -> None:
        """Call the vouchers as somebody else."""
        contract, intent = self.ledger.deployment.address("Vouchers"), secrets.token_hex(8)
        await self.ledger.send(OTHERS, intent, Call(contract, value, data), ME, ETHER)
        assert (await self.ledger.wait(intent, ME)).succeeded


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[_World]:
    from twisted.internet import reactor  # pytest-twisted's

    with running_chain(folder / "chain") as child:
        server = _Socket(child.socket_path)
        server.ask("bits_fund", OTHERS.address, hex(100 * ETHER))
        provider = IPCProvider(child.socket_path)
        terms = Terms(3600, (OTHERS.address,), (OTHERS.address,), TABLE)
        deployment = deploy(Web3(provider), OTHERS, terms)
        if provider._socket.sock is not None:  # web3 8.0.0 has no call that hangs up
            provider._socket.sock.close()
        endpoint = RpcEndpoint("https://chain.example", own=True)
        carrier: Any = FakeCarrier(Clock(), server)  # type: ignore[arg-type]
        rpc = Rpc(reactor, carrier, endpoint, deployment.chain_id)
        ledger = Ledger(reactor, [rpc], deployment, folder / "ledger", at_once)
        prover = Prover(reactor, folder / "cache")
        world = _World(folder, server, ledger, prover, reactor)
        try:
            yield world
        finally:
            for person in world.opened:
                person.wallet.close()
                person.trees.close()
            await prover.stop()
            await ledger.stop()


async def _payment(creator: _Person, relayer: bytes, fee: int, now: float) -> Redemption:
    """A redemption to a creator's fresh stealth address."""
    meta = MetaAddress.parse((await creator.wallet.addresses()).meta_address)
    payment = generate(meta, secrets.token_bytes(32))
    payee = bytes.fromhex(payment.stealth_address[2:])
    shown = (payment.ephemeral_public_key, payment.view_tag)
    return Redemption(payee, *shown, secrets.token_bytes(32), relayer, fee, int(now) + 3600)


@needs_circuits
@pytest_twisted.ensureDeferred
async def test_a_voucher_is_bought_relayed_and_split_to_the_last_wei(tmp_path: Path) -> None:
    """Top-up, proof, relay, replay, restore from the words, earnings: all of it real."""
    async with _world(tmp_path) as world:
        buyer, words = await world.person("buyer")
        creator, _ = await world.person("creator")
        world.server.ask("bits_fund", (await buyer.wallet.addresses()).accounts[0], hex(10 * ETHER))
        await world.send(deposit_data(2, 12345), TABLE[2])

        # bought
        kit = await buyer.vouchers.suggest(12 * 10**17)
        assert kit.amount == 11 * 10**17
        bought = await buyer.vouchers.top_up(kit, password=PASSWORD)
        assert {voucher.state for voucher in bought} == {VoucherState.CONFIRMED}
        contract = world.ledger.deployment.address("Vouchers")
        assert world.server.wei(contract) == kit.amount + TABLE[2]

        # proved, and sent by a relay whose account nobody knew before
        key = open_hot_key(tmp_path / "relay.key")
        world.server.ask("bits_fund", key.address, hex(ETHER))
        address, chain_id = bytes.fromhex(contract[2:]), world.ledger.deployment.chain_id
        journal = RelayJournal(tmp_path / "relay.db", chain_id, address)
        relay = Relay(world.ledger, key, journal, chain_id, address, world.reactor, at_once)
        fee = int.from_bytes((await relay.terms()).fees[0], "big")
        ticket = await buyer.vouchers.reserve(2, "a purchase")
        crowd = (await buyer.vouchers.voucher(ticket)).crowd
        assert crowd is not None
        assert (crowd.unspent, crowd.size) == (1, 2)
        redemption = await _payment(creator, bytes(20), fee, world.reactor.seconds())
        prepared = await buyer.redeeming.prepare(ticket, redemption, password=PASSWORD)
        thief = attrs.evolve(prepared.redemption, payee=b"\x66" * 20)
        stolen = attrs.evolve(prepared, redemption=thief)
        with pytest.raises(ProofRefused):
            await relay.submit(SubmitRedeem(chain_id, address, stolen.data))
        request = SubmitRedeem(chain_id, address, prepared.data)
        first = await relay.submit(request)
        assert await relay.submit(request) == first
        assert await relay.tend() == 0
        journal.close()

        # split
        net = TABLE[2] - fee
        treasury, pool = net * 300 // 10_000, net * 200 // 10_000
        assert world.server.wei(redemption.payee) == net - treasury - pool
        accrued = await world.ledger.call("Vouchers", "accrued", [], ME)
        assert tuple(accrued) == (treasury, pool)
        (earning,) = await creator.wallet.earnings(creator.vouchers)
        assert (earning.split.net, earning.tag) == (net - treasury - pool, redemption.tag)
        assert earning.message == prepared.message

        # replayed: refused, and explained
        call = Call(contract, 0, prepared.data)
        with pytest.raises(WouldRevert) as caught:
            await world.ledger.quote(OTHERS.address, call, ME)
        assert isinstance(refusal(caught.value.data), VoucherSpent)
        other = await _payment(creator, bytes(20), 0, world.reactor.seconds())
        with pytest.raises(VoucherSpent):
            await buyer.redeeming.prepare(ticket, other, password=PASSWORD)

        # sent by oneself, from the words alone in another place
        again, _ = await world.person("restored", words)
        assert await again.vouchers.find(PASSWORD) == len(kit.denominations)
        states = [voucher.state for voucher in await again.vouchers.all()]
        assert states.count(VoucherState.SPENT) == 1
        ticket = await again.vouchers.reserve(0, "cash-out")
        cost = await again.redeeming.cash_out_cost(ticket)
        own = await again.redeeming.own_redemption()
        made = await again.redeeming.prepare(ticket, own, password=PASSWORD)
        await again.redeeming.submit(made, password=PASSWORD, accept=["link"])
        (held,) = (await again.wallet.balance()).payments
        assert held.balance == cost.split.net == TABLE[0] * 95 // 100


@pytest_twisted.ensureDeferred
async def test_a1_a_copied_commitment_on_the_real_contract(tmp_path: Path) -> None:
    """The deposit would revert: one sentence says why, and the copier's voucher is ours."""
    async with _world(tmp_path) as world:
        buyer, _ = await world.person("buyer")
        world.server.ask("bits_fund", (await buyer.wallet.addresses()).accounts[0], hex(10 * ETHER))
        quote = world.ledger.quote

        async def copying(source: str, call: Call, isolation: Isolation) -> Any:
            world.ledger.quote = quote  # type: ignore[method-assign]
            await world.send(call.data, call.value)
            return await quote(source, call, isolation)

        world.ledger.quote = copying  # type: ignore[method-assign]
        before = world.server.wei((await buyer.wallet.addresses()).accounts[0])
        kit = attrs.evolve(await buyer.vouchers.suggest(11 * 10**17), denominations=(0,))
        with pytest.raises(CommitmentCopied):
            await buyer.vouchers.top_up(kit, password=PASSWORD)
        assert world.server.wei((await buyer.wallet.addresses()).accounts[0]) == before
        (voucher,) = await buyer.vouchers.all()
        assert voucher.spendable
