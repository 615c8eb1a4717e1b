"""What everybody may see, and what every answer has and has not."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from bitsnode.shop.items import Blob, Kind, Profile
from bitsnode.web.answers import padded, size_class
from bitsnode.web.site import ShopSite
from bitsnode.web.testing import MemoryShop, item_of
from bitsnode.web.testing_browser import HOST, Browser, Reply
from bitsnode.web.texts import Texts, placeholders

HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; script-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), midi=(), display-capture=()"
    ),
}


class Links(HTMLParser):
    """Every address on a page, and every element that has an id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element refers to."""
        values = {name: value or "" for name, value in attrs}
        self.found += [values[n] for n in ("href", "src", "action", "data-news") if n in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag in ("script", "img", "video", "audio") and "src" in values:
            self.fetched.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon"):
            self.fetched.append(values["href"])


def every_page(browser: Browser, shop: MemoryShop) -> dict[str, Reply]:
    """Return one answer of each kind that the shop gives, an order's whole life among them."""
    shop.catalogue.shown = Profile("Mira", "Films.\n\nAnd more.", "st:eth:0x" + "02" * 66)
    shop.catalogue.blobs["pic"] = Blob("image/webp", b"webp")
    item = next(iter(shop.catalogue.items.values()))
    pages = {
        target: browser.ask(target)
        for target in (
            "/",
            "/?q=tide",
            "/?tag=x",
            f"/item/{item.id}",
            "/claim",
            "/about",
            "/tips",
            "/tips/qr.png",
            "/feed.atom",
            "/blob/pic",
            "/nothing",
        )
    }
    pages["code"] = browser.submit(browser.get(f"/item/{item.id}"), f"/item/{item.id}/buy")
    order = shop.orders.made[-1].order
    pages["pay"] = browser.submit(pages["code"], f"/order/{order.id}/kept")
    pages["qr"] = browser.get(f"/order/{order.id}/qr.png")
    pages["unpaid"] = browser.get(f"/order/{order.id}/content")
    shop.invoices.stands(order.invoice, received=10**18)
    for name in ("", "/content", "/download", "/sealed"):
        pages[f"paid{name}"] = browser.get(f"/order/{order.id}{name}")
    return pages


def test_the_headers_of_a_page_are_these(browser: Browser) -> None:
    """Nothing is there that tells software, version, host or time, and nothing is missing."""
    found = dict(browser.ask("/").headers)
    length = found.pop("Content-Length")
    assert found == HEADERS | {"Connection": "close"}
    assert int(length) == 4096


def test_every_answer_has_the_headers_that_protect(browser: Browser, shop: MemoryShop) -> None:
    """Errors, pictures and contents have them like any page; none tells software or time."""
    for name, reply in every_page(browser, shop).items():
        found = dict(reply.headers)
        for header in set(HEADERS) - {"Cache-Control", "Content-Type"}:
            assert found.get(header) == HEADERS[header], (name, header)
        for header in ("Server", "Date", "X-Powered-By", "Last-Modified", "Content-Encoding"):
            assert header not in found, name
        assert not any(key.startswith("Access-Control") for key in found), name


def test_no_page_names_the_host_or_another_site(browser: Browser, shop: MemoryShop) -> None:
    """All addresses are paths of the shop itself, but for the name of the content."""
    for name, reply in every_page(browser, shop).items():
        assert HOST.encode() not in reply.raw, name
        if not reply.header("Content-Type").startswith("text/html"):
            continue
        for link in Links(reply.text).found:
            assert re.match(r"/(?!/)|#|bits:", link), (name, link)
        assert "://" not in reply.text, name
        assert "style=" not in reply.text, name


def test_what_a_page_refers_to_is_there(browser: Browser, shop: MemoryShop) -> None:
    """The style sheet, the script and the icon exist, and every id is used once."""
    for name, reply in every_page(browser, shop).items():
        if reply.header("Content-Type").startswith("text/html"):
            links = Links(reply.text)
            assert len(links.ids) == len(set(links.ids)), name
            for source in links.found:
                if source.startswith("/static/"):
                    asset = browser.ask(source)
                    assert asset.status == 200, source
                    assert "immutable" in asset.header("Cache-Control")


def test_who_types_markup_sees_it_as_text(browser: Browser, shop: MemoryShop) -> None:
    """Neither a visitor's words nor a creator's become elements."""
    evil = '"><script>alert(1)</script>'
    shop.catalogue.add(item_of(7, title=evil, description=evil, tags=(evil,)))
    for target in ("/", f"/item/{item_of(7).id}", "/feed.atom", "/?q=%22%3E%3Cscript%3E"):
        assert b"<script" not in browser.ask(target).body


def test_search_tags_and_pages_lead_on(browser: Browser, shop: MemoryShop) -> None:
    """A list of many is divided; its links keep the search."""
    shop.catalogue.add(*(item_of(n, title=f"Fog {n}", tags=("fog & sea",)) for n in range(10, 60)))
    second = browser.ask("/?tag=fog+%26+sea&page=2").text
    assert "Page 2 of 3" in second
    assert "/?tag=fog+%26+sea&amp;page=3" in second
    assert second.count('<li class="card">') == 24
    assert "Nothing here matches" in browser.ask("/?q=zebra").text
    assert browser.ask("/?page=99999999999999").status == 200
    assert browser.ask("/?page=-1").status == 200


