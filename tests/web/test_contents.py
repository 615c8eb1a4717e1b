"""What was bought, on its way to who bought it."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.shop.items import Blob, Kind, Part
from bitsnode.shop.stock_errors import StockDamaged
from bitsnode.web.site import ShopSite, shop_site
from bitsnode.web.testing import PIECE, MemoryShop, item_of
from bitsnode.web.testing_browser import HOST, Browser, Wire, parse_reply
from bitsnode.web.tickets import Tickets
from onion.memory_stream import HIGH_WATER

T = TypeVar("T")
ITEM = item_of(1)
MIB = 1 << 20


def bought(browser: Browser, shop: MemoryShop) -> str:
    """Order the item and pay; returns the order's page."""
    page = browser.get(f"/item/{ITEM.id}")
    page = browser.submit(page, f"/item/{ITEM.id}/buy")
    path = next(path for path, name in browser.cookies if name == "ticket")
    browser.submit(page, f"{path}/kept")
    shop.invoices.stands(shop.orders.made[-1].order.invoice, received=ITEM.price)
    return path


@pytest.fixture
def path(browser: Browser, shop: MemoryShop) -> str:
    """The page of a paid order of a video of 5 MiB and a bit."""
    shop.catalogue.add(attrs.evolve(ITEM, kind=Kind.VIDEO, media_type="video/mp4"))
    shop.goods.contents[ITEM.id] = bytes(range(251)) * (5 * MIB // 251 + 9)
    return bought(browser, shop)


def content(shop: MemoryShop) -> bytes:
    """What is sold."""
    return shop.goods.contents[ITEM.id]


def test_a_video_plays_from_where_one_wants(browser: Browser, shop: MemoryShop, path: str) -> None:
    """Its page has a player; the player asks for ranges, and each is what it should be."""
    assert f'src="{path}/content"' in browser.get(path).text
    data = content(shop)
    whole = browser.ask(f"{path}/content")
    assert (whole.status, whole.body, whole.header("Content-Type")) == (200, data, "video/mp4")
    assert whole.header("Accept-Ranges") == "bytes"
    assert "Content-Disposition" not in dict(whole.headers)
    for asked, first, last in (
        ("bytes=0-", 0, len(data) - 1),
        ("bytes=0-0", 0, 0),
        (f"bytes={MIB - 3}-{MIB + 2}", MIB - 3, MIB + 2),
        ("bytes=-5", len(data) - 5, len(data) - 1),
        ("bytes=-999999999", 0, len(data) - 1),
        (f"bytes={len(data) - 1}-999999999999999", len(data) - 1, len(data) - 1),
    ):
        reply = browser.ask(f"{path}/content", headers={"Range": asked})
        assert reply.body == data[first : last + 1]
        if len(reply.body) < len(data):
            assert reply.status == 206
            assert reply.header("Content-Range") == f"bytes {first}-{last}/{len(data)}"


def test_ranges_that_lie_outside_are_refused(browser: Browser, shop: MemoryShop, path: str) -> None:
    """By a page, as everything."""
    for asked in (f"bytes={len(content(shop))}-", "bytes=-0"):
        reply = browser.ask(f"{path}/content", headers={"Range": asked})
        assert reply.status == 416
        assert "There is nothing there" in reply.text


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,4-5",
        "bytes=" + ",".join("0-" for _ in range(1_000)),
        "bytes=5-4",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1-2",
        "bytes=1e3-2e3",
        "bytes=0x0-0xff",
        "bytes = 0-5",
        "lines=0-5",
        "bytes=" + "9" * 400 + "-",
    ],
)
def test_many_ranges_at_once_are_one_content(
    browser: Browser, shop: MemoryShop, path: str, asked: str
) -> None:
    """No answer is ever longer than the content: it comes whole, once."""
    reply = browser.ask(f"{path}/content", headers={"Range": asked})
    assert (reply.status, reply.body) == (200, content(shop))


def test_a_download_is_resumed_only_if_it_is_the_same(
    browser: Browser, shop: MemoryShop, path: str
) -> None:
    """If-Range with another tag gets the whole; what is there already is not sent again."""
    first = browser.ask(f"{path}/download")
    tag = first.header("ETag")
    assert 'attachment; filename="Work-1.mp4"' in first.header("Content-Disposition")
    assert first.header("Content-Type") == "application/octet-stream"
    rest = {"Range": "bytes=100-", "If-Range": tag}
    assert browser.ask(f"{path}/download", headers=rest).body == content(shop)[100:]
    rest["If-Range"] = '"other"'
    assert browser.ask(f"{path}/download", headers=rest).body == content(shop)
    again = browser.ask(f"{path}/download", headers={"If-None-Match": f'W/"x", {tag}'})
    assert (again.status, again.body) == (304, b"")


