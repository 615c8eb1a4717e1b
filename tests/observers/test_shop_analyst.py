"""Each join over shops finds the leak that it is for; an honest shop gives nothing away."""

import base64
import secrets
from typing import Any

import attrs
import pytest

from bitsnode.ids import ContentId
from tests.observers.invoice_joins import LOOKS, in_step
from tests.observers.made_up import PRICE, START
from tests.observers.shop_analyst import about, analyse_shop, shop_table
from tests.observers.shop_links import ShopKind, ShopLink
from tests.observers.shop_made_up import HEAD, RELAYS, ShopWorld, busy, three_invoices
from tests.observers.shop_surface import peculiarities
from tests.observers.shop_traffic import ENOUGH, likeness
from tests.observers.shop_views import Answer, Traffic

ODD = 123_456_789_012_345_678  # wei


def found(made: ShopWorld, kind: ShopKind) -> tuple[ShopLink, ...]:
    """The links of a kind."""
    return tuple(link for link in analyse_shop(made.view()) if link.kind is kind)


def together(made: ShopWorld) -> set[frozenset[int]]:
    """Which invoices were found to belong together, by number."""
    number = {place: at for at, place in enumerate(made.invoices)}
    links = found(made, ShopKind.TOGETHER)
    return {frozenset({number[x.left], number[bytes(x.right)]}) for x in links}  # type: ignore[arg-type]


def answer(body: bytes, head: bytes = HEAD) -> Answer:
    """A page that anybody can see."""
    return Answer("/about", head, body)


def test_an_honest_shop_gives_nothing_away() -> None:
    """Pages, keys, sweeps, polls and traffic as they should be."""
    made = three_invoices()
    made.traffic = busy(100, 250, 400)
    made.ordered = [START + 100, START + 250, START + 400]
    for number, peer in enumerate(list(made.peers)):
        made.change(number, traffic=busy(30 + number, 333, 500 - number), stores=number != 3)
        made.holders.append(frozenset({peer.name, "node 0", "node 1", "node 2"}))
    for number in range(3):
        made.look(number, f"c{number}", *(n * (13, 17, 23)[number] + number for n in range(25)))
        made.page(number, b"<p>Pay " + made.invoices[number].hex().encode())
    assert analyse_shop(made.view()) == ()
    assert peculiarities(made.view().answers) == frozenset()
    assert "**yes**" not in shop_table(made.view(), made.invoices)


# Shop and node


def test_one_key_for_shop_and_node_links_them() -> None:
    """Twelve bytes of it, from wherever, are enough: one was made from the other."""
    for begin in (0, 8):
        made = three_invoices()
        mark = secrets.token_bytes(20) + made.onion[begin : begin + 12]
        made.change(2, marks=(secrets.token_bytes(32), mark))
        assert {link.right for link in found(made, ShopKind.NODE)} == {"node 2"}


@pytest.mark.parametrize(
    "dress",
    [
        bytes,
        lambda key: key.hex().encode(),
        base64.b64encode,
        lambda key: base64.b32encode(key).lower(),
    ],
)
def test_a_nodes_key_in_a_page_or_a_header_links_them(dress: object) -> None:
    """In bytes, hex, base64 and base32."""
    for where in ("head", "body"):
        made = three_invoices()
        shown = dress(made.peers[1].marks[0])  # type: ignore[operator]
        text = b"<p>x=" + shown + b";"
        made.answers.append(
            answer(text) if where == "body" else answer(b"", HEAD + b"\r\nETag: " + text)
        )
        assert {link.right for link in found(made, ShopKind.NODE)} == {"node 1"}


def test_a_path_in_an_error_page_links_them() -> None:
    """What says on whose machine it was."""
    made = three_invoices()
    made.answers.append(answer(b'File "/HOME/n3/shop/shop.db"'))
    assert {link.right for link in found(made, ShopKind.NODE)} == {"node 3"}


@pytest.mark.parametrize(
    "line",
    [
        "Server: TwistedWeb/26.4.0",
        "Date: Mon, 23 Nov 2026 06:00:01 GMT",
        "X-Shop: 1",
        "ETag: 1795413601",
    ],
)
def test_a_header_that_tells_software_or_hour_is_peculiar(line: str) -> None:
    """Whatever it is compared to."""
    assert peculiarities((answer(b"", HEAD + b"\r\n" + line.encode()),))


