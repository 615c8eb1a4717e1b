"""A shop with 24 items: pages a second, what a page weighs, and a crowd beside a fetch.

Pages a second are those of the shop's onion against a bare klein app that hands out the same bytes
from memory, on another onion of the same tor (an onion that is published cannot be given a second
port). Both are asked over the same number of circuits of the same visitor's tor, in turns.

Then a reader fetches from the node that keeps the shop, alone and while fifty visitors walk
through it, in turns. All of them come in the same moment; each has a circuit and up to six
connections of its own, and reads a page for five seconds before it goes to the next.
"""

import base64
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from tests.acceptance.cli_net import CliLocalnet, CliNode, run, wait_for
from tests.acceptance.crowd import Crowd, Walk, Window, links
from tests.acceptance.onion_web import Browser, NotConnected
from tests.bench.transfers import bits

ITEMS = 24  # a whole page of the catalogue
SIZE = 48 << 20  # bytes that are fetched
ROUNDS = 3
CONNECTIONS = 16
REQUESTS = 160  # in one turn: below what the shop lets through at once
VISITORS = 50
READING = 5.0  # seconds
MOST_BYTES = 60_000  # HTML and style sheet of the catalogue
MOST_REQUESTS = 3  # of an item's page, before its picture
KEPT = 0.7

_BARE = """
import base64, json, sys
from klein import Klein
from twisted.internet import reactor
from twisted.web.server import Site
pages = {path: base64.b64decode(body) for path, body in json.load(sys.stdin).items()}
app = Klein()
@app.route("/<path:path>")
@app.route("/", defaults={"path": ""})
def page(request, path):
    body = pages["/" + path]
    request.setHeader("Content-Length", str(len(body)))
    return body
reactor.listenUNIX(sys.argv[1], Site(app.resource()), 1024)
reactor.run()
"""


@contextmanager
def bare_klein(keeper: CliNode, socket: Path, pages: dict[str, bytes]) -> Iterator[str]:
    """Hand out pages from an onion of the shop's tor; yield its host name."""
    from stem.control import Controller

    server = subprocess.Popen(
        [sys.executable, "-c", _BARE, str(socket)], stdin=subprocess.PIPE, text=True
    )
    told = {path: base64.b64encode(body).decode() for path, body in pages.items()}
    assert server.stdin is not None
    with server.stdin as stdin:
        json.dump(told, stdin)
    try:
        wait_for(socket.exists)
        control_socket = keeper.home / "shop" / "tor" / "control.sock"
        with Controller.from_socket_file(str(control_socket)) as control:
            control.authenticate()
            service = control.create_ephemeral_hidden_service(
                {80: f"unix:{socket}"}, await_publication=True
            )
            yield f"{service.service_id}.onion"
    finally:
        server.terminate()
        server.wait()


def pages_a_second(windows: Sequence[Window], path: str) -> float:
    """Ask over all connections at once, each again as soon as it is answered."""

    def ask(window: Window) -> None:
        for _ in range(REQUESTS // len(windows)):
            if window.get(path).status != 200:
                raise RuntimeError(f"{path} was refused")

    began = time.monotonic()
    with ThreadPoolExecutor(len(windows)) as pool:
        list(pool.map(ask, windows))
    return REQUESTS / (time.monotonic() - began)


def rows() -> list[dict[str, Any]]:
    """Open a shop, fill it, and measure."""
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        try:
            up = run("localnet", "up", "--nodes", "2", "--dir", directory).result
            nodes = [CliNode(Path(node["home"]), node["peer_onion"]) for node in up["nodes"]]
            net = CliLocalnet(directory, nodes)
            (directory / "big").write_bytes(secrets.token_bytes(SIZE))
            published = nodes[0].ok("publish", "--free", directory / "big")
            assert published["code"] == "1/1"  # the other node has it whole
            with net.newcomer("reader", "--storage", "0") as reader, net.newcomer("fans") as fans:
                onion = _furnish(nodes[1], directory)
                nodes[0].kill()
                socks = fans.home / "tor" / "socks.sock"
                found = _pages(nodes[1], onion, socks, directory)
                return found + _crowd(onion, socks, reader, published["link"], directory / "out")
        finally:
            run("localnet", "down", "--dir", directory)


def _furnish(keeper: CliNode, folder: Path) -> str:
    """Open a shop full of pictures; return its onion."""
    password = folder / "password"
    password.write_text("correct horse battery\n")
    password.chmod(0o600)
    keeper.ok("wallet", "create", "--password-file", password)
    onion: str = keeper.ok("shop", "create", "--name", "Many Things")["shop_onion"]

    def add(number: int) -> None:
        picture = folder / f"{number}.jpg"
        noise = Image.effect_noise((80, 60), 60 + number).resize((900, 600))
        noise.convert("RGB").save(picture)
        words = ("--title", f"Picture {number}", "--price", "0.01", "--tags", "one,two")
        keeper.ok("shop", "add", picture, *words)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(ITEMS)))
    return onion