def test_head_reads_nothing(browser: Browser, shop: MemoryShop, path: str) -> None:
    """It tells how much there would be."""
    reply = browser.ask(f"{path}/content", "HEAD")
    assert reply.header("Content-Length") == str(len(content(shop)))
    assert reply.raw.endswith(b"\r\n\r\n")
    assert shop.goods.read_bytes == 0


def test_the_sealed_file_is_what_is_kept(browser: Browser, shop: MemoryShop, path: str) -> None:
    """The page tells how to open it, with the link that is its key."""
    reply = browser.ask(f"{path}/sealed", headers={"Range": "bytes=0-3"})
    assert reply.body == bytes(byte ^ 0x55 for byte in content(shop)[:4])
    assert 'filename="Work-1.sealed"' in reply.header("Content-Disposition")
    page = browser.get(path).text
    assert "bitsnode open Work-1.sealed" in page
    assert f"bits:{ITEM.content_id}#" in page


def test_pictures_of_a_set_are_shown_one_by_one(browser: Browser, shop: MemoryShop) -> None:
    """With a way on and back; the download is all of them."""
    shop.catalogue.add(
        attrs.evolve(ITEM, kind=Kind.IMAGE, media_type="application/zip", pictures=3)
    )
    shop.goods.pictures[ITEM.id] = [
        (Part("image/webp", 4, width=640, height=480), b"pic" + bytes([n])) for n in range(3)
    ]
    path = bought(browser, shop)
    second = browser.get(f"{path}?picture=2").text
    assert "Picture 2 of 3" in second
    assert f"{path}?picture=1" in second
    assert f"{path}?picture=3" in second
    assert browser.ask(f"{path}/content/2").body == b"pic\x01"
    assert browser.ask(f"{path}/content/4").status == 404
    assert browser.ask(f"{path}/content/0").status == 404
    assert "Picture 3 of 3" in browser.get(f"{path}?picture=999").text
    assert browser.ask(f"{path}/download").body == content(shop)


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/pdf", "text/plain"])
def test_other_kinds_are_never_rendered(browser: Browser, shop: MemoryShop, kind: str) -> None:
    """They are downloads without a type, whatever the creator says that they are."""
    shop.catalogue.add(attrs.evolve(ITEM, media_type=kind))
    path = bought(browser, shop)
    assert browser.ask(f"{path}/content").status == 404
    reply = browser.ask(f"{path}/download")
    assert reply.header("Content-Type") == "application/octet-stream"
    assert reply.header("Content-Disposition").startswith("attachment;")
    assert "cannot show this kind" in browser.get(path).text


def test_nothing_opens_before_it_is_paid(browser: Browser, shop: MemoryShop, path: str) -> None:
    """A payment that is not final is none yet."""
    shop.invoices.stands(shop.orders.made[-1].order.invoice, pending=ITEM.price)
    for name in ("/content", "/content/1", "/download", "/sealed"):
        assert browser.ask(path + name).status == 403
    assert shop.goods.read_bytes == 0


def test_a_withdrawn_item_still_opens_for_who_has_paid(
    browser: Browser, shop: MemoryShop, path: str
) -> None:
    """It is only not sold any more."""
    shop.catalogue.add(attrs.evolve(shop.catalogue.items[ITEM.id], withdrawn=True))
    assert browser.ask(f"{path}/download").body == content(shop)


def test_a_slow_reader_holds_a_piece_and_no_more(
    browser: Browser, shop: MemoryShop, path: str, clock: Clock
) -> None:
    """What is read ahead of who takes nothing is bounded, and all comes when they go on."""
    wire = browser.start(f"{path}/content", slow=True)
    assert shop.goods.read_bytes <= PIECE
    assert held(wire) <= HIGH_WATER + 2 * 65_536
    clock.advance(60)
    wire.stream.resumeProducing()
    wire.flush()
    assert parse_reply(wire.got).body == content(shop)
    assert wire.lost


def held(wire: Wire) -> int:
    """Bytes that are on their way to a reader."""
    return wire.stream.peer._in_flight


def test_who_pipelines_and_never_reads_is_not_buffered_for(
    browser: Browser, shop: MemoryShop, path: str, site: ShopSite, clock: Clock
) -> None:
    """Not even one whose headers are what fills the connection, before anything of it is read."""
    ticket = browser.cookies[path, "ticket"]
    shop.catalogue.blobs["most"] = Blob("image/webp", bytes(HIGH_WATER - 1_200))
    wire = Wire(site, clock)
    wire.stream.pauseProducing()
    first = f"GET /blob/most HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    wanted = f"GET {path}/content HTTP/1.1\r\nHost: {HOST}\r\nCookie: ticket={ticket}\r\n\r\n"
    wire.send((first + wanted * 3).encode())
    assert HIGH_WATER < held(wire) < HIGH_WATER + 1_500
    assert shop.goods.read_bytes == 0
    for _ in range(4):
        clock.advance(60)
        wire.flush()
    assert wire.lost


