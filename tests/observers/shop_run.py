"""A run to be observed: a shop with two items, three payers, and what others then hold."""

import json
import os
import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import nacl.public
import nacl.signing
from PIL import Image

from bitsnode.config import PUBLIC_CHAIN_FILE
from onion.address import OnionAddress
from tests.acceptance.cli_net import CliLocalnet, CliNode, run, wait_for
from tests.acceptance.onion_web import Browser, Page, Visit
from tests.observers.collect import (
    holders_of,
    read_chain,
    read_contracts,
    read_homes,
    read_work,
    relay_account,
)
from tests.observers.shop_views import Answer, Peer, ShopView, Traffic
from tests.observers.tap import RpcTap
from tests.observers.views import View
from tests.observers.watch import Watch

PRICES = ("0.05", "0.02", "0.05")  # of the items that are ordered; the first is ordered twice
ITEMS = (0, 1, 0)
BAD_REQUESTS = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"\xff\xfe\r\n\r\n",
    b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n",
    b"POST /claim HTTP/1.1\r\nHost: %s\r\nContent-Length: 99999999\r\n\r\n",
    b"DELETE / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
    b"GET /blob/../shop.db HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
)
PATHS = (
    "/",
    "/about",
    "/claim",
    "/tips",
    "/feed.atom",
    "/nothing",
    "/?q=blue&page=7",
    "/tips/qr.png",
)
WATCHED = 3  # nodes of the localnet, besides the keeper, whose traffic is counted
ALONE = 2.0  # seconds before an order in which nothing is done