def test_an_item_tells_its_terms(browser: Browser, shop: MemoryShop) -> None:
    """Price, size and who learns what are there before anything is pressed."""
    page = browser.ask(f"/item/{item_of(1).id}").text
    for text in (
        "0.05 ETH",
        "1.0 kB",
        "the payment is public",
        f"bitsnode buy {item_of(1).content_id}",
    ):
        assert text in page


def test_an_item_that_was_withdrawn_is_not_shown(browser: Browser, shop: MemoryShop) -> None:
    """Its page says so."""
    shop.catalogue.add(item_of(1, withdrawn=True))
    reply = browser.ask(f"/item/{item_of(1).id}")
    assert reply.status == 404
    assert "Not for sale any more" in reply.text


def test_a_blob_is_kept_for_ever_by_its_name(browser: Browser, shop: MemoryShop) -> None:
    """A browser that has it is answered without it; what is no picture is not served."""
    shop.catalogue.blobs["abc"] = Blob("image/webp", b"webp")
    first = browser.ask("/blob/abc")
    assert (first.body, first.header("Content-Type")) == (b"webp", "image/webp")
    again = browser.ask("/blob/abc", headers={"If-None-Match": first.header("ETag")})
    assert (again.status, again.body) == (304, b"")
    assert browser.ask("/blob/none").status == 404


def test_tips_are_shown_only_where_there_is_an_address(browser: Browser, shop: MemoryShop) -> None:
    """Without one there is neither page nor link."""
    assert browser.ask("/tips").status == 404
    assert "/tips" not in browser.ask("/").text
    shop.catalogue.shown = Profile("Mira", "", "st:eth:0x" + "02" * 66)
    assert "st:eth:0x02" in browser.ask("/tips").text
    assert browser.ask("/tips/qr.png").body.startswith(b"\x89PNG")


def test_the_feed_tells_days_and_no_hours(browser: Browser, shop: MemoryShop) -> None:
    """Entries are named by what says nothing, and stay the same."""
    feed = browser.ask("/feed.atom").text
    assert "<updated>2024-10-04T00:00:00Z</updated>" in feed
    assert re.findall(r"T(\d\d:\d\d:\d\d)Z", feed) == ["00:00:00"] * 2
    assert f"/item/{item_of(1).id}" in feed
    assert feed == browser.ask("/feed.atom").text


def test_a_full_catalogue_is_light(
    browser: Browser, shop: MemoryShop, record_property: Callable[[str, object], None]
) -> None:
    """24 items with thumbnails: at most 60 kB of HTML and CSS."""
    shop.catalogue.items.clear()
    shop.catalogue.add(
        *(
            item_of(
                n,
                title=f"A title of the usual length, number {n}",
                thumbnail="a" * 26,
                kind=Kind.IMAGE,
                tags=(f"tag {n}",),
            )
            for n in range(10, 40)
        )
    )
    page = browser.ask("/")
    assert page.text.count("<img") == 24
    assert page.text.count('loading="lazy"') == 24
    sheet = next(link for link in Links(page.text).fetched if link.endswith(".css"))
    weight = len(page.body) + len(browser.ask(sheet).body)
    record_property("bytes of a full catalogue", weight)
    assert weight <= 60_000


def test_an_item_needs_three_requests_before_its_picture(browser: Browser) -> None:
    """The page, its style sheet and its icon; no script."""
    page = browser.ask(f"/item/{item_of(1).id}")
    assert len(Links(page.text).fetched) <= 2
    assert "<script" not in page.text


def test_pages_come_in_few_lengths(browser: Browser, shop: MemoryShop) -> None:
    """A length is a size class, whatever the page says."""
    for name, reply in every_page(browser, shop).items():
        if reply.header("Content-Type").startswith("text/html"):
            assert len(reply.body) == size_class(len(reply.body)), name


def test_a_page_is_filled_up_to_the_next_class() -> None:
    """By a comment that is no part of it; by half at most."""
    classes = [size_class(n) for n in (0, 4_096, 4_097, 6_145, 8_193, 12_289, 50_000)]
    assert classes == [4_096, 4_096, 6_144, 8_192, 12_288, 16_384, 65_536]
    for length in range(4_000, 9_000, 7):
        page = padded(b"x" * length)
        assert len(page) == size_class(length + 9)
        assert re.fullmatch(rb"x+\n<!-- *-->\n", page)


def test_every_sentence_is_used_and_every_used_one_is_there() -> None:
    """Templates name sentences by literal names, or by those that this test lists."""
    names = set(Texts().table)
    folder = files("bitsnode.web") / "templates"
    source = "".join(entry.read_text("utf-8") for entry in folder.iterdir())
    used = set(re.findall(r'\bt\("([a-z_.]+)"[,)]', source)) | {"page.unnamed"}
    for name in re.findall(r't\.count\("([a-z_.]+)"', source):
        used |= {f"{name}.one", f"{name}.many"}
    for prefix in re.findall(r'\bt\("([a-z]+\.)" ~', source):
        used |= {name for name in names if name.startswith(prefix)}
    assert used == names


@pytest.mark.parametrize("language", ["en"])
def test_translations_have_the_same_names_and_placeholders(language: str) -> None:
    """So a page renders in each."""
    english, other = Texts().table, Texts(language).table
    assert english.keys() == other.keys()
    for name, sentence in english.items():
        assert placeholders(sentence) == placeholders(other[name]), name


def test_head_is_the_page_without_its_body(site: ShopSite, browser: Browser) -> None:
    """Same headers, no body."""
    whole, head = browser.ask("/about"), browser.ask("/about", "HEAD")
    assert head.headers == whole.headers
    assert head.raw.endswith(b"\r\n\r\n")
