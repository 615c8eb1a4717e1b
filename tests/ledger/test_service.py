"""The ledger as a whole: which server answers what, and that its parts are wired."""

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from eth_hash.auto import keccak
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from bitsnode.ledger import errors
from bitsnode.ledger.contracts import interface
from bitsnode.ledger.deployment import Deployed, Deployment, ForeignDeployment
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.service import Ledger, RpcHealth
from bitsnode.ledger.standing import Call
from bitsnode.ledger.testing import FakeChain, FakeLog
from bitsnode.ledger.testing_rpc import FakeServer, fake_rpc
from onion.isolation import Isolation

with tamed_imports():
    from eth_account import Account

ME = Isolation("account", "me")
CODE = b"\x60\x00"
Got = Callable[[Coroutine[Any, Any, Any]], Any]


class Key:
    """A signer."""

    def __init__(self) -> None:
        self._account = Account.from_key(b"\x01" * 32)
        self.address: str = self._account.address

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """Sign."""
        return bytes(self._account.sign_transaction(fields).raw_transaction)


@pytest.fixture
def ledger_of(
    clock: Clock, deployment: Deployment, tmp_path: Path, no_fsync: None, got: Got
) -> Iterator[Callable[..., Ledger]]:
    """A ledger over servers; the name of one's own is "own"."""
    made: list[Ledger] = []

    def make(**servers: FakeServer) -> Ledger:
        rpcs = [fake_rpc(clock, s, name, own=name == "own") for name, s in servers.items()]
        made.append(Ledger(clock, rpcs, deployment, tmp_path / str(len(made)), execute))
        return made[-1]

    yield make
    for each in made:
        got(each.stop())


Made = Callable[..., Ledger]


def test_reads_go_to_ones_own_server_first(
    ledger_of: Made, fake_chain: FakeChain, got: Got
) -> None:
    """One's own answers; when it is down, the first that answers; when none does, one sentence."""
    other, own = FakeServer(fake_chain), FakeServer(fake_chain)
    who = "0x" + "11" * 20
    fake_chain.balances[who] = 3
    ledger = ledger_of(other=other, own=own)
    assert got(ledger.balance(who, ME)) == 3
    assert other.log == []
    own.down = True
    assert got(ledger.balance(who, ME)) == 3
    other.down = True
    with pytest.raises(errors.RpcUnreachable, match="own"):
        got(ledger.balance(who, ME))


def test_block_numbers_by_tag(ledger_of: Made, fake_chain: FakeChain, got: Got) -> None:
    """The newest block and the newest final one."""
    fake_chain.mine(count=10)
    ledger = ledger_of(one=FakeServer(fake_chain))
    assert got(ledger.block_number("latest", ME)) == 10
    assert got(ledger.block_number("finalized", ME)) == 6


def test_a_view_of_a_contract_is_called_by_name(
    ledger_of: Made, fake_server: FakeServer, deployment: Deployment, got: Got
) -> None:
    """Contract and function by name, over the interface of the artifact."""
    ledger = ledger_of(one=fake_server)
    name = next(
        e["name"]
        for e in interface("Vouchers")
        if e.get("stateMutability") == "view"
        and not e["inputs"]
        and [o["type"] for o in e["outputs"]] == ["uint256"]
    )
    assert got(ledger.call("Vouchers", name, [], ME)) == 7
    asked = next(params for method, params in fake_server.log if method == "eth_call")
    assert asked[0]["to"] == deployment.address("Vouchers")
    data = got(ledger.encode("Vouchers", name, []))
    assert data == keccak(f"{name}()".encode())[:4]


def test_a_foreign_deployment_is_found_out(
    fake_server: FakeServer, clock: Clock, deployment: Deployment, tmp_path: Path, got: Got
) -> None:
    """Code that is not the one of the file, or none at all, is one sentence."""
    fake_server.faults["eth_getCode"] = lambda _address, _tag: "0x" + CODE.hex()
    right = {
        name: Deployed(each.address, each.block, "0x" + keccak(CODE).hex())
        for name, each in deployment.contracts.items()
    }
    good = attrs.evolve(deployment, contracts=right)
    ledger = Ledger(clock, [fake_rpc(clock, fake_server)], good, tmp_path, execute)
    got(ledger.check_deployment(ME))
    fake_server.faults["eth_getCode"] = lambda _address, _tag: "0x"
    with pytest.raises(ForeignDeployment, match="is not the one of the deployment file"):
        got(ledger.check_deployment(ME))
    got(ledger.stop())