def test_a_reader_who_stops_is_let_go(
    browser: Browser, shop: MemoryShop, path: str, clock: Clock
) -> None:
    """After a while without a byte; what was held for them is let go too."""
    wire = browser.start(f"{path}/content", slow=True)
    clock.advance(89)
    assert shop.goods.closed == 0
    clock.advance(2)
    assert wire.lost
    assert shop.goods.closed == 1


def test_a_reader_who_leaves_ends_the_reading(
    browser: Browser, shop: MemoryShop, path: str
) -> None:
    """In the middle of it, or while the disk is busy."""
    wire = browser.start(f"{path}/content", slow=True)
    wire.stream.abortConnection()
    wire.flush()
    assert shop.goods.closed == 1
    assert shop.goods.read_bytes <= PIECE


def test_too_many_readers_at_once_are_told_so(
    opened: Callable[..., ShopSite], shop: MemoryShop, clock: Clock
) -> None:
    """Places are for all together and for one order, and come back."""
    browser = Browser(opened(streams=3, streams_each=2), clock)
    shop.goods.contents[ITEM.id] = bytes(3 * MIB)
    path = bought(browser, shop)
    wires = [browser.start(f"{path}/download", slow=True) for _ in range(2)]
    assert browser.ask(f"{path}/download").status == 503
    other = Browser(browser.site, clock)
    second = bought(other, shop)
    third = other.start(f"{second}/download", slow=True)
    assert other.ask(f"{second}/download").status == 503
    for wire in (*wires, third):
        wire.stream.abortConnection()
        wire.flush()
    assert browser.ask(f"{path}/download").status == 200


@pytest.mark.parametrize("pieces", [[b"x" * 100], [b"x" * 3_000], [], [b""]])
def test_a_content_of_another_length_does_not_look_whole(
    browser: Browser, shop: MemoryShop, pieces: list[bytes]
) -> None:
    """Neither one that is too short nor one that is too long ends as if all were well."""
    path = bought(browser, shop)
    shop.goods.read = lambda *_: iter(pieces)  # type: ignore[method-assign]
    wire = browser.start(f"{path}/download", headers={"Connection": "keep-alive"})
    assert wire.lost
    assert len(wire.got.partition(b"\r\n\r\n")[2]) < len(content(shop))


def test_a_damaged_content_breaks_off(browser: Browser, shop: MemoryShop) -> None:
    """Nothing unverified is sent, and the connection ends before its length."""

    def damaged(*_: object) -> Iterator[bytes]:
        yield b"x" * 100
        raise StockDamaged

    path = bought(browser, shop)
    shop.goods.read = damaged  # type: ignore[method-assign]
    wire = browser.start(f"{path}/download", headers={"Connection": "keep-alive"})
    assert wire.lost
    assert len(wire.got.partition(b"\r\n\r\n")[2]) <= 100
    assert browser.ask(path).status == 200


@attrs.define
class Threads:
    """Threads whose work a test lets happen when it likes."""

    waiting: list[tuple[Callable[[], object], Deferred[object]]] = attrs.field(factory=list)
    holding: bool = False

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work, or keep it for later."""
        done: Deferred[T] = Deferred()
        if self.holding:
            self.waiting.append((work, done))  # type: ignore[arg-type]
            return done
        try:
            done.callback(work())
        except Exception as error:
            done.errback(error)
        return done

    def go(self) -> None:
        """Do all that waits."""
        self.holding = False
        for work, done in self.waiting:
            found = work()
            if not done.called:
                done.callback(found)


def test_a_reading_is_closed_after_its_thread_and_not_during(
    clock: Clock, shop: MemoryShop, tickets: Tickets
) -> None:
    """A reader who leaves while a thread decrypts: the thread ends, then the file is closed."""
    threads = Threads()
    room = attrs.evolve(shop.backroom, run=threads)
    browser = Browser(shop_site(clock, room, tickets, hosts=[HOST]), clock)
    shop.goods.contents[ITEM.id] = bytes(3 * MIB)
    path = bought(browser, shop)
    wire = browser.start(f"{path}/download", slow=True)
    threads.holding = True
    wire.stream.resumeProducing()
    wire.flush()
    wire.stream.abortConnection()
    wire.flush()
    assert shop.goods.closed == 0
    threads.go()
    assert shop.goods.closed == 1
