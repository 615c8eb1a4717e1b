"""Invoices issued after the last backup: found again, swept, and none of them issued twice."""

import hashlib
import hmac
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from bitsnode.backup.databases import copy
from bitsnode.ledger.invoice import invoice_address_text
from bitsnode.market import invoice_recovery as module
from bitsnode.market.invoice import Invoice, InvoiceState
from bitsnode.market.invoice_errors import InvoicesUnwritable
from bitsnode.market.invoice_fees import TIERS, tier_of, usual_fee
from bitsnode.market.invoice_keys import InvoiceKeys
from bitsnode.market.invoice_needs import FinalBalance
from bitsnode.market.invoice_recovery import ATTEMPTS, JITTER_SECONDS, Recovery, Search, Wanted
from bitsnode.market.invoice_store import InvoiceStore, far_place, jump_ahead
from bitsnode.market.invoice_testing import CHAIN_ID, FACTORY, RELAY_FEE
from onion.isolation import Isolation
from tests.market.test_invoices import KEY, META, NET, SUM, World
from zk.stealth import generate

OWNER = f"invoices on chain {CHAIN_ID} of {FACTORY.hex()}"
MINE = Wanted(ask=True, all_fees=True, own=True, gap=5)
SWEEPS_ONLY = Wanted(ask=False, all_fees=False, own=False)
FOREIGN = Wanted(ask=True, all_fees=False, own=False)


@attrs.define
class Lost:
    """A shop that was backed up after its first invoice, and lost its disk after the others.

    Attributes:
        world: in which it is.
        backup: copy of its file.
        before: the invoice that the backup knows.
    """

    world: World
    backup: Path
    before: Invoice

    def restore(self) -> None:
        """Start it again from the backup."""
        self.world.stop()
        for path in self.world.folder.glob("invoices.db*"):
            path.unlink()
        shutil.copy(self.backup, self.world.folder / "invoices.db")
        jump_ahead(self.world.folder / "invoices.db", OWNER)
        self.world.start()

    def search(self, wanted: Wanted = MINE, **changed: Any) -> Search:
        """Look for what is missing."""
        world = self.world
        tools = attrs.evolve(world.tools, **changed)
        found: Search = world.done(
            Recovery(tools, world.store, world.invoices, wanted, lambda _event: None).run()
        )
        return found


@pytest.fixture
def lost(tmp_path: Path, no_fsync: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lost]:
    """A shop with a backup that is about to be too old."""
    monkeypatch.setattr(module, "INDEX_GAP", 200)
    world = World(tmp_path)
    before = world.issue()
    (tmp_path / "kept").mkdir()
    backup = tmp_path / "kept" / "invoices.db"
    copy(tmp_path / "invoices.db", backup)
    yield Lost(world, backup, before)
    world.stop()


def test_an_invoice_follows_from_seed_chain_factory_and_index() -> None:
    """As RFC 5869 says, computed here with HMAC alone; whatever differs changes all of it."""
    keys = InvoiceKeys(KEY, CHAIN_ID, FACTORY)
    info = b"bits/invoice/v1" + CHAIN_ID.to_bytes(8, "big") + FACTORY + (7).to_bytes(8, "big")
    prk = hmac.digest(bytes(32), KEY, hashlib.sha256)
    okm, block = b"", b""
    for number in (1, 2, 3):
        block = hmac.digest(prk, block + info + b"\0" + bytes([number]), hashlib.sha256)
        okm += block
    drawn = keys.draw(META, 7)
    payment = generate(META, okm[:32])
    assert drawn.payee.hex() == payment.stealth_address[2:].lower()
    assert (drawn.ephemeral, drawn.view_tag) == (payment.ephemeral_public_key, payment.view_tag)
    assert (drawn.salt, drawn.id) == (okm[32:64], okm[64:80])
    others = [
        keys.draw(META, 8),
        attrs.evolve(keys, seed=b"\x08" * 32).draw(META, 7),
        attrs.evolve(keys, chain_id=1).draw(META, 7),
        attrs.evolve(keys, factory=bytes(20)).draw(META, 7),
    ]
    for name in ("id", "payee", "ephemeral", "salt"):
        assert len({getattr(each, name) for each in (drawn, *others)}) == 5
    assert all(drawn.salt.hex() not in text for text in (repr(drawn), repr(keys)))


def test_fees_are_tiers_that_a_search_can_try() -> None:
    """What relays name is rounded up to one; what is usual for a price is one already."""
    assert {step * 10**k for k in range(9, 18) for step in (1, 2, 5)} == set(TIERS)
    assert [tier_of(fee) for fee in (1, 10**9 + 1, 3 * 10**14, 10**30)] == [
        *(10**9, 2 * 10**9, 5 * 10**14, 5 * 10**17)
    ]
    assert all(usual_fee(step * 10**k) in TIERS for k in range(12, 19) for step in (1, 2, 5))


