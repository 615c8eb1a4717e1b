"""Buying through the shop's onion with a browser and an ordinary wallet, without scripts.

Only the player that seeks, and axe, need scripts of their own.
"""

import hashlib
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.cli_net import sha256, wait_for
from tests.browser.conftest import Item, NewVisitor, Shop
from tests.browser.tables import HEADINGS, table
from tests.browser.visitors import PATIENCE, Visitor
from tests.browser.wallet import Wanted, pay

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]

MIB = 1 << 20
PAID = "Paid. It is yours."
CLAIM_CODE = re.compile(r"[0-9A-Z]{5}(-[0-9A-Z]{5}){4}")
LINK = re.compile(r"bits:bafy[a-z2-7]+#[a-z2-7]{52}")


def order(
    guest: Visitor, item: Item, at: Callable[[str], None] = lambda page: None
) -> tuple[str, Wanted]:
    """Go from the catalogue to the invoice; return the claim code and what is to be paid.

    ``at`` is called on each page of the order, with its name.
    """
    guest.open("/")
    guest.press(item.title)
    guest.press("Buy for")
    code = guest.page.inner_text("main code")
    assert CLAIM_CODE.fullmatch(code)
    at("order: claim code")
    guest.press("I have kept it")
    assert guest.path.startswith("/order/")
    assert code not in guest.page.content()  # shown once
    at("order: to pay")
    return code, Wanted.read(guest.text)


def wait_until_paid(guest: Visitor) -> None:
    """Wait on the page, which looks again by itself, until the content is there."""
    guest.page.get_by_text(PAID).wait_for(timeout=3 * PATIENCE * 1000)


def claim(guest: Visitor, code: str) -> None:
    """Open an order with its code."""
    guest.open("/claim")
    guest.page.get_by_label("Claim code", exact=True).fill(code.lower())
    guest.press("Open my order")


PLAY = """async () => {
  const film = document.querySelector("video");
  const event = name => new Promise(done => film.addEventListener(name, done, {once: true}));
  film.muted = true;
  await film.play();
  await event("timeupdate");
  const begun = film.currentTime;
  film.pause();
  const there = event("seeked");
  film.currentTime = 15;
  await there;
  return [film.duration, begun, film.currentTime, film.videoWidth, film.seekable.end(0)];
}"""


