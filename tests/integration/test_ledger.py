"""The ledger on real chains: the embedded one and anvil, over HTTP and with threads."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

import contracts
from bitsnode.ledger import errors
from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.embedded.directory import read_faucet_key
from bitsnode.ledger.embedded.process import serve_chain
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.rpc import Rpc, RpcEndpoint
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.standing import Call
from onion.address import OnionAddress
from onion.http import HttpClient
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.network import Dialer
from onion.testing import MemoryOnionNetwork

with tamed_imports():
    from eth_account import Account

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
# The first account of every anvil: of the mnemonic "test test ... junk"
ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
CHAIN_ID = 13370042
ME = Isolation("account", "me")
COIN = 10**18


def _reactor() -> Any:
    from twisted.internet import reactor  # pytest-twisted's

    return reactor


def _in_thread(work: Callable[[], T]) -> Awaitable[T]:
    return deferToThread(work)


class _Key:
    def __init__(self, key: Any) -> None:
        self._account = Account.from_key(key)
        self.address: str = self._account.address

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        return bytes(self._account.sign_transaction(fields).raw_transaction)


class _LoopbackDialer(Dialer):
    """Brings every dial to one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def dial(
        self, address: OnionAddress, port: int, isolation: Isolation, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        return TCP4ClientEndpoint(_reactor(), "127.0.0.1", self._port).connect(factory)


@attrs.frozen
class _Chain:
    """A chain that runs.

    Attributes:
        dialer: reaches it under the address.
        address: of its onion service.
        rich: an account with coins.
        mine: asks for empty blocks.
    """

    dialer: Dialer
    address: OnionAddress
    rich: _Key
    mine: tuple[str, list[Any]]


@asynccontextmanager
async def _embedded(directory: Path) -> AsyncIterator[_Chain]:
    running = await serve_chain(
        _reactor(), directory / "chain", chain_id=CHAIN_ID, block_seconds=None
    )
    network = MemoryOnionNetwork(_reactor())
    key = OnionKey.generate()
    await network.publisher().publish(key, 80, running.public_factory)
    rich = _Key(read_faucet_key(directory / "chain"))
    try:
        yield _Chain(network.dialer(), key.address, rich, ("eth_blockNumber", []))
    finally:
        await running.stop()


@asynccontextmanager
async def _anvil(directory: Path) -> AsyncIterator[_Chain]:
    binary = next(ROOT.glob("contracts/node_modules/@foundry-rs/anvil-*/bin/anvil"), None)
    binary = binary or shutil.which("anvil")
    if binary is None:
        pytest.skip("anvil is not installed")
    command = [binary, "--port", "0", "--chain-id", str(CHAIN_ID), "--slots-in-an-epoch", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as anvil:
        assert anvil.stdout is not None
        try:
            line = next(line for line in anvil.stdout if line.startswith("Listening on"))
            port = int(line.rpartition(":")[2])
            address = OnionKey.generate().address
            yield _Chain(_LoopbackDialer(port), address, _Key(ANVIL_KEY), ("anvil_mine", ["0x8"]))
        finally:
            anvil.terminate()


@asynccontextmanager
async def _ledger(
    chain: _Chain, directory: Path
) -> AsyncIterator[tuple[Ledger, Callable[..., Awaitable[Any]]]]:
    """A ledger of one's own chain with an announcer on it, and a way to ask the chain."""
    client = HttpClient(_reactor(), chain.dialer)
    endpoint = RpcEndpoint(f"http://{chain.address}/", own=True)
    nowhere = {
        name: Deployed("0x" + f"{n:040x}", 0, "0x" + "00" * 32)
        for n, name in enumerate(CONTRACTS, start=0xB0000)
    }
    arguments = (_reactor(), client, [endpoint])
    first = Ledger.through(
        *arguments, Deployment(CHAIN_ID, nowhere), directory / "first", _in_thread
    )
    code = contracts.load("ERC5564Announcer").bytecode
    await first.send(chain.rich, "deploy", Call("", 0, code), ME, COIN)
    mined = await first.wait("deploy", ME)
    assert mined.succeeded
    rpc = Rpc.through(_reactor(), client, endpoint, CHAIN_ID)
    receipt = await rpc.ask("eth_getTransactionReceipt", [mined.transaction_hash], ME)
    with tamed_imports():
        from eth_utils import to_checksum_address
    place = to_checksum_address(receipt["contractAddress"])
    announcer = Deployed(place, mined.block, "0x" + "00" * 32)
    deployment = Deployment(CHAIN_ID, nowhere | {"ERC5564Announcer": announcer})
    await first.stop()
    ledger = Ledger.through(*arguments, deployment, directory / "ledger", _in_thread)

    async def ask(method: str, params: list[Any]) -> Any:
        return await rpc.ask(method, params, ME)

    try:
        yield ledger, ask
    finally:
        await ledger.stop()
        await rpc.stop()
        await client.stop()


CHAINS = {"py-evm": _embedded, "anvil": _anvil}


@pytest.mark.parametrize("kind", CHAINS)
@pytest_twisted.ensureDeferred
async def test_the_ledger_on_a_real_chain(kind: str, tmp_path: Path) -> None:
    """Balances, transfers, reverts, announcements and certain reads, on both chains alike."""
    async with CHAINS[kind](tmp_path) as chain, _ledger(chain, tmp_path) as (ledger, ask):
        rich, poor = chain.rich, _Key(b"\x07" * 32)
        # sends at once are in a row; all of an account can be sent
        await gatherResults(
            [
                Deferred.fromCoroutine(
                    ledger.transfer(rich, poor.address, COIN, ME, COIN // 100, f"gift {number}")
                )
                for number in range(5)
            ]
        )
        for number in range(5):
            assert (await ledger.wait(f"gift {number}", ME)).succeeded
        assert await ledger.balance(poor.address, ME) == 5 * COIN
        fee = await ledger.transfer_fee(poor.address, rich.address, ME)
        await ledger.transfer(poor, rich.address, 5 * COIN - fee, ME, fee, "all")
        mined = await ledger.wait("all", ME)
        assert await ledger.balance(poor.address, ME) == fee - mined.fee
        with pytest.raises(errors.InsufficientFunds):
            await ledger.transfer(poor, rich.address, COIN, ME, COIN, "more")

        # an announcement is made, found and final
        stealth = "0x" + "5a" * 20
        key, metadata = b"\x02" + b"\x11" * 32, b"\x2a"
        data = await ledger.encode("ERC5564Announcer", "announce", [1, stealth, key, metadata])
        announcer = ledger.deployment.address("ERC5564Announcer")
        await ledger.send(rich, "announce", Call(announcer, 0, data), ME, COIN)
        announced = await ledger.wait("announce", ME)
        await ask(*chain.mine)
        reach = await ledger.sync(ME)
        assert reach.confirmed >= announced.block
        (found,) = ledger.index.announcements(None, 10)
        assert found.stealth_address == stealth.lower()
        assert found.caller == rich.address.lower()
        assert (found.ephemeral_public_key, found.metadata) == (key, metadata)
        assert "0x" + found.transaction.hex() == announced.transaction_hash
        assert await ledger.block_number("finalized", ME) <= reach.tip

        # what would revert is not signed; what is final is agreed on
        with pytest.raises(errors.WouldRevert):
            await ledger.send(rich, "nonsense", Call(announcer, 0, b"\xde\xad"), ME, COIN)
        assert not await ledger.knows("nonsense")
        block = await ledger.agreed(lambda web3, number: web3.eth.get_block(number)["number"], ME)
        assert block == await ledger.block_number("finalized", ME)


@pytest_twisted.ensureDeferred
async def test_the_reactor_does_not_wait_for_the_chain(tmp_path: Path) -> None:
    """While web3 is imported and asks, the reactor goes on with other things."""
    async with _anvil(tmp_path) as chain, _ledger(chain, tmp_path) as (ledger, _ask):
        turns = 0
        asked = Deferred.fromCoroutine(
            ledger.agreed(lambda web3, number: web3.eth.get_block(number)["number"], ME)
        )
        while not asked.called:
            turns += 1
            await deferLater(_reactor(), 0)
        await asked
        assert turns > 10