def test_certainty_is_told_without_asking(ledger_of: Made, fake_server: FakeServer) -> None:
    """With one foreign server the sentence says what is missing; with one's own all is well."""
    with pytest.raises(errors.TooFewRpcs):
        ledger_of(one=fake_server).check_certainty()
    ledger_of(own=fake_server).check_certainty()
    ledger_of(one=fake_server, two=fake_server).check_certainty()
    assert fake_server.log == []


def test_each_server_is_examined(ledger_of: Made, fake_chain: FakeChain, got: Got) -> None:
    """Heights of those that do well, and one sentence for each that does not."""
    fake_chain.mine(count=10)
    good, bad = FakeServer(fake_chain), FakeServer(fake_chain)
    bad.faults["eth_chainId"] = lambda: "0x1"
    ledger = ledger_of(good=good, bad=bad)
    well, ill = got(ledger.examine(ME))
    assert well == RpcHealth("good.example.org", False, 10, 6)
    assert (ill.name, ill.latest, ill.final) == ("bad.example.org", None, None)
    assert "serves another chain" in ill.problem


def test_a_transfer_from_quote_to_final(
    ledger_of: Made, fake_server: FakeServer, fake_chain: FakeChain, got: Got
) -> None:
    """All that an account has can be sent with the fee that was quoted, and is looked after."""
    ledger, key = ledger_of(one=fake_server), Key()
    has = 10**18
    fake_chain.balances[key.address.lower()] = has
    to = "0x" + "22" * 20
    fee = got(ledger.transfer_fee(key.address, to, ME))
    fake_chain.base_fee += fake_chain.base_fee // 8
    sent = got(ledger.transfer(key, to, has - fee, ME, fee, "all"))
    fake_chain.mine()
    assert got(ledger.wait("all", ME)).transaction_hash == sent
    fake_chain.fork(1)
    fake_chain.mine()
    got(ledger.look_after(lambda _account: None))
    assert not fake_chain.pool
    got(ledger.look_after(lambda _account: ME))
    assert len(fake_chain.pool) == 1


def test_an_address_in_any_event_is_public(
    ledger_of: Made,
    fake_server: FakeServer,
    fake_chain: FakeChain,
    deployment: Deployment,
    got: Got,
) -> None:
    """An address in a topic, in the data, or of a contract itself is public; others are not."""
    treasury = bytes.fromhex(deployment.address("Treasury")[2:])
    topic, data = b"\x61" * 20, b"\x62" * 20
    fake_chain.mine(FakeLog(treasury, (bytes(32), bytes(12) + topic), bytes(12) + data))
    ledger = ledger_of(own=fake_server)
    got(ledger.sync(ME))
    for public in (topic, data, treasury):
        assert ledger.index.is_public("0x" + public.hex())
    assert not ledger.index.is_public("0x" + "63" * 20)


def test_a_foreign_server_sees_reading_by_the_clock_alone(
    ledger_of: Made, fake_server: FakeServer, fake_chain: FakeChain, clock: Clock, got: Got
) -> None:
    """Whoever wants the index up to date, it is read over one isolation, at the same times."""
    ledger, you = ledger_of(server=fake_server), Isolation("wallet", "you")
    ledger.follow(ME, 15)
    ledger.follow(you, 1)
    seen = len(fake_server.log)
    fake_chain.mine(FakeLog(b"\x01" * 20, ()))
    waits = Deferred.fromCoroutine(ledger.sync(you))
    assert not waits.called
    assert len(fake_server.log) == seen
    clock.advance(15)
    assert waits.result.tip == fake_chain.head.number
    assert len(set(fake_server.isolations)) == 1


def test_ones_own_server_is_asked_at_once(
    ledger_of: Made, fake_server: FakeServer, fake_chain: FakeChain, got: Got
) -> None:
    """It may know when its owner does what."""
    ledger = ledger_of(own=fake_server)
    ledger.follow(ME, 15)
    assert got(ledger.sync(ME)).tip == fake_chain.head.number


def test_call_has_no_data_in_its_repr() -> None:
    """What a call carries stays out of logs."""
    assert "secret" not in repr(Call("", 0, b"secret"))