def test_a_film_is_bought_and_claimed_elsewhere(
    shop: Shop,
    visitor: NewVisitor,
    pictures: Path,
    tmp_path: Path,
    record_property: Callable[[str, str], None],
) -> None:
    """Paid by a plain transfer; then downloaded, opened at home, and played in another browser."""
    guest = visitor()
    rows: list[tuple[str, ...]] = [HEADINGS[:-1]]  # what axe finds, the order of the letter tells

    def look(name: str) -> None:
        size = sum(each.size for each in guest.loaded)
        rows.append((name, str(len(guest.loaded)), str(size), "no"))
        guest.shoot(pictures, name.replace(": ", "-").replace(" ", "-"))

    code, wanted = order(guest, shop.film, look)
    assert wanted.amount == shop.film.price
    address = guest.page.url
    pay(shop.chain, wanted)
    wait_until_paid(guest)
    assert guest.page.url == address
    look("order: paid, with what it looked at meanwhile")
    record_property("table", table(rows))
    assert guest.download("Download (", tmp_path / "film").endswith(".mp4")
    assert sha256(tmp_path / "film") == shop.film.sha256

    link = tmp_path / "link"
    link.write_text(LINK.findall(guest.text)[0])
    link.chmod(0o600)
    sealed = tmp_path / "walk.sealed"
    guest.download("Download it locked", sealed)
    opened = shop.keeper.ok("open", sealed, "-o", tmp_path / "opened", "--link-file", link)
    assert opened["sha256"] == shop.film.sha256
    film = (tmp_path / "film").stat().st_size
    chunks = -(-film // MIB)
    assert chunks > 1
    assert sealed.stat().st_size == film + 16 * chunks

    other = visitor(scripts=True, width=1280)
    other.open(guest.path)  # the address alone opens nothing
    assert PAID not in other.text
    claim(other, code)
    assert PAID in other.text
    duration, begun, now, width, seekable = other.page.evaluate(PLAY)
    assert duration == pytest.approx(20, abs=0.2)
    assert begun > 0
    assert (now, width) == (15, 160)
    assert seekable == pytest.approx(duration, abs=0.1)
    assert 206 in other.statuses[f"{other.path}/content"]  # the part that was sought
    assert other.axe() == []
    check_split(shop, wanted)
    check_no_plaintext(shop, tmp_path / "film")


def check_no_plaintext(shop: Shop, film: Path) -> None:
    """M1: nothing of what was sold, watched and downloaded is in the keeper's home in the clear."""
    data = film.read_bytes()
    runs = [data[at : at + 32] for at in range(MIB // 2, len(data) - 32, len(data) // 40)]
    files = [path for path in shop.keeper.home.rglob("*") if path.is_file()]
    assert any(path.stat().st_size > len(data) for path in files)  # its ciphertext
    assert [path for path in files if any(run in path.read_bytes() for run in runs)] == []


def check_split(shop: Shop, wanted: Wanted) -> None:
    """Wait until the invoice was swept; its creator has 95 percent of what the relay left."""
    found: list[dict[str, str]] = []

    def swept() -> bool:
        told = shop.keeper.ok("earnings", "--password-file", shop.password)
        rows = [dict(zip(told["header"], row, strict=True)) for row in told["rows"]]
        found[:] = [row for row in rows if row["invoice"] == wanted.address]
        return bool(found)

    wait_for(swept, 3 * PATIENCE)
    (row,) = found
    gross, fee = int(row["gross_wei"]), int(row["relay_fee_wei"])
    rest = gross - fee
    assert (row["kind"], gross) == ("invoice", wanted.amount)
    assert 0 < fee <= gross // 10
    assert int(row["treasury_wei"]) == rest * 3 // 100
    assert int(row["pool_wei"]) == rest * 2 // 100
    assert int(row["net_wei"]) == rest - rest * 3 // 100 - rest * 2 // 100


def test_two_clicks_and_the_back_button_make_one_order(shop: Shop, visitor: NewVisitor) -> None:
    """Who goes back and buys again comes to the order that is there; a second tab, to another."""
    guest = visitor()
    _, wanted = order(guest, shop.letter)
    made = guest.path
    guest.page.go_back()
    guest.page.go_back()
    assert guest.path == f"/item/{shop.letter.id}"
    guest.press("Buy for")
    assert guest.path == made
    assert Wanted.read(guest.text) == wanted
    guest.open(f"/item/{shop.letter.id}")
    guest.press("Buy for")
    assert guest.path != made
    guest.open(made)  # the first is still there
    assert Wanted.read(guest.text) == wanted


def test_a_set_of_pictures_is_looked_at_one_by_one(
    shop: Shop, visitor: NewVisitor, pictures: Path, tmp_path: Path
) -> None:
    """Each picture of the set is shown after payment, and the whole set is one download."""
    guest = visitor()
    _, wanted = order(guest, shop.pictures)
    pay(shop.chain, wanted)
    wait_until_paid(guest)
    shown = []
    for number in range(3):
        picture = guest.page.locator("img.shown")
        source = picture.get_attribute("src")
        answer = next(each for each in guest.loaded if each.path == source) if number else None
        assert answer is None or answer.status == 200
        shown.append(source)
        if number < 2:
            guest.press("Next")
    guest.shoot(pictures, "order-pictures")
    assert len(set(shown)) == 3
    guest.download("Download (", tmp_path / "set.zip")
    assert sha256(tmp_path / "set.zip") == shop.pictures.sha256
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert archive.namelist() == ["001.jpg", "002.jpg", "003.jpg"]
        sums = {hashlib.sha256(archive.read(name)).digest() for name in archive.namelist()}
    assert len(sums) == 3


def test_what_is_not_shown_is_a_download(shop: Shop, visitor: NewVisitor, tmp_path: Path) -> None:
    """A page of HTML that is sold runs nowhere, also where scripts do: it is offered as a file.

    Axe looks at each page of this order.
    """
    guest = visitor(scripts=True)

    def accessible(name: str) -> None:
        assert guest.axe() == [], name

    _, wanted = order(guest, shop.letter, accessible)
    pay(shop.chain, wanted)
    wait_until_paid(guest)
    accessible("order: paid")
    assert guest.page.locator("main :is(iframe, object, embed, video, img)").count() == 0
    name = guest.download("Download (", tmp_path / "letter")
    assert not name.endswith((".html", ".htm"))
    assert sha256(tmp_path / "letter") == shop.letter.sha256
    assert guest.page.title() != "run"


def test_claim_codes_of_others(shop: Shop, visitor: NewVisitor) -> None:
    """A code with one wrong character opens nothing and says so beside the field."""
    guest = visitor()
    code, _ = order(guest, shop.letter)
    stranger = visitor(scripts=True)
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    claim(stranger, wrong)
    assert stranger.page.get_by_role("alert").is_visible()
    assert stranger.path == "/claim"
    assert stranger.axe() == []
    claim(stranger, code)
    assert stranger.path.startswith("/order/")
    assert stranger.axe() == []  # step 2, unpaid
