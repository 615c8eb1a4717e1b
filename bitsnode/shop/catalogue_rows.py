"""How items stand in ``shop.db``. Pure."""

from collections.abc import Sequence
from typing import Any, Final

import attrs

from bitsnode.ids import ContentId
from bitsnode.shop.items import Draft, Item, Kind

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        "CREATE TABLE profile (name TEXT NOT NULL, about TEXT NOT NULL, meta TEXT NOT NULL)",
        """
        CREATE TABLE items (
            number INTEGER PRIMARY KEY,     -- in the order in which they came
            id TEXT NOT NULL UNIQUE,
            content BLOB NOT NULL UNIQUE,
            title TEXT NOT NULL,
            description TEXT NOT NULL,
            tags TEXT NOT NULL,             -- joined by commas, which no tag has
            price TEXT NOT NULL,            -- wei, more than SQLite's integers hold
            kind TEXT NOT NULL,
            media_type TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            pictures INTEGER NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            thumbnail TEXT NOT NULL,
            preview TEXT NOT NULL,
            added INTEGER NOT NULL,
            withdrawn INTEGER NOT NULL,
            sealed BLOB NOT NULL            -- what reads the content
        )
        """,
        """
        CREATE TABLE tags (
            tag TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tag, number)
        ) WITHOUT ROWID
        """,
        """
        CREATE VIRTUAL TABLE words USING fts5 (
            title, description, tags, tokenize = 'unicode61 remove_diacritics 2'
        )
        """,
        """
        CREATE TABLE blobs (name TEXT PRIMARY KEY, media_type TEXT NOT NULL, data BLOB NOT NULL)
        """,
        """
        CREATE TABLE parts (                -- of sets, in their order
            number INTEGER NOT NULL,
            media_type TEXT NOT NULL,
            size INTEGER NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            position INTEGER NOT NULL,      -- in the content, bytes
            PRIMARY KEY (number, position)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE naming (key BLOB NOT NULL)",
    ),
)
NAMES: Final = (
    "id",
    "title",
    "description",
    "tags",
    "content",
    "price",
    "kind",
    "media_type",
    "bytes",
    "pictures",
    "width",
    "height",
    "thumbnail",
    "preview",
    "added",
    "withdrawn",
)
COLUMNS: Final = ", ".join(NAMES)
_SAME: Final = NAMES[1:4] + NAMES[5:12]  # in a draft as in an item


def of_draft(draft: Draft, item_id: str, blobs: tuple[str, str], day: int) -> Item:
    """Return the item that a draft becomes.

    Args:
        draft: what it is.
        item_id: its id.
        blobs: names of its thumbnail and preview.
        day: on which it came.
    """
    thumbnail, preview = blobs
    return Item(
        id=item_id,
        content_id=draft.link.content_id,
        thumbnail=thumbnail,
        preview=preview,
        added=day,
        withdrawn=False,
        **{name: getattr(draft, name) for name in _SAME},
    )


def to_row(item: Item) -> list[object]:
    """Return an item as it is kept, in the order of `NAMES`."""
    values = attrs.asdict(item, recurse=False) | {
        "tags": ",".join(item.tags),
        "content": item.content_id.digest,
        "price": str(item.price),
        "kind": item.kind.value,
    }
    return [values[name] for name in NAMES]


def from_row(row: Sequence[Any]) -> Item:
    """Return an item that was kept."""
    values = dict(zip(NAMES, row, strict=True))
    content = ContentId(values.pop("content"))
    return Item(
        **values
        | {
            "content_id": content,
            "tags": tuple(filter(None, values["tags"].split(","))),
            "price": int(values["price"]),
            "kind": Kind(values["kind"]),
            "withdrawn": bool(values["withdrawn"]),
        }
    )
