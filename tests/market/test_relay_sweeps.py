"""A relay sweeps: what pays, once at a time, and nothing that would fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from bitsnode.errors import BitsError
from bitsnode.ledger.errors import WouldRevert
from bitsnode.ledger.invoice import (
    InvoiceFields,
    MalformedInvoice,
    fee_of,
    invoice_address,
    read_sweep_data,
    sweep_data,
)
from bitsnode.ledger.redemption import address_text
from bitsnode.ledger.wallet.testing import ETHER
from bitsnode.market.relay_client import NoRelay, RelayClient, RelayRefused
from bitsnode.market.relay_sweeps import SWEEP_GAS
from bitsnode.market.sweep_client import SweepClient
from bitsnode.wire.exchange import Caller
from bitsnode.wire.messages import FailureCode
from bitsnode.wire.relay_messages import SubmitSweep, Submitted
from onion.address import OnionAddress
from onion.keys import OnionKey
from tests.market.test_relay import (
    FEE,
    GAS_PRICE,
    ME,
    FakePeers,
    PricedChain,
    World,
    make_world,
    result_of,
)

SUM = 10**16  # wei
INVOICE = InvoiceFields(b"\x0a" * 20, b"\x02" + b"\x03" * 32, 5, FEE, b"\x06" * 32)


class SweepChain(PricedChain):
    """A chain with a factory of invoices."""

    @property
    def factory(self) -> bytes:
        """Address of the factory."""
        return bytes.fromhex(self.deployment.address("InvoiceFactory")[2:])

    def place(self, fields: InvoiceFields) -> str:
        """Where an invoice is paid."""
        return address_text(invoice_address(self.factory, fields))

    def _simulate(self, data: bytes) -> None:
        """See `VoucherChain`."""
        try:
            fields = read_sweep_data(data)
        except MalformedInvoice:
            return super()._simulate(data)
        if not self.wei(self.place(fields)):
            raise WouldRevert("execution reverted", "0x")

    def _carry_out(self, data: bytes, sender: str) -> None:
        """See `VoucherChain`."""
        try:
            fields = read_sweep_data(data)
        except MalformedInvoice:
            return super()._carry_out(data, sender)
        gross = self.wei(self.place(fields))
        fee = fee_of(fields, gross)
        net = gross - fee
        self.give(self.place(fields), -gross)
        self.give(sender, fee)
        self.give("0x" + fields.payee.hex(), net - net * 3 // 100 - net * 2 // 100)
        self._emit("Vouchers", [bytes(32)], b"")  # a block


@pytest.fixture
def world(tmp_path: Path, no_fsync: None) -> Iterator[World]:
    """A relay with a coin for gas, and an invoice that was paid."""
    chain = SweepChain(tmp_path / "chain.sqlite")
    found = make_world(tmp_path, chain)
    chain.give("0x" + found.relay.address.hex(), ETHER)
    chain.give(chain.place(INVOICE), SUM)
    yield found
    found.close()
    chain.close()


def request(world: World, fields: InvoiceFields = INVOICE, **change: Any) -> SubmitSweep:
    """What a creator sends."""
    factory = bytes.fromhex(world.chain.deployment.address("InvoiceFactory")[2:])
    found = SubmitSweep(world.chain.chain_id, factory, sweep_data(fields))
    return attrs.evolve(found, **change)


def submit(world: World, fields: InvoiceFields = INVOICE, connection: int = 1) -> Submitted:
    """Send it and return the answer."""
    found = result_of(world.responder.handle(request(world, fields), Caller(connection)))
    assert isinstance(found, Submitted)
    return found


def test_an_invoice_is_swept_and_the_relay_gets_its_fee(world: World) -> None:
    """The payee has the rest; all is known to be over when it is final."""
    before = world.chain.wei("0x" + world.relay.address.hex())
    assert len(submit(world).transaction) == 32
    world.chain.unconfirmed = 1
    assert result_of(world.sweeps.tend()) == 1
    world.chain.unconfirmed = 0
    assert result_of(world.sweeps.tend()) == 0
    assert world.chain.wei("0x" + "0a" * 20) == (SUM - FEE) * 95 // 100
    assert world.chain.wei("0x" + world.relay.address.hex()) == before + FEE - 21_000 * 10**9


def test_while_one_is_on_its_way_it_is_the_same_one(world: World) -> None:
    """Also after a restart. Once it is final, what came since is swept anew."""
    world.chain.mined = False
    first = submit(world)
    assert submit(world, connection=2) == first
    again = make_world(world.folder, world.chain)
    assert submit(again, connection=3) == first
    assert len(world.chain.signed()) == 1
    world.chain.mined = True
    assert result_of(again.sweeps.tend()) == 0
    again.close()
    assert world.refused(request(world), 4) == FailureCode.WOULD_REVERT
    world.chain.give(world.chain.place(INVOICE), SUM)  # type: ignore[attr-defined]
    submit(world, connection=5)
    assert len(world.chain.signed()) == 2
    assert world.chain.wei("0x" + "0a" * 20) == 2 * (SUM - FEE) * 95 // 100


def test_what_would_fail_or_not_pay_is_refused_before_anything_is_signed(world: World) -> None:
    """Each reason has a code; a fee that is more than a tenth of what is there counts as that."""
    cheap = attrs.evolve(INVOICE, fee=SWEEP_GAS * GAS_PRICE - 1)
    poor = attrs.evolve(INVOICE, salt=bytes(32))
    empty = attrs.evolve(INVOICE, salt=b"\x01" * 32)
    chain = world.chain
    assert isinstance(chain, SweepChain)
    chain.give(chain.place(cheap), SUM)
    chain.give(chain.place(poor), FEE)
    cases = [
        (request(world, cheap), FailureCode.FEE_TOO_LOW),
        (request(world, poor), FailureCode.FEE_TOO_LOW),
        (request(world, empty), FailureCode.WOULD_REVERT),
        (request(world, chain_id=1), FailureCode.REFUSED),
        (request(world, factory=bytes(20)), FailureCode.REFUSED),
        (request(world, call=bytes(196)), FailureCode.MALFORMED),
    ]
    for connection, (asked, code) in enumerate(cases):
        assert world.refused(asked, connection) == code
    world.chain.down = True
    world.clock.advance(61)
    assert world.refused(request(world), 11) == FailureCode.CHAIN_UNCERTAIN
    assert world.chain.signed() == []
    assert world.sweep_journal.open() == []


def test_a_fee_that_was_named_holds_for_ten_minutes(world: World) -> None:
    """Two fifths of it are enough; then gas of now counts."""
    fields = attrs.evolve(INVOICE, fee=SWEEP_GAS * GAS_PRICE)
    world.chain.give(world.chain.place(fields), SUM)  # type: ignore[attr-defined]
    result_of(world.relay.terms())
    world.chain.price = 3 * GAS_PRICE
    world.clock.advance(601)
    assert world.refused(request(world, fields), 1) == FailureCode.FEE_TOO_LOW
    world.chain.price = GAS_PRICE
    world.clock.advance(61)
    result_of(world.relay.terms())
    world.chain.price = 3 * GAS_PRICE
    world.clock.advance(300)
    submit(world, fields, connection=2)


def test_a_relay_without_money_signs_nothing_and_forgets(world: World) -> None:
    """It says that it cannot; with money it takes the same sweep."""
    address = "0x" + world.relay.address.hex()
    has = world.chain.wei(address)
    world.chain.give(address, -has)
    assert world.refused(request(world), 1) == FailureCode.FULL
    assert world.sweep_journal.open() == []
    world.chain.give(address, has)
    submit(world, connection=2)


@pytest.mark.parametrize("step", ["ask", "journal", "send"])
def test_a_crash_is_made_good(world: World, step: str) -> None:
    """Killed before it is signed, before it is written, before it is sent: swept once."""

    class Crashed(BaseException):
        """As if the process had ended."""

    def crash(at: str) -> None:
        if at == step:
            raise Crashed

    world.chain.stop = crash
    with pytest.raises(Crashed):
        result_of(world.sweeps.submit(request(world)))
    world.chain.stop = lambda _step: None
    again = make_world(world.folder, world.chain)
    assert len(again.sweep_journal.open()) == 1
    assert result_of(again.sweeps.tend()) == 0
    assert len(world.chain.signed()) == 1
    assert world.chain.wei("0x" + "0a" * 20) == (SUM - FEE) * 95 // 100
    again.close()


def test_a_creator_finds_relays_and_has_an_invoice_swept(world: World) -> None:
    """The fee is what relays name for a redemption; with less than two fifths there is none."""
    peers = FakePeers()
    relay = OnionKey(bytes([1]) * 32).address

    async def answer(message: Any) -> Any:
        return await world.responder.handle(message, Caller(1))

    peers.worlds[relay] = answer
    key = relay.public_key
    client = RelayClient(peers, lambda: [key], world.chain.chain_id, world.vouchers)
    factory = bytes.fromhex(world.chain.deployment.address("InvoiceFactory")[2:])
    sweeper = SweepClient(client, peers, world.chain.chain_id, factory)
    assert result_of(sweeper.fee(ME)) == FEE
    assert result_of(sweeper.find(FEE, ME)) == [key]
    assert result_of(sweeper.find(FEE * 2 // 5, ME)) == [key]
    with pytest.raises(NoRelay):
        result_of(sweeper.find(FEE * 2 // 5 - FEE // 50, ME))
    result_of(sweeper.submit(key, INVOICE, ME))
    assert world.chain.wei("0x" + "0a" * 20) == (SUM - FEE) * 95 // 100
    empty = attrs.evolve(INVOICE, salt=bytes(32))
    with pytest.raises(RelayRefused):
        result_of(sweeper.submit(key, empty, ME))
    with pytest.raises(BitsError):
        result_of(sweeper.submit(OnionKey(bytes([2]) * 32).public_key, INVOICE, ME))
    assert OnionAddress(key) in peers.asked