def _pages(keeper: CliNode, onion: str, socks: Path, folder: Path) -> list[dict[str, Any]]:
    shop = [Window(Browser(socks, f"shop {each}"), onion) for each in range(CONNECTIONS)]
    needed = links(shop[0].get("/"))
    item, blob, style = (
        next(path for path in needed if path.startswith(kind) and path.endswith(end))
        for kind, end in (("/item/", ""), ("/blob/", ""), ("/static/", ".css"))
    )
    bodies = {path: shop[0].get(path).body for path in ("/", item, blob, style)}
    kinds = {"/": "catalogue", item: "item", blob: "thumbnail"}
    rates: dict[str, list[tuple[float, float]]] = {path: [] for path in kinds}
    with bare_klein(keeper, folder / "bare.sock", bodies) as host:
        wait_for(lambda: _reaches(Browser(socks), host))
        bare = [Window(Browser(socks, f"bare {each}"), host) for each in range(CONNECTIONS)]
        for _ in range(ROUNDS):
            for path in kinds:
                base = pages_a_second(bare, path)
                rates[path].append((pages_a_second(shop, path), base))
        for window in bare:
            window.close()
    found = []
    for path, kind in kinds.items():
        ours, theirs = map(statistics.median, zip(*rates[path], strict=True))
        what = f"{kind} pages a second, against a bare klein app"
        found.append(_row(what, f"{ours:.0f}/s", f"{theirs:.0f}/s", ours / theirs, "none", True))
    pictures = sum(len(shop[0].get(each).body) for each in needed if each.startswith("/blob/"))
    size = len(bodies["/"]) + len(bodies[style])
    before = 1 + sum(each.startswith("/static/") for each in links(shop[0].get(item)))
    for window in shop:
        window.close()
    what = f"catalogue of {ITEMS}: HTML and CSS, against its pictures"
    return [
        *found,
        _row(what, f"{size} B", f"{pictures} B", size / pictures, "<= 60000 B", size <= MOST_BYTES),
        _row(
            "requests of an item page before its picture",
            str(before),
            str(MOST_REQUESTS),
            before / MOST_REQUESTS,
            "<= 3",
            before <= MOST_REQUESTS,
        ),
    ]


def _reaches(browser: Browser, host: str) -> bool:
    try:
        browser.connect(host).close()
    except (NotConnected, TimeoutError):
        return False  # where its descriptor is asked for it has not arrived
    return True


def _crowd(
    onion: str, socks: Path, reader: CliNode, link: str, output: Path
) -> list[dict[str, Any]]:
    alone, beside, crowds = [], [], []
    for number in range(ROUNDS):
        alone.append(bits(reader, link, output).seconds)
        browsers = [Browser(socks, f"visitor {number} {each}") for each in range(VISITORS)]
        crowd = Crowd([Walk(browser, onion, items=3) for browser in browsers], READING)
        with crowd.walking():
            beside.append(bits(reader, link, output).seconds)
        crowds.append(crowd)
    errors = [error for crowd in crowds for error in crowd.errors]
    for error in sorted(set(errors)):
        print(f"  {errors.count(error)} times: {error}")
    again = sum(walk.again for crowd in crowds for walk in crowd.walks)
    visits = sum(crowd.visits for crowd in crowds)
    print(f"  introductions that ended nowhere: {again} of {visits} visits")
    requests = sum(walk.requests for crowd in crowds for walk in crowd.walks)
    mine, base = statistics.median(beside), statistics.median(alone)
    return [
        _row(
            f"errors of {VISITORS} visitors at once, of all answers",
            str(len(errors)),
            str(requests),
            len(errors) / requests,
            "0",
            not errors,
        ),
        _row(
            "fetch from their node meanwhile, against without them",
            f"{SIZE / mine / (1 << 20):.2f} MiB/s",
            f"{SIZE / base / (1 << 20):.2f} MiB/s",
            base / mine,
            f">= {KEPT}",
            base / mine >= KEPT,
        ),
    ]


def _row(
    what: str, measured: str, baseline: str, ratio: float, goal: str, met: bool
) -> dict[str, Any]:
    return {
        "what": what,
        "measured": measured,
        "baseline": baseline,
        "ratio": f"{ratio:.2f}",
        "goal": goal,
        "met": met,
    }
