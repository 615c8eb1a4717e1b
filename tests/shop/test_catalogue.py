"""The catalogue: what is kept, found, shown and refused."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bitsnode.ids import ContentId
from bitsnode.ledger.errors import LedgerFileTooNew
from bitsnode.shop import catalogue as catalogue_module
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.errors import (
    BadItem,
    BadShopText,
    ItemInShop,
    NoShop,
    NoSuchBlob,
    NoSuchItem,
    ShopDiskError,
    ShopSealed,
    TooManyItems,
)
from bitsnode.shop.items import MAX_BLOB, Blob, Draft, Part, Profile, is_id
from tests.shop.conftest import KEY, NOW

Make = Callable[..., Draft]


def titles(found: "list[object] | tuple[object, ...]") -> list[str]:
    """The titles of items."""
    return [getattr(item, "title") for item in found]  # noqa: B009


def test_a_profile_replaces_the_one_before(catalogue: Catalogue) -> None:
    """There is none at first, and then always one."""
    with pytest.raises(NoShop):
        catalogue.profile()
    catalogue.set_profile(Profile("Studio"))
    catalogue.set_profile(Profile("  Studio Nord ", "Prints.\r\nAnd more.", "st:eth:0x00"))
    assert catalogue.profile() == Profile("Studio Nord", "Prints.\nAnd more.", "st:eth:0x00")


def test_an_item_is_there_after_a_restart(tmp_path: Path, draft: Make) -> None:
    """All that was said of it, its link too."""
    first = Catalogue(tmp_path / "shop.db", KEY)
    made = draft("Blue hour", description="Over\nthe sea", tags=("Sea", "night  sky", "sea"))
    item = first.add(made, NOW)
    first.close()
    again = Catalogue(tmp_path / "shop.db", KEY)
    assert again.item(item.id) == item == again.of_content(made.link.content_id)
    assert item.tags == ("sea", "night sky")
    assert again.link(item.id) == made.link
    assert again.secrets(item.id).publisher_seed == made.publisher_seed
    again.close()


def test_nothing_that_is_shown_tells_the_hour_or_the_content(
    catalogue: Catalogue, draft: Make
) -> None:
    """Times are whole days; ids and the names of pictures are drawn by lot, or under a lot."""
    picture = Blob("image/webp", b"picture")
    made = draft(thumbnail=picture, preview=picture)
    item = catalogue.add(made, NOW)
    assert item.added % 86_400 == 0
    assert 0 <= NOW - item.added < 86_400
    assert is_id(item.id)
    assert item.thumbnail == item.preview  # the same picture is kept once
    assert catalogue.blob(item.thumbnail) == picture


def test_one_picture_has_another_name_in_another_shop(tmp_path: Path, draft: Make) -> None:
    """So nobody can ask a shop for a picture that they know."""
    names = set()
    for name in ("a", "b"):
        shop = Catalogue(tmp_path / name, KEY)
        made = draft(thumbnail=Blob("image/webp", b"picture"))
        names.add(shop.add(made, NOW).thumbnail)
        shop.close()
    assert len(names) == 2


def test_what_reads_a_content_is_sealed(tmp_path: Path, draft: Make) -> None:
    """The file alone has no secret of an item; another key opens nothing; no entry can move."""
    shop = Catalogue(tmp_path / "shop.db", KEY)
    item, other = shop.add(draft(), NOW), shop.add(draft("Other"), NOW)
    shop.close()
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"s" * 16 not in data
    assert b"p" * 32 not in data
    stranger = Catalogue(tmp_path / "shop.db", b"\x00" * 32)
    with pytest.raises(ShopSealed):
        stranger.link(item.id)
    stranger.close()
    with sqlite3.connect(tmp_path / "shop.db") as file:
        (sealed,) = file.execute("SELECT sealed FROM items WHERE id = ?", (other.id,)).fetchone()
        file.execute("UPDATE items SET sealed = ? WHERE id = ?", (sealed, item.id))
    file.close()
    shop = Catalogue(tmp_path / "shop.db", KEY)
    with pytest.raises(ShopSealed):
        shop.link(item.id)
    shop.close()


def test_search_finds_words_by_their_beginning(catalogue: Catalogue, draft: Make) -> None:
    """In titles, descriptions and tags, without accents; every word must be there."""
    catalogue.add(draft("Café at night", tags=["paris"]), NOW)
    catalogue.add(draft("Harbour", description="A café by the sea"), NOW)
    catalogue.add(draft("Forest"), NOW)
    assert sorted(titles(catalogue.page("cafe").items)) == ["Café at night", "Harbour"]
    assert titles(catalogue.page("PAR").items) == ["Café at night"]
    assert titles(catalogue.page("cafe sea").items) == ["Harbour"]
    assert titles(catalogue.page("  ").items) == ["Forest", "Harbour", "Café at night"]
    assert catalogue.page("--- \"'").items == ()


@pytest.mark.parametrize(
    "query",
    ['"', "a OR b", "title:x", "NEAR(a b)", "a* ^b", "-x", "\x00", "*", "(" * 500, "é" * 500],
)
def test_a_search_is_never_an_operator(catalogue: Catalogue, draft: Make, query: str) -> None:
    """Whatever visitors type finds what has these words, or nothing, and breaks nothing."""
    catalogue.add(draft("Blue hour"), NOW)
    assert catalogue.page(query).items == ()


def test_pages_are_newest_first_and_end(catalogue: Catalogue, draft: Make) -> None:
    """A page behind the last one is the last one."""
    for number in range(50):
        catalogue.add(draft(f"No {number}", tags=("even",) if number % 2 == 0 else ()), NOW)
    first, last = catalogue.page(), catalogue.page(page=10**30)
    assert (first.total, first.pages, first.page, len(first.items)) == (50, 3, 1, 24)
    assert first.items[0].title == "No 49"
    assert (last.page, titles(last.items)) == (3, ["No 1", "No 0"])
    assert catalogue.page(tag="EVEN", page=-1).total == 25
    assert catalogue.page("no", tag="even").total == 25
    assert catalogue.tags() == [("even", 25)]
    assert titles(catalogue.newest(2)) == ["No 49", "No 48"]
    assert len(catalogue.page(size=10**9).items) == 50


def test_what_is_withdrawn_is_shown_to_nobody_who_browses(
    catalogue: Catalogue, draft: Make
) -> None:
    """Who has its id, and may have paid, still finds it."""
    item = catalogue.add(draft("Blue hour", tags=["sea"]), NOW)
    assert catalogue.withdraw(item.id).withdrawn
    assert catalogue.page().total == catalogue.page("blue").total == catalogue.page(tag="sea").total
    assert (catalogue.page().total, catalogue.tags()) == (0, [])
    assert catalogue.item(item.id).withdrawn
    assert titles(catalogue.all()) == ["Blue hour"]


def test_an_edit_changes_what_is_given_and_what_is_found(catalogue: Catalogue, draft: Make) -> None:
    """The rest stays; searches and tags follow."""
    item = catalogue.add(draft("Blue hour", description="d", tags=["sea"]), NOW)
    changed = catalogue.edit(item.id, title="Green hour", tags=["wood"], price=5)
    assert (changed.title, changed.tags, changed.price) == ("Green hour", ("wood",), 5)
    assert (changed.description, changed.content_id) == ("d", item.content_id)
    assert catalogue.page("blue").total == catalogue.page(tag="sea").total == 0
    assert catalogue.page("green").items == (changed,)
    assert catalogue.tags() == [("wood", 1)]
    assert catalogue.edit(item.id, description="", tags=()).description == ""


def test_prices_may_be_any_sum(catalogue: Catalogue, draft: Make) -> None:
    """More wei than SQLite's integers hold."""
    item = catalogue.add(draft(price=10**24 + 1), NOW)
    assert catalogue.item(item.id).price == 10**24 + 1


