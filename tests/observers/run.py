"""A run to be observed: two creators, two buyers, two purchases, and what others then hold."""

import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import attrs

from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.market.payment import receipt_of
from bitsnode.market.purchase import Purchase
from bitsnode.market.purchase_journal import PurchaseJournal
from onion.address import OnionAddress
from tests.acceptance.cli_net import CliLocalnet, CliNode, run, sha256
from tests.observers.collect import (
    read_chain,
    read_contracts,
    read_homes,
    read_work,
    relay_account,
)
from tests.observers.tap import RpcTap
from tests.observers.views import Entry, View, Work

PRICE = "0.05"
CHAIN_ID = 13_370_042
PURCHASES = ((0, 0), (1, 1))  # which buyer buys which work, in this order


@attrs.frozen
class Sold:
    """A purchase as its buyer knows it: what analysts are to find out.

    Attributes:
        transaction: hash of the payment, 32 bytes.
        account: that bought the voucher, 20 bytes.
        content: digest of the content's id.
        asked: names of the nodes that gave a share of the key.
        receipt: that they were shown.
    """

    transaction: bytes
    account: bytes
    content: bytes
    asked: frozenset[str]
    receipt: bytes


@attrs.frozen
class Observed:
    """A run.

    Attributes:
        view: of everybody but those who bought and sold, key holders that were asked included.
        sold: what was bought.
        canaries: secrets of those who bought and sold, by name.
        parties: homes of those who bought and sold.
    """

    view: View
    sold: tuple[Sold, ...]
    canaries: dict[str, bytes]
    parties: tuple[Path, ...]


