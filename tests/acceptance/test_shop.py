"""A shop made with nothing but the commands, and visited through its onion."""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from PIL import Image

from onion.address import OnionAddress
from onion.keys import OnionKey
from tests.acceptance.cli_net import CliLocalnet, CliNode, run, wait_for
from tests.acceptance.onion_web import Browser, NotConnected, Page, Visit

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]

COIN = 10**18  # wei
TELLING = ("/tmp", "/home", "/root", "/usr", "traceback", "twisted", "python", "klein")


@attrs.frozen
class Shop:
    """A shop, who keeps it, and somebody who looks at it.

    Attributes:
        keeper: the node.
        onion: of the shop.
        item: as ``shop add`` told it.
        visitor: with the tor of another node.
    """

    keeper: CliNode
    onion: str
    item: dict[str, object]
    visitor: Browser

    def page(self, path: str = "/") -> Page:
        """Ask for a page."""
        return self.visitor.get(self.onion, path)


@pytest.fixture(scope="module")
def shop(net: CliLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """From nothing to a shop with one priced item, in the commands that README.md shows."""
    net.revive()
    folder = tmp_path_factory.mktemp("studio")
    password, picture = folder / "password", folder / "blue.jpg"
    password.write_text("correct horse battery\n")
    password.chmod(0o600)
    exif = Image.Exif()
    exif[0x010E] = "taken at home"  # ImageDescription
    Image.linear_gradient("L").convert("RGB").save(picture, exif=exif)
    with net.newcomer("keeper") as keeper:  # 1 bitsnode --tor
        keeper.ok("wallet", "create", "--password-file", password)  # 2
        made = keeper.ok("shop", "create", "--name", "Studio Nord", "--about", "Prints.")  # 3
        item = keeper.ok(
            "shop", "add", picture, "--title", "Blue hour", "--price", "0.05", "--tags", "sea"
        )  # 4
        socks = net.nodes[0].home / "tor" / "socks.sock"
        if not socks.exists():  # a home whose path is too long has its sockets elsewhere
            pytest.skip("the SOCKS socket of the localnet is in a stand-in directory")
        yield Shop(keeper, made["shop_onion"], item, Browser(socks))


def test_anyone_can_look_at_a_shop_through_its_onion(shop: Shop) -> None:
    """Its name, its item with price and thumbnail; without the picture itself and its metadata."""
    front = shop.page()
    assert front.status == 200
    assert "Studio Nord" in front.text
    assert f"/item/{shop.item['item']}" in front.text
    page = shop.page(f"/item/{shop.item['item']}")
    assert "Blue hour" in page.text
    assert "0.05" in page.text
    assert str(shop.item["content_id"]) in page.text
    (thumbnail,) = {*re.findall(r"/blob/[a-z2-7]+", front.text)}
    picture = shop.page(thumbnail)
    assert picture.headers["content-type"] == "image/webp"
    assert b"taken at home" not in picture.body
    assert shop.page("/?q=blu").text.count("/item/") >= 1
    assert "/item/" not in shop.page("/?q=green").text
    assert shop.page("/item/aaaaaaaaaa").status == 404
    assert shop.page("/feed.atom").status == 200


def test_the_shop_and_the_node_have_nothing_in_common_that_shows(shop: Shop) -> None:
    """Another key, another tor, another port; no header or page names node, machine or hour."""
    home, status = shop.keeper.home, shop.keeper.status()
    assert status["shop_onion"] == shop.onion != status["peer_onion"]
    seeds = {path: path.read_bytes() for path in home.rglob("*.seed")}
    assert len({*seeds.values()}) == len(seeds) >= 6
    assert str(OnionKey(seeds[home / "shop" / "keys" / "onion.seed"]).address) == shop.onion
    # neither answers where the other does
    for onion, port in ((shop.onion, 7), (status["peer_onion"], 80)):
        with pytest.raises(NotConnected):
            shop.visitor.connect(onion, port)
    tors = {pid: place for pid, place in _tors() if place.startswith(str(home))}
    assert sorted(tors.values()) == [str(home / "shop" / "tor"), str(home / "tor")]
    peer = OnionAddress.parse(status["peer_onion"])
    key = peer.public_key
    names = [status["peer_onion"].removesuffix(".onion"), key.hex(), str(home)]
    names += [base64.b64encode(key).decode(), base64.b32encode(key).decode().lower()[:50]]
    for path in ("/", f"/item/{shop.item['item']}", "/about", "/claim", "/feed.atom", "/nothing"):
        page = shop.page(path)
        said = page.head + page.text.lower()
        assert not {"date", "server", "last-modified", "x-powered-by"} & {*page.headers}, path
        for name in (*names, *TELLING):
            assert name.lower() not in said, (path, name)
        # a host's name may be two letters, which a random token has as well
        host = re.escape(os.uname().nodename.lower())
        assert not re.search(rf"(?<![\w-]){host}(?![\w-])", said), path


def test_no_visit_is_in_a_log(shop: Shop) -> None:
    """Neither in the node's nor in the shop's; the node's does not even know that there is one."""
    before = (shop.keeper.home / "log" / "node.log").read_bytes()
    for path in ("/", "/nothing", "/item/aaaaaaaaaa"):
        shop.page(path)
    after = (shop.keeper.home / "log" / "node.log").read_text()
    new = after.encode()[len(before) :].decode()
    for word in ("shop", "GET", "nothing", "web"):
        assert word not in new
    assert "Studio" not in after
    log = shop.keeper.home / "shop" / "log" / "shop.log"
    assert not log.exists() or "nothing" not in log.read_text()


def test_the_owner_sees_how_the_shop_is(shop: Shop) -> None:
    """On the control socket; the localnet's commands tell the onion as well."""
    status = shop.keeper.ok("shop", "status")
    assert (status["state"], status["items"], status["orders"]) == ("reachable", 1, {})
    assert status["disk"]["stock"] > 0
    assert status["disk"]["missing"] == 0
    (listed,) = shop.keeper.ok("shop", "list")["items"]
    assert listed["url"] == f"http://{shop.onion}/item/{shop.item['item']}"
    assert shop.keeper.ok("shop", "orders")["orders"] == []
    (offer,) = shop.keeper.ok("offer", "list")["offers"]
    assert (offer["content_id"], offer["price"]) == (shop.item["content_id"], COIN // 20)


def test_what_a_shop_cannot_do_is_one_sentence(
    net: CliLocalnet, shop: Shop, tmp_path: Path
) -> None:
    """A second shop, no shop, a wrong price, no file, a text that cannot be shown."""
    work = tmp_path / "work"
    work.write_bytes(b"a work")
    title = ("--title", "Work")
    for node, arguments, words in (
        (shop.keeper, ("shop", "create", "--name", "Other"), "a shop already"),
        (net.nodes[2], ("shop", "status"), "no shop"),
        (shop.keeper, ("shop", "add", work, *title, "--price", "0.03"), "0.02, 0.05, 0.1"),
        (shop.keeper, ("shop", "add", work, *title, "--price", "x"), "number of coins"),
        (shop.keeper, ("shop", "add", tmp_path / "no", *title, "--price", "0.05"), "No such file"),
        (shop.keeper, ("shop", "edit", "--name", "a\u202eb"), "cannot be shown"),
        (shop.keeper, ("shop", "withdraw", "aaaaaaaaaa"), "no such item"),
    ):
        done = node.run(*arguments)
        assert done.status == 1, arguments
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_publish_puts_what_is_sold_into_the_shop(shop: Shop, tmp_path: Path) -> None:
    """Unless it is told not to; withdrawn, it is gone from the shop and not offered again."""
    work = tmp_path / "poem.txt"
    work.write_bytes(b"a short poem")
    done = shop.keeper.ok("publish", work, "--price", "0.02", "--title", "A poem")
    assert "A poem" in shop.page().text
    other = tmp_path / "other.txt"
    other.write_bytes(b"not in the shop")
    shop.keeper.ok("publish", other, "--price", "0.02", "--no-shop")
    assert shop.keeper.ok("shop", "status")["items"] == 2
    changed = shop.keeper.ok("shop", "change", done["item"], "--title", "A verse")
    assert (changed["title"], changed["price"]) == ("A verse", COIN // 50)
    assert "A verse" in shop.page().text
    shop.keeper.ok("shop", "withdraw", done["item"])
    assert "A verse" not in shop.page().text
    offers = shop.keeper.ok("offer", "list")["offers"]
    withdrawn = {each["content_id"]: each["withdrawn"] for each in offers}
    assert withdrawn[done["content_id"]]
    assert not withdrawn[shop.item["content_id"]]


def test_one_item_is_bought_by_invoice_and_by_a_node(
    net: CliLocalnet, shop: Shop, tmp_path: Path
) -> None:
    """The same content for the same price; the creator finds both payments, each less its fees."""
    password = tmp_path / "password"
    password.write_text("correct horse battery\n")
    password.chmod(0o600)
    secret = ("--password-file", password)
    visit = Visit(shop.visitor, shop.onion)
    visit.open(f"/item/{shop.item['item']}")
    code = re.search(r"[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}", visit.press("/buy").text)
    assert code is not None
    order = visit.path
    paying = visit.press("/kept").text
    assert code[0] not in paying
    (address,) = {*re.findall(r"0x[0-9a-fA-F]{40}", paying)}
    assert visit.open(f"{order}/content").status == 403
    paid = run("chain", "fund", address, "0.05", "--dir", net.directory / "chain")
    assert paid.status == 0, paid.stderr
    wait_for(lambda: {"paid", "swept"} & {*shop.keeper.ok("shop", "status")["orders"]})
    assert shop.keeper.ok("shop", "status")["polled_seconds_ago"] is not None
    picture = visit.open(f"{order}/content")
    assert picture.headers["content-type"] == "image/jpeg"
    # another browser, that knows nothing but the code
    other = Visit(Browser(shop.visitor.socks, "other"), shop.onion)
    assert other.open(f"{order}/content").status == 403
    other.open("/claim")
    other.press("/claim", code=code[0].lower().replace("-", " "))
    assert other.path == order
    assert other.open(f"{order}/download").body == picture.body

    with net.newcomer("collector") as buyer:
        buyer.ok("wallet", "create", *secret)
        account = buyer.ok("wallet", "address")["accounts"][0]
        assert run("chain", "fund", account, "1", "--dir", net.directory / "chain").status == 0
        buyer.ok("wallet", "topup", "0.2", *secret)
        buyer.ok("buy", str(shop.item["content_id"]), "--yes", *secret)
        output = tmp_path / "bought.jpg"
        buyer.ok("get", str(shop.item["content_id"]), "-o", output)
    assert output.read_bytes() == picture.body

    def earned() -> list[dict[str, str]]:
        found = shop.keeper.ok("earnings", *secret)
        return [dict(zip(found["header"], row, strict=True)) for row in found["rows"]]

    wait_for(lambda: len(earned()) == 2)
    assert {row["kind"] for row in earned()} == {"invoice", "voucher"}
    for row in earned():
        gross, fee = int(row["gross_wei"]), int(row["relay_fee_wei"])
        assert gross == COIN // 20
        rest = gross - fee
        assert int(row["net_wei"]) == rest - rest * 3 // 100 - rest * 2 // 100


def test_a_shop_is_back_after_a_power_cut(net: CliLocalnet, shop: Shop) -> None:
    """Under its address, with its items, without being asked; and the owner can see it come."""
    shop.keeper.kill()
    with net.newcomer("keeper") as keeper:
        assert keeper.status()["shop_onion"] == shop.onion
        wait_for(lambda: keeper.ok("shop", "status")["state"] == "reachable")
        assert shop.page(f"/item/{shop.item['item']}").status == 200
        found = {each["what"]: each["good"] for each in keeper.ok("doctor")["findings"]}
        assert found["shop"]


def _tors() -> Iterator[tuple[int, str]]:
    """Return the process id of each tor, and its directory."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/tor") and b"-f" in words:
            yield int(path.parent.name), str(Path(words[words.index(b"-f") + 1].decode()).parent)