class ShopRun:
    """A shop on a localnet, whose node asks an RPC server that logs.

    Args:
        net: the localnet.
        tap: of the RPC server.
        folder: for files.

    Attributes:
        keeper: the node behind the shop.
        onion: of the shop.
        invoices: addresses of those that were paid, 20 bytes each.
    """

    def __init__(self, net: CliLocalnet, tap: RpcTap, folder: Path) -> None:
        self._net = net
        self._tap = tap
        self._folder = folder
        self._stack = ExitStack()
        self._watches: dict[str, Watch] = {}
        self._visits: list[tuple[bytes, Visit]] = []
        self._items: list[dict[str, Any]] = []
        self._ordered: list[float] = []
        self._heard: list[Answer] = []
        self.keeper = CliNode(net.directory / "observed-keeper", "")
        self.onion = ""
        self.invoices: list[bytes] = []

    def __enter__(self) -> "ShopRun":
        """Start the node, make the shop, and begin to count."""
        self._settle(self.keeper.home)
        comer = self._net.newcomer(self.keeper.home.name, "--storage", "0")
        comer.__enter__()
        self._stack.push(comer)
        password = self._folder / "password"
        password.write_text("correct horse battery\n")
        password.chmod(0o600)
        self.keeper.ok("wallet", "create", "--password-file", password)
        self.onion = self.keeper.ok("shop", "create", "--name", "Studio")["shop_onion"]
        self.keeper = attrs.evolve(self.keeper, onion=self.keeper.status()["peer_onion"])
        self._items = [self._add(number) for number in range(2)]
        tors = {node.home.name: node.home / "tor" for node in self._net.nodes[1 : 1 + WATCHED]}
        tors |= {"keeper": self.keeper.home / "tor", "shop": self.keeper.home / "shop" / "tor"}
        for name, tor in tors.items():
            self._watches[name] = self._stack.enter_context(Watch(tor))
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the node."""
        self._stack.close()

    def _settle(self, home: Path) -> None:
        """Make a home that asks two RPC servers, one of which logs."""
        home.mkdir(mode=0o700)
        chain = self._net.directory / "chain"
        other = json.loads((chain / PUBLIC_CHAIN_FILE).read_text())["rpc"]
        settings = f'rpc = ["{self._tap.url}", "{other}"]\n'
        settings += f'deployment = "{chain / "deployment.json"}"\n'
        (home / "config.toml").write_text(settings)

    def _add(self, number: int) -> dict[str, Any]:
        picture = self._folder / f"picture{number}.jpg"
        Image.linear_gradient("L").resize((320, 200 + number)).convert("RGB").save(picture)
        wanted = ("--title", f"Blue {number}", "--price", PRICES[number])
        return self.keeper.ok("shop", "add", picture, *wanted)

    # What people do

    def buy(self) -> None:
        """Three people order and pay, one after another, and come back when it is swept."""
        browsers = [self._browser(f"payer{number}") for number in range(len(ITEMS))]
        for browser, item, price in zip(browsers, ITEMS, PRICES, strict=True):
            visit, address = self._order(browser, item)
            self.invoices.append(bytes.fromhex(address[2:]))
            self._visits.append((self.invoices[-1], visit))
            done = run("chain", "fund", address, price, "--dir", self._net.directory / "chain")
            assert done.status == 0, done.stderr
        swept = len(ITEMS)
        wait_for(lambda: self.keeper.ok("shop", "status")["orders"].get("swept") == swept)
        for _invoice, visit in self._visits:
            order = visit.path
            assert visit.open(order).status == 200
            assert visit.open(f"{order}/content").headers["content-type"] == "image/jpeg"

    def browse(self) -> None:
        """A stranger looks at every page and at refusals; orders, and does not pay."""
        browser = self._browser("stranger")
        visit = Visit(browser, self.onion)
        for path in (*PATHS, *(f"/item/{item['item']}" for item in self._items)):
            page = visit.open(path)
            for blob in sorted({*re.findall(r"/blob/[a-z2-7]+", page.raw.decode("latin-1"))}):
                visit.open(blob)
        self._heard += _answers(visit)
        for request in BAD_REQUESTS:
            data = request.replace(b"%s", self.onion.encode())
            with browser.connect(self.onion) as stream:
                stream.sendall(data)
                raw = b"".join(iter(lambda: stream.recv(65_536), b""))
            assert raw.startswith(b"HTTP/1.1 4"), data
            self._heard.append(_answer(repr(data[:40]), raw))
        unpaid, address = self._order(browser, 1)
        self._visits.append((bytes.fromhex(address[2:]), unpaid))

    def _browser(self, user: str) -> Browser:
        home = self._net.nodes[0].home
        return Browser(Path(os.path.realpath(home / "tor" / "socks.sock")), user)

    def _order(self, browser: Browser, item: int) -> tuple[Visit, str]:
        visit = Visit(browser, self.onion)
        visit.open(f"/item/{self._items[item]['item']}")
        time.sleep(ALONE)
        self._ordered.append(time.time())
        visit.press("/buy")
        paying = visit.press("/kept").text
        (address,) = {*re.findall(r"0x[0-9a-fA-F]{40}", paying)}
        visit.open(f"{visit.path}/qr.png")
        visit.path = visit.path.removesuffix("/qr.png")
        return visit, address

    # What others hold

    def observe(self) -> ShopView:
        """Collect what everybody holds but the shop's own people."""
        chain = self._net.directory / "chain"
        homes = {node.home.name: node.home for node in self._net.nodes}
        entries = read_homes(homes, self._folder)
        works = tuple(
            read_work(item["content_id"], item["price"], self.onion, entries)
            for item in self._items
        )
        nodes = [*self._net.nodes, self.keeper]
        accounts = {relay_account(node.home) for node in nodes if _is_relay(node.home)}
        keys = {OnionAddress.parse(node.onion).public_key for node in self._net.nodes}
        view = View(
            read_chain(chain),
            read_contracts(chain),
            works,
            self._tap.questions,
            entries,
            frozenset(accounts | keys),
        )
        names = {OnionAddress.parse(node.onion).public_key: node.home.name for node in nodes}
        return ShopView(
            view,
            OnionAddress.parse(self.onion).public_key,
            tuple(self._peer(node) for node in nodes),
            tuple(self._heard + [a for own, visit in self._visits for a in _answers(visit, own)]),
            tuple(
                frozenset(names[key] for key in holders_of(item["content_id"], entries))
                for item in self._items
            ),
            tuple(self._ordered),
            self._watches["shop"].traffic,
            tuple({mark for work in works for mark in work.creator_marks}),
        )

    def _peer(self, node: CliNode) -> Peer:
        keys = node.home / "keys"
        key = OnionAddress.parse(node.onion).public_key
        signing = nacl.signing.SigningKey((keys / "signing.seed").read_bytes())
        sealing = nacl.public.PrivateKey((keys / "sealing.seed").read_bytes())
        marks = [key, bytes(signing.verify_key), bytes(sealing.public_key)]
        marks += [relay_account(node.home)] if _is_relay(node.home) else []
        words = (str(node.home), node.onion.removesuffix(".onion"), os.uname().nodename)
        is_keeper = node.home == self.keeper.home
        watch = self._watches.get("keeper" if is_keeper else node.home.name)
        traffic = watch.traffic if watch else Traffic()
        return Peer(node.home.name, tuple(marks), words, not is_keeper, traffic)


def _is_relay(home: Path) -> bool:
    return (home / "market" / "relay.key").exists()


def _answers(visit: Visit, order: bytes = b"") -> list[Answer]:
    return [_heard(path, page, order) for path, page in visit.heard]


def _heard(path: str, page: Page, order: bytes) -> Answer:
    return _answer(path, page.raw, order if path.startswith("/order/") else b"")


def _answer(path: str, raw: bytes, order: bytes = b"") -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    return Answer(path, head, body, order)
