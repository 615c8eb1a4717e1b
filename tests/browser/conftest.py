"""A localnet with one shop, and browsers that reach it through tor; started once."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.cli_net import CliNode, run
from tests.browser.visitors import Visitor, chromium
from tests.media.films import make
from tests.media.test_images import jpeg, scene

FILM_FRAMES = 500  # 20 seconds
FILM_NOISE = 96  # pixels a side: a film of several chunks, so that seeking is to another one


@attrs.frozen
class Item:
    """What is for sale.

    Attributes:
        id: of its page.
        sha256: of the content that is sold, in hex.
        price: wei.
        title: of it.
    """

    id: str
    sha256: str
    price: int
    title: str


@attrs.frozen
class Shop:
    """A running shop.

    Attributes:
        keeper: the node that runs it.
        chain: directory of the chain.
        proxy: for browsers.
        origin: ``http://….onion``.
        password: file with that of the keeper's wallet.
        film: a video of 20 seconds.
        pictures: a set of three.
        letter: a file of no kind that is shown.
    """

    keeper: CliNode
    chain: Path
    proxy: str
    origin: str
    password: Path
    film: Item
    pictures: Item
    letter: Item


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a film, a set of pictures and a page of HTML, on a localnet of four nodes."""
    if not (shutil.which("chromium") and shutil.which("firefox-esr")):
        pytest.skip(
            "chromium and firefox-esr are not installed; on Debian, bin/setup --test does it"
        )
    directory = Path(tempfile.mkdtemp(prefix="bits-browse-"))
    try:
        up = run("localnet", "up", "--nodes", "4", "--browse", "--dir", directory)
        assert up.status == 0, up.stderr
        keeper = CliNode(Path(up.result["nodes"][1]["home"]), up.result["nodes"][1]["peer_onion"])
        yield _furnish(keeper, up.result, tmp_path_factory.mktemp("goods"))
    finally:
        run("localnet", "down", "--dir", directory)
        shutil.rmtree(directory, ignore_errors=True)


def _furnish(keeper: CliNode, net: dict[str, Any], folder: Path) -> Shop:
    password = folder / "password"
    password.write_text("correct horse battery\n")
    password.chmod(0o600)
    keeper.ok("wallet", "create", "--password-file", password)
    made = keeper.ok("shop", "create", "--name", "The Garden", "--about", "Films, pictures, words.")

    def add(title: str, price: str, *files: Path, tags: str) -> Item:
        added = keeper.ok("shop", "add", *files, "--title", title, "--price", price, "--tags", tags)
        return Item(added["item"], added["sha256"], added["price"], title)

    film = make(folder / "film.mov", form="mov", frames=FILM_FRAMES, noise=FILM_NOISE)
    pictures = [folder / f"{number}.jpg" for number in range(3)]
    for turn, path in enumerate(pictures):
        path.write_bytes(jpeg(scene((900, 600)).rotate(90 * turn)))
    letter = folder / "letter.html"
    letter.write_text("<html><script>document.title = 'run'</script>")
    with ThreadPoolExecutor() as pool:
        adding = [
            pool.submit(add, "A walk", "0.05", film, tags="garden,evening"),
            pool.submit(add, "Three views", "0.02", *pictures, tags="garden"),
            pool.submit(add, "A letter", "0.01", letter, tags="words"),
        ]
        sold = [each.result() for each in adding]
    return Shop(
        keeper=keeper,
        chain=Path(net["chain"]["directory"]),
        proxy=net["browse"],
        origin=f"http://{made['shop_onion']}",
        password=password,
        film=sold[0],
        pictures=sold[1],
        letter=sold[2],
    )


@pytest.fixture(scope="package")
def browser(shop: Shop) -> Iterator[Browser]:
    """Chromium behind the localnet's proxy."""
    with sync_playwright() as playwright, chromium(playwright, shop.proxy) as started:
        yield started


NewVisitor = Callable[..., Visitor]


@pytest.fixture
def visitor(shop: Shop, browser: Browser) -> Iterator[NewVisitor]:
    """Make visitors, each a browser with cookies of its own; without scripts unless told."""
    made: list[Visitor] = []

    def new(*, scripts: bool = False, width: int = 390) -> Visitor:
        made.append(Visitor(browser, shop.origin, scripts, width))
        return made[-1]

    yield new
    for each in made:
        each.leave()
    assert [fault for each in made for fault in each.faults] == []


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are put: a folder of the run, or what BITS_SCREENSHOTS names."""
    if chosen := os.environ.get("BITS_SCREENSHOTS"):
        Path(chosen).mkdir(parents=True, exist_ok=True)
        return Path(chosen)
    return tmp_path_factory.mktemp("screenshots")
