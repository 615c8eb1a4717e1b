"""Agreement: nothing is believed that one foreign server says alone."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.task import Clock

from bitsnode.ledger import errors
from bitsnode.ledger.agreement import Agreement
from bitsnode.ledger.testing import FakeChain
from bitsnode.ledger.testing_rpc import FakeRefusal, FakeServer, fake_rpc
from onion.isolation import Isolation

ME = Isolation("gate", "me")
WHO = "0x" + "11" * 20
Got = Callable[[Coroutine[Any, Any, Any]], Any]


def balance(web3: Any, block: int) -> int:
    """What is asked in these tests."""
    found: int = web3.eth.get_balance(WHO, block)
    return found


class World:
    """Some servers on one chain, and the agreement between them."""

    def __init__(self, clock: Clock, chain: FakeChain, count: int, own: bool = False) -> None:
        chain.mine(count=20)
        chain.balances[WHO] = 7
        self.servers = [FakeServer(chain) for _ in range(count)]
        names = ("one", "two", "three")
        pairs = zip(self.servers, names, strict=False)
        self.agreement = Agreement(clock, [fake_rpc(clock, s, n, own) for s, n in pairs])


@pytest.fixture
def world(clock: Clock, fake_chain: FakeChain) -> Callable[..., World]:
    """A world of as many servers as a test wants."""
    return lambda count, own=False: World(clock, fake_chain, count, own)


Made = Callable[..., World]


def test_two_that_agree_are_believed_about_a_final_block(world: Made, got: Got) -> None:
    """Both are asked about the same block, which is final."""
    two = world(2)
    assert got(two.agreement.agreed(balance, ME)) == 7
    for server in two.servers:
        assert ("eth_getBalance", [WHO, hex(16)]) in server.log


def test_one_server_is_not_believed_unless_it_is_ones_own(world: Made, got: Got) -> None:
    """A lone foreign server is not even asked; one's own suffices, and only it is asked."""
    one = world(1)
    with pytest.raises(errors.TooFewRpcs, match=r"Two RPC servers.*one\.example\.org"):
        got(one.agreement.agreed(balance, ME))
    assert one.servers[0].log == []
    assert got(world(1, own=True).agreement.agreed(balance, ME)) == 7


def test_the_same_host_twice_is_one_server(clock: Clock, fake_chain: FakeChain, got: Got) -> None:
    """Two entries of the same provider vouch for nothing."""
    server = FakeServer(fake_chain)
    agreement = Agreement(clock, [fake_rpc(clock, server), fake_rpc(clock, server)])
    with pytest.raises(errors.TooFewRpcs):
        got(agreement.agreed(balance, ME))


def test_none_is_a_sentence(clock: Clock, got: Got) -> None:
    """Without any server the sentence says what to set."""
    with pytest.raises(errors.NoRpc, match="No RPC server"):
        got(Agreement(clock, []).agreed(balance, ME))


def _lie_value(server: FakeServer, _chain: FakeChain, _clock: Clock) -> None:
    server.faults["eth_getBalance"] = lambda *_params: hex(10**30)


def _lie_null(server: FakeServer, _chain: FakeChain, _clock: Clock) -> None:
    server.faults["eth_getBalance"] = lambda *_params: None


def _wrong_chain(server: FakeServer, _chain: FakeChain, _clock: Clock) -> None:
    server.faults["eth_chainId"] = lambda: "0x1"


def _old_head(server: FakeServer, chain: FakeChain, clock: Clock) -> None:
    server.chain = FakeChain(clock.seconds)
    server.chain.blocks = list(chain.blocks[:5])
    clock.advance(700)
    chain.mine(count=10)


def _stall(server: FakeServer, _chain: FakeChain, _clock: Clock) -> None:
    server.stalls = 1000


def _fork(server: FakeServer, chain: FakeChain, clock: Clock) -> None:
    server.chain = FakeChain(clock.seconds)
    server.chain.blocks = list(chain.blocks)
    server.chain.balances = {WHO: 7}  # so that nothing but the block tells
    server.chain.fork(8)
    server.chain.mine(count=8)


def _ahead(server: FakeServer, _chain: FakeChain, _clock: Clock) -> None:
    server.faults["eth_getBlockByNumber"] = lambda tag, _full: (
        server.chain.blocks[-1].header(1) | {"number": hex(10**6)}
    )


def _refuse(server: FakeServer, _chain: FakeChain, _clock: Clock) -> None:
    def refuse(*_params: Any) -> None:
        raise FakeRefusal(-32601, "no")

    server.faults["eth_getBalance"] = refuse


LIES = [_lie_value, _lie_null, _wrong_chain, _old_head, _stall, _fork, _ahead, _refuse]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("place", [0, 1])
def test_a2_with_two_servers_a_lie_releases_nothing(
    world: Made, clock: Clock, fake_chain: FakeChain, got: Got, lie: Any, place: int
) -> None:
    """Whatever one of two does, there is no value, and one sentence says why."""
    two = world(2)
    lie(two.servers[place], fake_chain, clock)
    with pytest.raises((errors.AgreementError, errors.RpcError)) as failed:
        got(two.agreement.agreed(balance, ME))
    assert str(failed.value).count(". ") == 0
    assert "example.org" in str(failed.value)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a2_with_three_servers_two_honest_ones_prevail(
    world: Made, clock: Clock, fake_chain: FakeChain, got: Got, lie: Any, place: int
) -> None:
    """Whatever one of three does, the value is that of the two others."""
    three = world(3)
    lie(three.servers[place], fake_chain, clock)
    assert got(three.agreement.agreed(balance, ME)) == 7


def test_a_server_that_lags_does_not_hold_back_the_others(world: Made, got: Got) -> None:
    """Of three, one knows an older final block only: the others are asked about theirs."""
    three = world(3)
    slow = three.servers[0]
    own = slow._eth_getBlockByNumber
    slow.faults["eth_getBlockByNumber"] = lambda tag, full: own(
        "0x2" if tag == "finalized" else tag, full
    )
    assert got(three.agreement.agreed(balance, ME)) == 7
    assert slow.count("eth_getBalance") == 0
    for server in three.servers[1:]:
        assert ("eth_getBalance", [WHO, hex(16)]) in server.log


def test_an_old_final_block_is_not_final_enough(
    world: Made, clock: Clock, fake_chain: FakeChain, got: Got
) -> None:
    """When nothing became final for hours, nothing is released."""
    two = world(2)
    clock.advance(3 * 3600)
    fake_chain.mine()
    with pytest.raises(errors.NotFinal, match="180 minutes old"):
        got(two.agreement.agreed(balance, ME))