def test_an_hour_in_a_page_is_peculiar_and_a_day_is_not() -> None:
    """As a number, in milliseconds, and as ISO 8601."""
    for text in (b"1795413601", b"1795413601123", b"2026-11-23T06:00:01Z"):
        assert peculiarities((answer(b"<p>" + text + b"</p>"),))
    for text in (b"1795392000", b"2026-11-23T00:00:00Z", b"0.1795413601", b"20261123"):
        assert peculiarities((answer(b"<p>" + text + b"</p>"),)) == frozenset()


def test_who_never_holds_an_item_is_found_unless_it_offers_no_storage() -> None:
    """Twelve items, each held by two of the other three."""
    made = three_invoices()
    others = ["node 0", "node 1", "node 3"]
    made.holders = [frozenset(others) - {others[n % 3]} for n in range(12)]
    (link,) = found(made, ShopKind.NODE)
    assert link.right == "node 2"
    made.change(2, stores=False)
    assert found(made, ShopKind.NODE) == ()
    made.change(2, stores=True)
    made.holders = made.holders[:2]  # which may be chance
    assert found(made, ShopKind.NODE) == ()


def test_a_node_that_is_busy_when_the_shop_is_links_them() -> None:
    """Bursts at the same seconds; those of the others are at other ones."""
    made = three_invoices()
    made.traffic = busy(50, 170, 300, 460)
    for number in range(4):
        made.change(number, traffic=busy(70 + 30 * number, 190 + 20 * number, 310 + 9 * number))
    made.change(1, traffic=busy(50, 170, 300, 461))
    (link,) = found(made, ShopKind.NODE)
    assert link.right == "node 1"
    short = Traffic(dict(list(made.traffic.seconds.items())[: ENOUGH - 1]))
    assert likeness(short, short) == 0


def test_a_node_that_stirs_after_each_order_links_them() -> None:
    """A visitor orders at moments of their own; one node asks the chain at once, each time."""
    made = three_invoices()
    clicks = (60.0, 199.0, 305.5, 488.0)
    made.ordered = [START + click for click in clicks]
    for number in range(4):
        made.change(number, traffic=busy(77, 150, 250 + number, 400))
    made.change(0, traffic=busy(*(click + 3 for click in clicks), 400))
    (link,) = found(made, ShopKind.NODE)
    assert link.right == "node 0"
    for number in range(4):  # all of them are as busy: it tells nothing
        made.change(number, traffic=busy(*(click + 3 for click in clicks), 400 + number))
    assert found(made, ShopKind.NODE) == ()


def test_onions_that_come_back_together_are_linked() -> None:
    """Twice the same node, seconds after the shop."""
    made = three_invoices()
    made.traffic = Traffic(up=(START + 100, START + 5000))
    made.change(3, traffic=Traffic(up=(START + 90, START + 5010, START + 9000)))
    made.change(1, traffic=Traffic(up=(START + 95,)))
    (link,) = found(made, ShopKind.NODE)
    assert link.right == "node 3"


# Invoices


@pytest.mark.parametrize("name", ["payee", "ephemeral_public_key", "salt"])
def test_a_field_that_comes_again_links_invoices(name: str) -> None:
    """One payee, one ephemeral key, one salt for two of them; the other salt is one higher."""
    made = three_invoices()
    value = secrets.token_bytes({"payee": 20, "salt": 31}.get(name, 32))
    value = b"\x02" + value if name == "ephemeral_public_key" else value
    last = b"\x01" if name == "salt" else b""
    other = b"\x02" if name == "salt" else b""
    fields: tuple[dict[str, Any], ...] = ({name: value + last}, {name: value + other})
    made.sweep(700, 3500, **fields[0])
    made.sweep(710, 5000, **fields[1])
    assert together(made) == {frozenset({3, 4})}


def test_an_odd_fee_or_sum_links_invoices_and_a_usual_one_does_not() -> None:
    """Fees and prices are of a few tiers, which many have."""
    odd: tuple[dict[str, Any], ...] = ({"fee": 1_234_567}, {"gross": ODD})
    for changes in odd:
        made = three_invoices()
        made.sweep(700, 3500, **changes)
        made.sweep(710, 5000, **changes)
        assert together(made) == {frozenset({3, 4})}


def test_sweeps_in_one_act_link_invoices() -> None:
    """In one second."""
    made = three_invoices()
    made.sweep(700, 3500)
    made.sweep(710, 3500.5)
    assert together(made) == {frozenset({3, 4})}