def test_what_is_not_there_is_said(catalogue: Catalogue) -> None:
    """Items, links and pictures."""
    for act in (catalogue.item, catalogue.link, catalogue.withdraw, catalogue.edit):
        with pytest.raises(NoSuchItem):
            act("aaaaaaaaaa")
    with pytest.raises(NoSuchItem):
        catalogue.of_content(ContentId(bytes(32)))
    with pytest.raises(NoSuchBlob):
        catalogue.blob("../shop.db")


def test_a_shop_has_limits(
    catalogue: Catalogue, draft: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A content once; so many items; a refused one leaves no picture behind."""
    monkeypatch.setattr(catalogue_module, "MAX_ITEMS", 2)
    made = draft()
    catalogue.add(made, NOW)
    with pytest.raises(ItemInShop):
        catalogue.add(made, NOW)
    catalogue.add(draft(), NOW)
    with pytest.raises(TooManyItems):
        catalogue.add(draft(thumbnail=Blob("image/png", b"kept?")), NOW)
    assert catalogue.database.rows("SELECT count(*) FROM blobs") == [(0,)]


@pytest.mark.parametrize(
    "values",
    [
        {"title": " "},
        {"title": "x" * 121},
        {"title": "two\nlines"},
        {"title": "photo\u202egpj.exe"},
        {"description": "x" * 4001},
        {"description": "bell\x07"},
        {"tags": ["a,b"]},
        {"tags": ["x" * 33]},
        {"tags": [f"tag {n}" for n in range(13)]},
        {"tags": [""]},
        {"tags": ["<script>"]},
    ],
)
def test_texts_that_cannot_be_shown_are_refused(draft: Make, values: dict[str, object]) -> None:
    """Empty, long, of several lines, or not what they look like."""
    with pytest.raises(BadShopText):
        draft(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"price": 0},
        {"price": -1},
        {"price": 1 << 96},
        {"price": 1.5},
        {"media_type": "text/html; x"},
        {"media_type": "html"},
        {"parts": (Part("image/png", 1),) * 1001},
        {"bytes": -1},
        {"width": 1 << 17},
    ],
)
def test_numbers_that_cannot_be_right_are_refused(draft: Make, values: dict[str, object]) -> None:
    """Nothing of it reaches the catalogue."""
    with pytest.raises(BadItem):
        draft(**values)


def test_a_preview_is_a_small_picture() -> None:
    """No script, no markup, nothing large."""
    for media_type, size in (("image/svg+xml", 1), ("text/html", 1), ("image/webp", MAX_BLOB + 1)):
        with pytest.raises(BadItem):
            Blob(media_type, bytes(size))


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A shop of a later version is not touched."""
    Catalogue(tmp_path / "shop.db", KEY).close()
    with sqlite3.connect(tmp_path / "shop.db") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(LedgerFileTooNew):
        Catalogue(tmp_path / "shop.db", KEY)


def test_a_full_disk_is_said_and_changes_nothing(catalogue: Catalogue, draft: Make) -> None:
    """What was there is there, and what did not fit is not there in part."""
    catalogue.set_profile(Profile("Studio"))
    item = catalogue.add(draft("Blue hour"), NOW)
    ((pages,),) = catalogue.database.rows("PRAGMA page_count")
    catalogue.database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ShopDiskError, match="full"):
        catalogue.add(draft("Large", preview=Blob("image/webp", bytes(500_000))), NOW)
    assert catalogue.all() == [item]
    assert catalogue.database.rows("SELECT count(*) FROM blobs") == [(0,)]
    assert catalogue.page("large").total == 0
    catalogue.database.rows("PRAGMA max_page_count = 1000000")
    assert catalogue.add(draft("Large"), NOW).title == "Large"