class Run:
    """Parties on a localnet, each a newcomer of its own whose RPC server logs.

    Args:
        net: the localnet.
        tap: of the RPC server.
        folder: for files.
    """

    def __init__(self, net: CliLocalnet, tap: RpcTap, folder: Path) -> None:
        self._net = net
        self._tap = tap
        self._folder = folder
        self._stack = ExitStack()
        password = folder / "password"
        password.write_text("a canary of a password\n")
        password.chmod(0o600)
        self._secret = ["--password-file", str(password)]
        self.creators: list[CliNode] = []
        self.buyers: list[CliNode] = []
        self.works: list[Path] = []
        self.sales: list[dict[str, Any]] = []
        self.words: list[str] = []
        self.accounts: dict[Path, str] = {}

    def __enter__(self) -> "Run":
        """Start four nodes, each with a wallet."""
        names = ["creator-a", "creator-b", "buyer-a", "buyer-b"]
        for name in names:
            self._settle(self._net.directory / f"observed-{name}")
        comers = [self._net.newcomer(f"observed-{name}", "--storage", "0") for name in names]

        def start(comer: Any) -> CliNode:
            node: CliNode = comer.__enter__()
            self._stack.push(comer)
            made = node.ok("wallet", "create", *self._secret)
            self.words.append(made["mnemonic"])
            self.accounts[node.home] = made["accounts"][0]
            return attrs.evolve(node, onion=node.status()["peer_onion"])

        with ThreadPoolExecutor() as pool:
            nodes = list(pool.map(start, comers))
        self.creators, self.buyers = nodes[:2], nodes[2:]
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the nodes."""
        self._stack.close()

    def _settle(self, home: Path) -> None:
        """Make a home whose RPC server is somebody else's."""
        home.mkdir(mode=0o700)
        deployment = self._net.directory / "chain" / "deployment.json"
        settings = f'rpc = ["{self._tap.url}"]\ndeployment = "{deployment}"\n'
        (home / "config.toml").write_text(settings)

    def sell(self) -> None:
        """Each creator sells a work, at the same price."""
        self.works = [self._folder / f"work{number}" for number in range(2)]
        for number, work in enumerate(self.works):
            work.write_bytes(b"a canary of a plaintext" + bytes([number]) * (200_000 + number))

        def publish(number: int) -> dict[str, Any]:
            return self.creators[number].ok("publish", self.works[number], "--price", PRICE)

        with ThreadPoolExecutor() as pool:
            self.sales = list(pool.map(publish, range(2)))

    def top_up(self) -> None:
        """Each buyer buys vouchers, one buyer after the other."""
        for buyer in self.buyers:
            self.fund(self.accounts[buyer.home])
            for _ in range(2):
                buyer.ok("wallet", "topup", PRICE, "--exact", *self._secret)

    def fund(self, account: str, coins: str = "1") -> None:
        """Give an account money of the faucet."""
        done = run("chain", "fund", account, coins, "--dir", self._net.directory / "chain")
        assert done.status == 0, done.stderr

    def buy(self) -> None:
        """The purchases, one after another, each opened and compared."""
        for buyer, work in PURCHASES:
            node, sale = self.buyers[buyer], self.sales[work]
            node.ok("buy", sale["content_id"], "--yes", *self._secret)
            output = self._folder / f"bought-{buyer}-{work}"
            node.ok("get", sale["content_id"], "-o", output)
            assert sha256(output) == sha256(self._folder / f"work{work}")

    def earn(self) -> None:
        """The creators look at what they earned."""
        for creator in self.creators:
            assert creator.ok("earnings", *self._secret)["rows"]

    def observe(self) -> Observed:
        """Collect what everybody holds."""
        chain = self._net.directory / "chain"
        entries = read_homes({node.home.name: node.home for node in self._net.nodes}, self._folder)
        sold = tuple(sale for node in self.buyers for sale in self._sold(node))
        shown = tuple(
            Entry(name, "what a key holder was shown", (sale.receipt,))
            for sale in sold
            for name in sale.asked
        )
        view = View(
            read_chain(chain),
            read_contracts(chain),
            self._works(entries),
            self._tap.questions,
            entries + shown,
            self._serving(),
        )
        parties = tuple(node.home for node in [*self.creators, *self.buyers])
        return Observed(view, sold, self._canaries(), parties)

    def pay_directly(self, view: View) -> View:
        """A buyer pays a creator's account, which everybody knows; what the chain is then."""
        payer = self.buyers[0]
        told = self.accounts[self.creators[0].home]
        account = self.accounts[payer.home]
        payer.ok("wallet", "withdraw", told, PRICE, "--from", account, *self._secret)
        first, *others = view.works
        marks = (*first.creator_marks, bytes.fromhex(told[2:]))
        works = (attrs.evolve(first, creator_marks=marks), *others)
        chain = read_chain(self._net.directory / "chain")
        return attrs.evolve(view, works=works, transactions=chain)

    def _works(self, entries: tuple[Entry, ...]) -> tuple[Work, ...]:
        """The catalogue: who knows the names of contents opens their records."""
        works = []
        for sale, creator, file in zip(self.sales, self.creators, self.works, strict=True):
            found = read_work(sale["content_id"], sale["price"], creator.onion, entries)
            works.append(attrs.evolve(found, size=file.stat().st_size))
        return tuple(works)

    def _serving(self) -> frozenset[bytes]:
        """What everybody knows of nodes: onion keys of those that serve, accounts of relays."""
        everybody = [*self._net.nodes, *self.creators, *self.buyers]
        keys = {OnionAddress.parse(node.onion).public_key for node in self._net.nodes}
        return frozenset(keys | {relay_account(node.home) for node in everybody})

    def _sold(self, node: CliNode) -> Iterable[Sold]:
        for story in _stories(node.home):
            assert story.settled is not None
            message = receipt_of(story)
            yield Sold(
                story.settled.transaction,
                bytes.fromhex(self.accounts[node.home][2:]),
                story.signed.offer.content,
                self._asked(story),
                message.dump(),
            )

    def _asked(self, story: Any) -> frozenset[str]:
        by_key = {OnionAddress.parse(node.onion).public_key: node for node in self._net.nodes}
        holders = [by_key.get(holder.onion_key) for holder in story.signed.offer.holders]
        (spend,) = story.spends
        return frozenset(
            node.home.name for node in holders if node is not None and _answered(node.home, spend)
        )

    def _canaries(self) -> dict[str, bytes]:
        found = {f"words {number}": words.encode() for number, words in enumerate(self.words)}
        found["the password"] = b"a canary of a password"
        found["the plaintext"] = b"a canary of a plaintext"
        for buyer in self.buyers:
            for story in _stories(buyer.home):
                name = f"{buyer.home.name}, {story.signed.offer.content.hex()[:8]}"
                found[f"content secret of {name}"] = story.opened.secret
                found[f"receipt key of {name}"] = story.agreed.receipt_seed
        contract = "0x" + read_contracts(self._net.directory / "chain")["Vouchers"].hex()
        for number, words in enumerate(self.words):
            vouchers = Keys.from_entropy(entropy_of(words)).vouchers(CHAIN_ID, contract)
            for index in range(2):
                secret = vouchers.secret(index)
                found[f"voucher {index} of words {number}"] = secret.to_bytes(32, "big")
        return found


def _stories(home: Path) -> list[Any]:
    """The purchases of a home, opened with its key; the node may be running."""
    journal = PurchaseJournal(
        home / "market" / "purchases.db", (home / "market" / "journal.seed").read_bytes(), CHAIN_ID
    )
    try:
        return [Purchase(journal.facts(name)).story for name in journal.purchases()]
    finally:
        journal.close()


def _answered(home: Path, spend: Any) -> bool:
    """Whether a key holder gave its share for a payment."""
    path = home / "market" / "custody.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT message FROM answers").fetchall()
        vouchers = dict(database.execute("SELECT message, vouchers FROM redeemed").fetchall())
    nullifier = spend.nullifier.to_bytes(32, "big")
    return any(nullifier in vouchers.get(message, b"") for (message,) in rows)