def test_one_relay_again_and_again_links_invoices() -> None:
    """Four in a row, of eight relays that swept: one in 512."""
    made = ShopWorld()
    for number, relay in enumerate((*RELAYS, *RELAYS[-1:] * 3)):
        made.sweep(number * 100, 3000 + number * 777 + secrets.randbelow(700), relay=relay)
    assert {frozenset({7, 8}), frozenset({8, 9}), frozenset({9, 10})} == together(made)


def test_even_pauses_between_sweeps_link_invoices() -> None:
    """Every quarter of an hour, whenever they were paid; or always as long after that."""
    paid = (0, 50, 400, 420, 2000)
    by_clock, by_payment = ShopWorld(), ShopWorld()
    for number, at in enumerate(paid):
        by_clock.sweep(at, 2500 + 900 * number)
        by_payment.sweep(at, at + 300 + number % 2)
    chain = {frozenset({n, n + 1}) for n in range(4)}
    assert together(by_clock) == chain == together(by_payment)


def test_one_circuit_for_two_invoices_links_them() -> None:
    """At the RPC server, in balances that are asked for."""
    made = three_invoices()
    made.look(0, "c1", 100, 300)
    made.look(2, "c1", 900)
    made.look(1, "c2", 900)
    assert together(made) == {frozenset({0, 2})}


def test_two_that_are_looked_at_in_the_same_rounds_are_linked() -> None:
    """Over circuits of their own, half a second after one another; a third has its own time."""
    made = three_invoices()
    rounds = [n * 23 + secrets.randbelow(9) for n in range(12)]
    made.look(0, "c1", *rounds)
    made.look(1, "c2", *(at + 0.5 for at in rounds))
    made.look(2, "c3", *(at + 12 for at in rounds))
    assert together(made) == {frozenset({0, 1})}


def test_looks_that_become_rarer_are_not_in_step_by_that() -> None:
    """Two invoices of one age, each at moments of its own, over an hour: ever less often."""
    both: list[list[float]] = [[], []]
    for times in both:
        at = 0.0
        while at < 3600:
            times.append(at)
            at += max(10.0, at / 10) * (0.75 + secrets.randbelow(500) / 1000)
    assert len(both[0]) > LOOKS
    assert not in_step(*both)
    assert in_step(both[0], [at + 0.4 for at in both[0]])


def test_money_that_goes_on_together_links_invoices() -> None:
    """Both payees send what they got to one address."""
    made = three_invoices()
    purse = secrets.token_bytes(20)
    for payee in (made.world.view().transactions[n].data[16:36] for n in (2, 4)):
        made.world.transfer(payee, purse, PRICE // 2, 9000)
    assert together(made) == {frozenset({0, 1})}


def test_what_two_payers_see_and_nobody_else_links_their_invoices() -> None:
    """A number of the shop's on both pages; what all pages have tells nothing."""
    made = three_invoices()
    common, number = secrets.token_hex(16).encode(), secrets.token_hex(16).encode()
    made.answers.append(answer(common))
    for each in range(3):
        made.page(each, common + b" " + (number if each else b""))
    assert together(made) == {frozenset({1, 2})}


def test_a_content_beside_an_invoice_links_them() -> None:
    """In the file of a relay, by the name as people write it."""
    made = three_invoices()
    work = made.world.works[0]
    made.world.note("a relay", f"{ContentId(work.content)} by {made.invoices[1].hex()}")
    (link,) = found(made, ShopKind.CONTENT)
    assert (link.left, link.right) == (made.invoices[1], work.content)


def test_the_shops_own_marks_beside_an_invoice_link_them() -> None:
    """Its onion or its publisher's key in the file of a relay; the address in a page."""
    for number in range(3):
        made = three_invoices()
        if number == 2:
            made.answers.append(answer(b"<b>" + made.invoices[0].hex().encode() + b"</b>"))
        else:
            mark = (made.onion, made.world.works[0].creator_marks[0])[number]
            made.world.note("a relay", mark, made.invoices[0])
        (link,) = found(made, ShopKind.SHOP)
        assert (link.left, link.right) == (made.invoices[0], made.onion)


def test_the_table_says_who_finds_what() -> None:
    """One leak in the RPC server's log: seen there, and by all together."""
    made = three_invoices()
    made.look(0, "c1", 100)
    made.look(1, "c1", 101)
    rows = [line for line in shop_table(made.view(), made.invoices).splitlines() if "yes" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| the RPC server", "| all of these together"]
    foreign = about(analyse_shop(made.view()), made.onion, [made.invoices[2]])
    assert foreign == ()
    assert attrs.evolve(made.view(), answers=()).answers == ()
