"""Questions over warm links to nodes whose links are slow, on a localnet, by commands alone."""

import hashlib
import secrets
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from bitsnode.cli.client import call
from bitsnode.codec.keys import record_public_key
from bitsnode.ids import ContentId
from bitsnode.wire.record import record_key
from tests.acceptance.cli_net import CliLocalnet, CliNode, Newcomer, wait_for
from tests.slow_links.proxy import Link, SlowLinks
from tests.slow_links.route import control_socket, send_through
from tests.slow_links.timing import Pace

MOST_RECORDS = 12  # of a key in one answer, see bitsnode.wire.messages
FILE_SIZE = 2_000  # bytes
LINKS_SECONDS = 120.0  # for the reader's warm links to open
MOST_LINKS = 9  # that a node wants where all nodes are one group


@attrs.frozen
class Content:
    """A file that one of the nodes published.

    Attributes:
        name: its content id.
        link: to fetch it by.
        sha256: of the file, in hex.
        key: of its records, in hex.
        records: that its key has, by one answer.
    """

    name: str
    link: str
    sha256: str
    key: str
    records: int


@attrs.frozen
class Asked:
    """What one question came to.

    Attributes:
        seconds: until the answer.
        tier: "group", "handed on" or "walk".
        right: whether all records were there that the content has.
    """

    seconds: float
    tier: str
    right: bool


@attrs.frozen
class Summary:
    """Many questions.

    Attributes:
        count: of questions.
        wrong: of answers that lack records, or have too many.
        median, p95: seconds.
        tiers: how many questions each tier answered.
    """

    count: int
    wrong: int
    median: float
    p95: float
    tiers: dict[str, int]

    @classmethod
    def of(cls, asked: list[Asked]) -> "Summary":
        """Sum up."""
        times = sorted(one.seconds for one in asked)
        return cls(
            len(asked),
            sum(not one.right for one in asked),
            statistics.median(times),
            times[min(len(times) - 1, int(len(times) * 0.95))],
            dict(Counter(one.tier for one in asked)),
        )


class SlowNet:
    """A localnet whose nodes have slow links, and one more node that asks; for a with block.

    The nodes' links are fast until `pace` says otherwise. At the end all is as it was.

    Args:
        net: a running localnet.
        contents: that are published first.
        asks: start the node that asks; False for whoever brings their own.
    """

    def __init__(self, net: CliLocalnet, contents: int, *, asks: bool = True) -> None:
        self._net = net
        self._asks = asks
        self._count = contents
        self._slow = SlowLinks(seed=1)
        self._newcomer: Newcomer | None = None
        self.links: list[Link] = []
        self.contents: list[Content] = []
        self.reader: CliNode

    @property
    def net(self) -> CliLocalnet:
        """The localnet, whose links are slow now."""
        return self._net

    def __enter__(self) -> "SlowNet":
        """Send the nodes through proxies, publish, and start the reader."""
        self._slow.__enter__()
        try:
            self.links = [self._slow.open() for _ in self._net.nodes]
            self._route(self.links)
            self.contents = [self._publish(number) for number in range(self._count)]
            if self._asks:
                self._start_reader()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the reader, and let the nodes go their own way again."""
        self._end()

    def _start_reader(self) -> None:
        # it comes when all others are reachable again, so none of its dials fails
        self._newcomer = self._net.newcomer(f"reader-{secrets.token_hex(4)}")
        self.reader = self._newcomer.__enter__()
        wanted = min(MOST_LINKS, len(self._net.nodes))
        wait_for(lambda: self.open_links() >= wanted, LINKS_SECONDS)

    def _end(self) -> None:
        if self._newcomer is not None:
            self._newcomer.__exit__()
        self._route([None] * len(self._net.nodes))
        self._slow.__exit__(None, None, None)

    def _route(self, links: Sequence[Link | None]) -> None:
        sockets = [control_socket(node.home) for node in self._net.nodes]
        send_through(list(zip(sockets, links, strict=True)))

    def _publish(self, number: int) -> Content:
        directory = self._net.directory / "asked-for"
        directory.mkdir(exist_ok=True)
        path = directory / f"{secrets.token_hex(8)}.bin"
        path.write_bytes(secrets.token_bytes(FILE_SIZE))
        node = self._net.nodes[number % len(self._net.nodes)]
        done = node.ok("publish", "--free", path)
        records = min(MOST_RECORDS, len(done["holders"]) + 1)  # and the placement
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        name = str(done["content_id"])
        key = record_key(record_public_key(ContentId.parse(name).digest)).hex()
        return Content(name, done["link"], sha256, key, records)

    def pace(self, pace: Pace | None) -> None:
        """Set how late all links are."""
        for link in self.links:
            link.pace = pace

    def open_links(self) -> int:
        """Return how many warm links the reader has open."""
        return len(call(self.reader.home, "warm")["links"])

    def ask(self, count: int) -> list[Asked]:
        """Ask others for the contents' records, one after another, over warm links alone."""
        asked = []
        for number in range(count):
            content = self.contents[number % len(self.contents)]
            found = self._lookup({"content": content.name})
            right = found["records"] == content.records
            asked.append(Asked(found["seconds"], found["tier_name"], right))
        return asked

    def ask_for_nothing(self) -> int:
        """Ask for a key that nobody has, and return how many records came."""
        return int(self._lookup({"key": secrets.token_hex(32)})["records"])

    def fetch(self, content: Content, path: Path) -> bool:
        """Fetch a content with the reader; return whether it is the file that was published."""
        self.reader.ok("get", content.link, "--output", path)
        return hashlib.sha256(path.read_bytes()).hexdigest() == content.sha256

    def _lookup(self, what: dict[str, object]) -> dict[str, Any]:
        return call(self.reader.home, "lookup", what | {"others": True, "walk": False})
