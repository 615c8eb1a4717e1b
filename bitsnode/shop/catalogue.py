"""What is in a shop, on the disk: ``HOME/shop/shop.db``.

All of it may be seen by everybody but the links, which are sealed. Its methods block; any thread
may call them, and each is one transaction.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.ledger.database import Database
from bitsnode.shop import texts
from bitsnode.shop.blobs import Blobs
from bitsnode.shop.catalogue_rows import COLUMNS, MIGRATIONS, NAMES, from_row, of_draft, to_row
from bitsnode.shop.errors import (
    ItemInShop,
    NoShop,
    NoSuchItem,
    TooManyItems,
)
from bitsnode.shop.items import (
    Blob,
    Draft,
    Item,
    Page,
    Part,
    Profile,
    check_price,
    day_of,
    fresh_id,
)
from bitsnode.shop.search import fts_query
from bitsnode.shop.secrets import Secrets
from bitsnode.shop.writing import written

MAX_ITEMS: Final = 5_000
PAGE: Final = 24  # items
MAX_PAGE: Final = 100  # items


class Catalogue:
    """The profile of a shop and its items.

    Args:
        path: of the file.
        key: that seals the links, 32 bytes.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        self.database = Database(path, MIGRATIONS, "shop")
        self._blobs = Blobs(self.database)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    # The shop

    def profile(self) -> Profile:
        """Return what the shop says of itself.

        Raises:
            NoShop: there is none yet.
        """
        for row in self._select("SELECT name, about, meta FROM profile"):
            return Profile(*row)
        raise NoShop

    def set_profile(self, profile: Profile) -> None:
        """Keep what the shop says of itself."""
        with self._lock, written(self.database):
            self.database.rows("DELETE FROM profile")
            self.database.rows(
                "INSERT INTO profile VALUES (?, ?, ?)", *attrs.astuple(profile, recurse=False)
            )

    # Its items

    def add(self, draft: Draft, now: float) -> Item:
        """Take an item into the shop.

        Args:
            draft: what it is.
            now: Unix time in seconds, of which the day is kept.

        Raises:
            ItemInShop: the content is there already.
            TooManyItems: the shop is full.
        """
        content = draft.link.content_id
        sealed = Secrets.of(draft.link, draft.publisher_seed).seal(self._key)
        with self._lock, written(self.database):
            if self.database.rows("SELECT 1 FROM items WHERE content = ?", content.digest):
                raise ItemInShop
            if self.database.rows("SELECT count(*) FROM items") >= [(MAX_ITEMS,)]:
                raise TooManyItems
            blobs = self._blobs.keep(draft.thumbnail), self._blobs.keep(draft.preview)
            item = of_draft(draft, fresh_id(), blobs, day_of(now))
            self.database.rows(
                f"INSERT INTO items ({COLUMNS}, sealed) VALUES ({'?, ' * len(NAMES)}?)",  # noqa: S608
                *to_row(item),
                sealed,
            )
            number = self._index(item)
            self.database.many(
                "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)",
                [(number, *attrs.astuple(part)) for part in draft.parts],
            )
        return item

    def edit(
        self,
        item_id: str,
        *,
        title: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        price: int | None = None,
    ) -> Item:
        """Change what is given of an item, and return it.

        Raises:
            NoSuchItem: there is none.
            BadShopText, BadItem: that cannot be said of an item.
        """
        if price is not None:
            check_price(price)
        found = {
            "title": None if title is None else texts.title(title),
            "description": None if description is None else texts.paragraphs(description),
            "tags": None if tags is None else texts.tags(tags),
            "price": price,
        }
        return self._change(item_id, **{k: v for k, v in found.items() if v is not None})

    def withdraw(self, item_id: str) -> Item:
        """Show an item no more in the catalogue, and return it.

        Raises:
            NoSuchItem: there is none.
        """
        return self._change(item_id, withdrawn=True)

    def item(self, item_id: str) -> Item:
        """Return an item, withdrawn or not.

        Raises:
            NoSuchItem: there is none.
        """
        return self._one("id", item_id)

    def of_content(self, content: ContentId) -> Item:
        """Return the item of a content.

        Raises:
            NoSuchItem: there is none.
        """
        return self._one("content", content.digest)

    def parts(self, item_id: str) -> tuple[Part, ...]:
        """Return the pictures of a set in their order; none of what is no set, or not there."""
        rows = self._select(
            "SELECT parts.media_type, size, parts.width, parts.height, position FROM parts"
            " JOIN items USING (number) WHERE id = ? ORDER BY position",
            item_id,
        )
        return tuple(Part(*row) for row in rows)

    def link(self, item_id: str) -> Link:
        """Return what reads an item's content.

        Raises:
            NoSuchItem: there is none.
            ShopSealed: the key is another.
        """
        return self.secrets(item_id).link

    def secrets(self, item_id: str) -> Secrets:
        """Return what reads an item's content and what offers it.

        Raises:
            NoSuchItem: there is none.
            ShopSealed: the key is another.
        """
        for content, sealed in self._select(
            "SELECT content, sealed FROM items WHERE id = ?", item_id
        ):
            return Secrets.unseal(self._key, sealed, content)
        raise NoSuchItem

    # What visitors ask

    def page(self, query: str = "", tag: str = "", page: int = 1, size: int = PAGE) -> Page:
        """Return a page of what is sold, newest first, or what fits a search best.

        Args:
            query: words; each must begin a word of title, description or tags. "" for all.
            tag: that all must have; "" for any.
            page: from 1; the last one is given instead of one behind it.
            size: items on a page, at most `MAX_PAGE`.
        """
        words = fts_query(query)
        if query.strip() and not words:
            return Page((), 0, 1, 1)
        source, values = "items", []
        if words:
            source += " JOIN words ON words.rowid = items.number AND words MATCH ?"
            values.append(words)
        if tag:
            source += " JOIN tags ON tags.number = items.number AND tags.tag = ?"
            values.append(tag.lower()[: texts.MAX_TAG])
        source += " WHERE NOT withdrawn"
        size = max(1, min(size, MAX_PAGE))
        order = "rank, items.number DESC" if words else "items.number DESC"
        columns = ", ".join(f"items.{name}" for name in NAMES)
        with self._lock, self.database.transaction():
            ((total,),) = self._rows(f"SELECT count(*) FROM {source}", *values)  # noqa: S608
            pages = max(1, -(-total // size))
            page = max(1, min(page, pages))
            rows = self._rows(
                f"SELECT {columns} FROM {source} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
                *values,
                size,
                (page - 1) * size,
            )
        return Page(tuple(map(from_row, rows)), total, page, pages)

    def newest(self, count: int) -> list[Item]:
        """Return what came last and is sold, newest first."""
        return list(self.page(size=count).items)

    def all(self) -> list[Item]:
        """Return every item, withdrawn ones too, newest first."""
        query = f"SELECT {COLUMNS} FROM items ORDER BY number DESC"  # noqa: S608
        return [from_row(row) for row in self._select(query)]

    def tags(self) -> list[tuple[str, int]]:
        """Return the tags of what is sold and how many items have each, the most first."""
        query = (
            "SELECT tag, count(*) FROM tags JOIN items USING (number) WHERE NOT withdrawn"
            " GROUP BY tag ORDER BY count(*) DESC, tag"
        )
        return [(tag, count) for tag, count in self._select(query)]

    def blob(self, name: str) -> Blob:
        """Return a thumbnail or preview by its name.

        Raises:
            NoSuchBlob: there is none.
        """
        with self._lock:
            return self._blobs.find(name)

    # Inside

    def _change(self, item_id: str, **values: Any) -> Item:
        with self._lock, written(self.database):
            rows = self._rows(f"SELECT {COLUMNS} FROM items WHERE id = ?", item_id)  # noqa: S608
            if not rows:
                raise NoSuchItem
            item = attrs.evolve(from_row(rows[0]), **values)
            self.database.rows(
                "UPDATE items SET title = ?, description = ?, tags = ?, price = ?, withdrawn = ?"
                " WHERE id = ?",
                item.title,
                item.description,
                ",".join(item.tags),
                str(item.price),
                item.withdrawn,
                item.id,
            )
            self._index(item)
        return item

    def _index(self, item: Item) -> int:
        ((number,),) = self._rows("SELECT number FROM items WHERE id = ?", item.id)
        self.database.rows("DELETE FROM words WHERE rowid = ?", number)
        self.database.rows("DELETE FROM tags WHERE number = ?", number)
        self.database.rows(
            "INSERT INTO words (rowid, title, description, tags) VALUES (?, ?, ?, ?)",
            number,
            item.title,
            item.description,
            " ".join(item.tags),
        )
        self.database.many("INSERT INTO tags VALUES (?, ?)", [(tag, number) for tag in item.tags])
        return int(number)

    def _one(self, column: str, value: object) -> Item:
        query = f"SELECT {COLUMNS} FROM items WHERE {column} = ?"  # noqa: S608
        for row in self._select(query, value):
            return from_row(row)
        raise NoSuchItem

    def _select(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._rows(statement, *values)

    def _rows(self, statement: str, *values: object) -> list[Any]:
        return self.database.rows(statement, *values)
