"""The pages that everybody may see, through the shop's onion: weight, scripts, access, looks."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import NewVisitor, Shop
from tests.browser.tables import HEADINGS, table
from tests.browser.visitors import WIDTHS, Visitor, picture_by_firefox

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]


def pages(shop: Shop) -> dict[str, str]:
    """Every page that needs no order, by name."""
    return {
        "catalogue": "/",
        "search": "/?q=walk",
        "nothing found": "/?q=nonesuch",
        "tag": "/?tag=garden",
        "video": f"/item/{shop.film.id}",
        "pictures": f"/item/{shop.pictures.id}",
        "claim": "/claim",
        "tips": "/tips",
        "about": "/about",
        "no such item": "/item/aaaaaaaaaa",
    }


def seen(visitor: Visitor, path: str) -> str:
    """Open a page and return what it says."""
    visitor.open(path)
    return visitor.text


def test_every_page_page_by_page(
    shop: Shop,
    visitor: NewVisitor,
    pictures: Path,
    record_property: Callable[[str, str], None],
) -> None:
    """Each page says the same with scripts and without, asks nobody else, and axe finds nothing."""
    scripted = visitor(scripts=True)
    rows = [HEADINGS]
    for name, path in pages(shop).items():
        plain = visitor()  # each page is loaded cold
        said = seen(plain, path)
        loaded = list(plain.loaded)
        plain.shoot(pictures, name.replace(" ", "-"))
        needs = "no" if seen(scripted, path) == said else "YES"
        faults = scripted.axe()
        size = sum(each.size for each in loaded)
        rows.append((name, str(len(loaded)), str(size), needs, "; ".join(faults) or "nothing"))
        assert (needs, faults) == ("no", []), name
        wrong = [each for each in loaded if each.status != 200 and each.path != path]
        assert wrong == []
    record_property("table", table(rows))


def test_people_find_their_way(shop: Shop, visitor: NewVisitor) -> None:
    """Browse, search, choose a tag and an item: by links and forms alone."""
    guest = visitor()
    guest.open("/")
    assert all(each.title in guest.text for each in (shop.film, shop.pictures, shop.letter))
    guest.page.get_by_label("Search").fill("walk")
    guest.press("Search")
    assert shop.film.title in guest.text
    assert shop.letter.title not in guest.text
    guest.press("words")
    assert shop.letter.title in guest.text
    assert shop.film.title not in guest.text
    guest.press(shop.letter.title)
    assert guest.path == f"/item/{shop.letter.id}"
    assert "0.01" in guest.text


def test_by_keyboard_alone(shop: Shop, visitor: NewVisitor) -> None:
    """The first key leads past the navigation, and what has the focus can be seen."""
    guest = visitor(scripts=True)
    guest.open("/")
    guest.page.keyboard.press("Tab")
    guest.page.keyboard.press("Enter")
    assert guest.path == "/#content"
    for _ in range(3):
        guest.page.keyboard.press("Tab")
        shown = guest.page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement);"
            " return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0; })()"
        )
        assert shown


def colours(picture: Path) -> set[tuple[int, ...]]:
    """The colours of a picture, in eight steps each."""
    with Image.open(picture) as found:
        small = found.convert("RGB").quantize(32).convert("RGB")
        return {tuple(value // 32 for value in each[1]) for each in small.getcolors(1 << 16) or []}


def check_rendered(picture: Path, width: int) -> None:
    """The page is there in its style: the green of its button, and red from the thumbnails."""
    with Image.open(picture) as found:
        assert found.width == width
    found_colours = colours(picture)
    for expected in ((7, 0, 0), (1, 2, 2)):
        assert min(math.dist(expected, each) for each in found_colours) < 2


def test_firefox_at_its_safest(shop: Shop, tmp_path: Path, pictures: Path) -> None:
    """Without scripts and SVG another engine shows the catalogue too, through the onion."""
    picture = picture_by_firefox(f"{shop.origin}/", shop.proxy, WIDTHS[0], tmp_path)
    check_rendered(picture, WIDTHS[0])
    picture.rename(pictures / "firefox-catalogue-390.png")


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["catalogue", "pictures", "claim", "tips", "no such item"])
def test_firefox_shows_each_page(
    shop: Shop, tmp_path: Path, pictures: Path, name: str, width: int
) -> None:
    """Each kind of page at both widths."""
    url = f"{shop.origin}{pages(shop)[name]}"
    picture = picture_by_firefox(url, shop.proxy, width, tmp_path)
    with Image.open(picture) as found:
        assert found.width == width
    assert len(colours(picture)) > 3
    picture.rename(pictures / f"firefox-{name.replace(' ', '-')}-{width}.png")