def test_an_odd_fee_of_a_relay_is_not_written_into_an_invoice(lost: Lost) -> None:
    """Else no search would try it; and it would tell whose relays a shop asks."""
    lost.world.relays.wanted = RELAY_FEE + 1
    lost.world.clock.advance(3600)
    lost.world.done(lost.world.invoices.tend())
    lost.world.issue()
    assert {record.fee for record in lost.world.store.all()} == {RELAY_FEE, 2 * RELAY_FEE}


def test_what_was_paid_after_the_backup_is_found_and_swept(lost: Lost) -> None:
    """One was swept before the end, one was paid, one was not: all money comes to the creator."""
    world = lost.world
    swept, paid, unpaid = world.issue(), world.issue(), world.issue()
    world.chain.pay(swept.address, SUM)
    world.final(swept)
    assert world.final(swept).state is InvoiceState.SWEPT
    world.chain.pay(paid.address, SUM)
    world.chain.pay(lost.before.address, SUM)
    lost.restore()
    world.chain.mine(count=world.chain.finality)
    search = lost.search()
    assert {(f.address, f.wei, f.swept) for f in search.found} == {
        (swept.address, SUM, SUM),
        (paid.address, SUM, 0),
    }
    for _ in range(6):
        world.final(lost.before, 4000)
    statuses = {each.invoice.address: each for each in world.done(world.invoices.all())}
    assert set(statuses) == {lost.before.address, swept.address, paid.address}
    for status in statuses.values():
        assert (status.state, status.received, status.missing) == (InvoiceState.SWEPT, SUM, 0)
        assert (status.over, status.late, status.undone) == (0, False, False)
    assert [s.invoice.known for s in statuses.values()].count(False) == 2
    assert world.chain.wei(unpaid.address) == world.chain.wei(paid.address) == 0
    payees = ["0x" + record.payee.hex() for record in world.store.all()]
    assert sum(map(world.chain.wei, payees)) == 3 * NET
    assert lost.search().found == ()
    world.restart()
    assert len(world.done(world.invoices.all())) == 3


def test_sweeps_alone_ask_nobody_for_an_address(lost: Lost) -> None:
    """They find what was swept beyond as many unpaid invoices as a flood of orders leaves."""
    world = lost.world
    for _ in range(150):
        world.store.take()  # as if so many had been issued
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    world.final(invoice)
    assert world.final(invoice).state is InvoiceState.SWEPT
    lost.restore()
    world.chain.mine(count=world.chain.finality)
    world.done(world.invoices.tend())  # which has read all sweeps before it knows whose they are
    asked = [server.count("eth_getBalance") for server in world.servers]
    search = lost.search(SWEEPS_ONLY)
    assert [(found.address, found.wei) for found in search.found] == [(invoice.address, SUM)]
    assert search.asked == 0
    assert [server.count("eth_getBalance") for server in world.servers] == asked
    world.chain.pay(invoice.address, SUM)
    (status,) = [each for each in world.done(world.invoices.all()) if not each.invoice.known]
    world.done(world.invoices.tend())  # the sweeps are read again, with what is known now
    assert world.final(status.invoice).received == 2 * SUM


def test_the_search_goes_on_from_what_it_finds(lost: Lost) -> None:
    """A gap as wide as was said is crossed again and again; a wider one is not."""
    world, paid = lost.world, []
    for skipped in (4, 4, 5):
        for _ in range(skipped):
            world.store.take()
        paid.append(world.issue())
        world.chain.pay(paid[-1].address, SUM)
    lost.restore()
    world.chain.mine(count=world.chain.finality)
    found = lost.search(MINE).found
    assert [each.address for each in found] == [invoice.address for invoice in paid[:2]]
    found = lost.search(attrs.evolve(MINE, gap=6)).found
    assert [each.address for each in found] == [paid[2].address]


class Servers:
    """A chain that notes what it is asked, fails now and then, or sees money everywhere."""

    def __init__(self, chain: Any) -> None:
        self.chain = chain
        self.refresh, self.swept = chain.refresh, chain.swept
        self.asked: list[tuple[str, Isolation]] = []
        self.fails = 0
        self.invented = 0

    async def latest(self, address: str, isolation: Isolation) -> int:
        """See `bitsnode.market.invoice_needs.InvoiceChain`."""
        self.asked.append((address, isolation))
        if self.fails:
            self.fails -= 1
            raise InvoicesUnwritable
        wei: int = await self.chain.latest(address, isolation)
        return wei + self.invented

    async def final(self, address: str, isolation: Isolation) -> FinalBalance:
        """See `bitsnode.market.invoice_needs.InvoiceChain`."""
        found: FinalBalance = await self.chain.final(address, isolation)
        return found


