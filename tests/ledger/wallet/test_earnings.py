"""Earnings of both kinds: redemptions and invoices, each with what is known of it."""

import csv
import io
import secrets
from collections.abc import Callable
from typing import Any

from bitsnode.ledger.invoice import SWEPT
from bitsnode.ledger.wallet.earnings import CSV_HEADER, Kind
from tests.ledger.wallet.test_redeeming import (  # fixtures among them
    PASSWORD,
    Do,
    Home,
    chain,
    home,
    open_one,
    redemption_to,
    reserve,
)
from zk.stealth import MetaAddress, checksum_address, generate

__all__ = ["chain", "home", "open_one"]
INVOICE = b"\x1a" * 20


def sweep_to(creator: Home, do: Do, gross: int, fee: int, announced: bool = True) -> str:
    """An invoice of a creator is swept; returns the payee."""
    meta = MetaAddress.parse(do(creator.wallet.addresses()).meta_address)
    payment = generate(meta, secrets.token_bytes(32))
    payee = bytes.fromhex(payment.stealth_address[2:])
    net = gross - fee
    words = (gross, fee, net * 3 // 100, net * 2 // 100)
    data = b"".join(word.to_bytes(32, "big") for word in words)
    topics = [SWEPT, INVOICE.rjust(32, b"\0"), payee.rjust(32, b"\0")]
    creator.chain._emit("InvoiceFactory", topics, data)
    if announced:
        shown = (payment.ephemeral_public_key, bytes([payment.view_tag]))
        creator.chain.announce(payment.stealth_address, *shown)
    return payment.stealth_address


def test_both_kinds_in_the_order_of_the_chain(
    home: Home, open_one: Callable[[str], Home], do: Do
) -> None:
    """A redemption and a swept invoice, split to the last wei, and nobody else's."""
    creator, other = open_one("creator"), open_one("other")
    payee = sweep_to(creator, do, 1000, 10)
    sweep_to(other, do, 7777, 0)
    prepared = do(
        home.redeeming.prepare(reserve(home, do), redemption_to(creator, do), password=PASSWORD)
    )
    do(home.redeeming.submit(prepared, password=PASSWORD, accept=["link"]))
    first, second = do(creator.wallet.earnings(creator.vouchers))
    assert (first.kind, second.kind) == (Kind.INVOICE, Kind.VOUCHER)
    assert first.address == payee
    assert (first.split.gross, first.split.fee, first.split.net) == (1000, 10, 990 - 29 - 19)
    assert (first.tag, first.message, second.message) == (b"", b"", prepared.message)


def test_a_table_names_the_content_where_the_shop_knows_it(
    home: Home, open_one: Callable[[str], Home], do: Do
) -> None:
    """One that is swept twice has two rows, each in its place."""
    payee = sweep_to(home, do, 1000, 10)
    sweep_to(home, do, 700, 0)
    data = b"".join(word.to_bytes(32, "big") for word in (500, 5, 14, 9))
    topics = [SWEPT, INVOICE.rjust(32, b"\0"), bytes(12) + bytes.fromhex(payee[2:])]
    home.chain._emit("InvoiceFactory", topics, data)
    found = do(home.wallet.earnings(home.vouchers))
    contents = {checksum_address(INVOICE): "bafycontent"}
    sheet = io.StringIO()
    csv.writer(sheet).writerows([CSV_HEADER, *(each.csv_row(contents) for each in found)])
    rows: list[Any] = list(csv.DictReader(io.StringIO(sheet.getvalue())))
    assert [row["gross_wei"] for row in rows] == ["1000", "700", "500"]
    assert {(row["kind"], row["content"], row["tag"]) for row in rows} == {
        ("invoice", "bafycontent", "")
    }
    assert rows[0]["invoice"] == checksum_address(INVOICE)


def test_a_sweep_that_was_not_announced_is_not_ours_to_find(
    home: Home, open_one: Callable[[str], Home], do: Do
) -> None:
    """The contract announces each; without that the payee is anybody's."""
    sweep_to(home, do, 1000, 10, announced=False)
    assert do(home.wallet.earnings(home.vouchers)) == []
