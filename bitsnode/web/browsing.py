"""Pages that everybody may see."""

import hashlib
import hmac
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import quote, urlencode

import attrs

from bitsnode.shop.errors import NoSuchBlob, NoSuchItem
from bitsnode.shop.items import Item
from bitsnode.web.answers import FOR_EVER, PLAIN, Answer
from bitsnode.web.cookies import visitor_cookie
from bitsnode.web.errors import NotForSale, NotFound
from bitsnode.web.forms import Forms
from bitsnode.web.needs import Catalogue, RunInThread
from bitsnode.web.qr import qr_code
from bitsnode.web.ranges import matches
from bitsnode.web.render import Renderer
from bitsnode.web.visit import Visit
from bitsnode.web.words import SHOWN

PAGE_SIZE: Final = 24  # items
MAX_TAGS: Final = 30  # shown above the catalogue
MAX_QUERY: Final = 200  # characters
MAX_PAGE: Final = 9_999
FEED_ITEMS: Final = 30


@attrs.frozen
class _Entry:
    """An item in the feed."""

    item: Item
    id: str
    day: str


class Browsing:
    """The catalogue, an item, and what is said of the shop.

    Args:
        catalogue: what is in the shop.
        run: carries out in a thread what waits for the disk.
        renderer: of pages.
        forms: signs them.
        key: of the shop, 32 bytes; from it the names in the feed are derived.
    """

    def __init__(
        self, catalogue: Catalogue, run: RunInThread, renderer: Renderer, forms: Forms, key: bytes
    ) -> None:
        self._catalogue = catalogue
        self._run = run
        self._renderer = renderer
        self._forms = forms
        self._key = key

    async def refresh(self) -> None:
        """Read again what the shop says of itself."""
        self._renderer.profile = await self._run(self._catalogue.profile)

    async def front(self, visit: Visit) -> Answer:
        """The catalogue, or what was searched for in it."""
        await self.refresh()
        query = visit.query.get("q", "").strip()[:MAX_QUERY]
        tag = visit.query.get("tag", "").strip()[:MAX_QUERY]
        asked = visit.query.get("page", "1")
        number = min(int(asked), MAX_PAGE) if asked.isascii() and asked.isdigit() else 1
        ask = partial(self._catalogue.page, query, tag, max(1, number), PAGE_SIZE)
        page = await self._run(ask)
        tags = await self._run(self._catalogue.tags)

        def link(number: int) -> str:
            fields = {"q": query, "tag": tag, "page": str(number)}
            return urlencode({name: value for name, value in fields.items() if value})

        body = self._renderer.page(
            "catalogue.html",
            page=page,
            tags=tags[:MAX_TAGS],
            query=query,
            tag=tag,
            front=not query and not tag and page.page == 1,
            link=link,
        )
        return Answer(200, body)

    async def item(self, visit: Visit, item_id: str) -> Answer:
        """What there is to know of an item, and how to buy it."""
        await self.refresh()
        item = await self.find(item_id)
        visitor, cookies = visit.visitor, []
        if visitor is None:
            visitor = self._forms.fresh_visitor()
            cookies.append(visitor_cookie(visitor))
        field = self._forms.field(f"buy {item.id}", visitor)
        body = self._renderer.page("item.html", item=item, field=field)
        return Answer(200, body, headers=tuple(cookies))

    async def find(self, item_id: str) -> Item:
        """Return an item that is for sale.

        Raises:
            NotFound: there is none.
            NotForSale: it was withdrawn.
        """
        try:
            item = await self._run(partial(self._catalogue.item, item_id))
        except NoSuchItem:
            raise NotFound from None
        if item.withdrawn:
            raise NotForSale
        return item

    async def blob(self, visit: Visit, name: str) -> Answer:
        """A small picture."""
        try:
            blob = await self._run(partial(self._catalogue.blob, name))
        except NoSuchBlob:
            raise NotFound from None
        if blob.media_type not in SHOWN:
            raise NotFound
        tag = f'"{quote(name)}"'
        headers = (("ETag", tag),)
        if matches(visit.if_none_match, tag):
            return Answer(304, b"", blob.media_type, FOR_EVER, headers)
        return Answer(200, blob.data, blob.media_type, FOR_EVER, headers)

    async def about(self, _visit: Visit) -> Answer:
        """What the shop is, and what stays private."""
        await self.refresh()
        return Answer(200, self._renderer.page("about.html"))

    async def tips(self, _visit: Visit) -> Answer:
        """Where tips go."""
        address = await self._meta_address()
        code = await self._run(partial(qr_code, address))
        body = self._renderer.page("tips.html", meta_address=address, side=code.side)
        return Answer(200, body)

    async def tips_qr(self, _visit: Visit) -> Answer:
        """The same as a picture."""
        code = await self._run(partial(qr_code, await self._meta_address()))
        return Answer(200, code.png, "image/png", PLAIN)

    async def feed(self, _visit: Visit) -> Answer:
        """The newest items as an Atom feed (RFC 4287); its times are whole days."""
        await self.refresh()
        items = await self._run(partial(self._catalogue.newest, FEED_ITEMS))
        entries = [_Entry(item, self._uuid(item.id), _day(item.added)) for item in items]
        newest = _day(max((item.added for item in items), default=0))
        body = self._renderer.raw(
            "feed.atom", entries=entries, feed_id=self._uuid("feed"), updated=newest
        )
        return Answer(200, body, "application/atom+xml; charset=utf-8", PLAIN)

    async def _meta_address(self) -> str:
        await self.refresh()
        if not self._renderer.profile.meta_address:
            raise NotFound
        return self._renderer.profile.meta_address

    def _uuid(self, what: str) -> str:
        # a name that says nothing, and stays: readers of feeds know entries by it
        name = hmac.digest(self._key, b"bits/shop-feed/v1" + what.encode(), hashlib.sha256).hex()
        return f"{name[:8]}-{name[8:12]}-8{name[13:16]}-a{name[17:20]}-{name[20:32]}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT00:00:00Z")