def test_servers_of_others_get_each_question_over_circuits_of_its_own(lost: Lost) -> None:
    """With pauses drawn by lot, and only for the fees that are likely."""
    world, drawn = lost.world, []
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    lost.restore()
    world.chain.mine(count=world.chain.finality)
    servers = Servers(world.tools.chain)

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    search = lost.search(attrs.evolve(FOREIGN, gap=10), chain=servers, uniform=uniform)
    assert [found.address for found in search.found] == [invoice.address]
    assert search.asked == len(servers.asked) == len(drawn) == 11
    assert len({isolation for _address, isolation in servers.asked}) == 11
    assert set(drawn) == {(0.0, JITTER_SECONDS)}


def test_a_server_that_fails_now_and_then_ends_no_search(lost: Lost) -> None:
    """One that fails each time does, and what was found is kept."""
    world = lost.world
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    lost.restore()
    world.chain.mine(count=world.chain.finality)
    servers = Servers(world.tools.chain)
    servers.fails = ATTEMPTS
    with pytest.raises(InvoicesUnwritable):
        lost.search(FOREIGN, chain=servers)
    servers.fails = ATTEMPTS - 1
    search = lost.search(attrs.evolve(FOREIGN, gap=3), chain=servers)
    assert [found.address for found in search.found] == [invoice.address]


def test_a_server_that_sees_money_everywhere_is_not_believed(lost: Lost) -> None:
    """What is found is what is final and said alike, so the search ends."""
    lost.restore()
    servers = Servers(lost.world.tools.chain)
    servers.invented = SUM
    lost.world.chain.mine(count=lost.world.chain.finality)
    search = lost.search(attrs.evolve(FOREIGN, gap=5), chain=servers)
    assert (search.found, search.asked) == ((), 5)


def test_no_address_is_shown_twice_after_a_restore(lost: Lost) -> None:
    """Nor after a second one from the same backup: who pays an old address opens nothing new."""
    shown = [lost.before.address]
    for _life in range(3):
        shown += [lost.world.issue().address for _ in range(5)]
        lost.restore()
    assert len(set(shown)) == len(shown) == 16


def test_invoices_of_a_restored_shop_are_found_by_its_next_backup(lost: Lost) -> None:
    """The place from which it goes on is in it; both stretches are searched."""
    world = lost.world
    first = world.issue()
    lost.restore()
    lost.backup.unlink()
    copy(world.folder / "invoices.db", lost.backup)
    second = world.issue()
    for invoice in (first, second):
        world.chain.pay(invoice.address, SUM)
    lost.restore()
    world.chain.mine(count=world.chain.finality)
    found = lost.search(MINE).found
    assert {each.address for each in found} == {first.address, second.address}


@pytest.mark.parametrize("refused", ["before", "after"])
def test_no_index_is_used_twice_however_the_node_dies(lost: Lost, refused: str) -> None:
    """Killed before or after each write of an issue, and started again, from what is there."""
    world, shown = lost.world, [lost.before.address]
    for at in range(1, 12):
        world.done(world.invoices.all())
        world.store.database.before = dies(world.store.database, at, refused == "after")
        try:
            shown.append(world.issue().address)
        except InvoicesUnwritable:
            pass
        world.store.database.before = lambda _statement: None
        world.restart()
        shown.append(world.issue().address)
    kept = [invoice_address_text(FACTORY, record.fields) for record in world.store.all()]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(kept)
    assert len(set(kept)) == len(kept)


def dies(database: Any, at: int, after: bool) -> Callable[[str], None]:
    """Return what ends a node at its nth statement, before it or after it was carried out."""
    left = [at]

    def before(statement: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            if after and statement == "COMMIT":
                database._connection.execute(statement)
            raise sqlite3.OperationalError("killed")

    return before


def test_a_seed_without_a_counter_is_taken_for_used(tmp_path: Path, no_fsync: None) -> None:
    """Whatever ate the file: new invoices are far from the old ones, which are searched for."""
    path, place = tmp_path / "invoices.db", far_place()
    store = InvoiceStore(path, KEY, CHAIN_ID, FACTORY, place)
    assert (store.take(), store.unknown()) == (place, [0])
    store.close()
    again = InvoiceStore(path, KEY, CHAIN_ID, FACTORY, far_place())
    assert (again.take(), again.unknown()) == (place + 1, [0])
    again.close()
    new = InvoiceStore(tmp_path / "new.db", KEY, CHAIN_ID, FACTORY)
    assert (new.take(), new.take(), new.unknown()) == (0, 1, [])
    new.close()
