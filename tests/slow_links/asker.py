"""A client of a localnet that asks by one tier at a time: ``python -m tests.slow_links.asker``.

It has the program's own rooms and no home: it stands for a node that only asks. It joins, says
``{"ready": …}`` when its links are open, waits for a line on its standard input, asks, and prints
what each question took. Commands hide tiers from each other; this does not.

With ``--first KEY`` it asks at once, before it knows anybody, and prints the seconds from a tor
that is ready to the first answer; with ``--home`` it may have been there before.
"""

import argparse
import contextlib
import json
import secrets
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater, react
from twisted.internet.threads import deferToThread

from bitsnode.config import LOCAL, Settings
from bitsnode.dht.contacts import address_of
from bitsnode.dht.service import DhtService, NoPeers
from bitsnode.ids import distance
from bitsnode.own_tor import own_tor
from bitsnode.peer.client import PeerClient
from bitsnode.warm.asking import PURPOSE
from bitsnode.warm.finding import Finding
from bitsnode.warm.link import AskLink
from bitsnode.warm.places import Place
from bitsnode.warm.plan import PLAN
from bitsnode.warm.service import WarmService
from bitsnode.wire.card import HOUR
from bitsnode.wire.messages import PutRecord
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.isolation import Isolation
from tests.sim.records import make_record

TIERS = ("warm", "recursive", "walk over warm circuits", "walk over cold circuits")
CONNECTIONS = 512  # as a node keeps
LOOK = 0.2  # seconds between two looks whether the links are open
LEAST_LINKS = 7


class Elsewhere:
    """The links of a service without those to the nodes that have the record.

    On a network this small every node has every record; so one is put with one node alone, which
    is not asked: others must be asked to ask it.
    """

    def __init__(self, links: Any, but: bytes) -> None:
        self._links = links
        self._but = but

    def inside(self, _place: Place) -> list[AskLink]:
        """Return no link: nobody of the key's group is known."""
        return []

    def nearest(self, key: bytes, but: Iterable[AskLink] = ()) -> list[AskLink]:
        """See `AskLinks.nearest`."""
        found: list[AskLink] = self._links.nearest(key, but)
        return [link for link in found if link.card.card.onion_key != self._but]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)


class Asker:
    """Asks.

    Args:
        reactor: runs everything.
        directory: of the localnet.
        home: for a tor, and for what the rooms keep.
    """

    def __init__(self, reactor: Any, directory: Path, home: Path) -> None:
        self._reactor = reactor
        settings = Settings(home, LOCAL, directory, None, (), 0)
        self._tor = own_tor(reactor, settings, home, lambda _event: None)
        self._isolation = Isolation.fresh("node")
        self._client = PeerClient(
            reactor,
            self._tor,
            LOCAL,
            lambda: None,
            self._isolation,
            connections=CONNECTIONS,
            unhurried=frozenset({PURPOSE}),
        )
        self._dht = DhtService(
            reactor, self._client, LOCAL, lambda: None, home / "dht.sqlite", self._isolation
        )
        self._warm = WarmService(
            reactor, self._client, self._dht, LOCAL, lambda: None, self._isolation
        )
        self._same = Isolation.fresh("lookup")

    async def join(self, onions: list[str], links: int) -> None:
        """Join, and return when so many links are open."""
        await self._tor.start()
        self._dht.start()
        self._warm.start()
        await self._dht.bootstrap([OnionAddress.parse(onion) for onion in onions])
        while len(self._warm.links()) < links:
            await deferLater(self._reactor, LOOK)

    async def first(self, onions: list[str], key: bytes) -> tuple[float, int]:
        """Join and ask side by side; return seconds to the first answer, and its records."""
        await self._tor.start()
        begun = self._reactor.seconds()
        self._dht.start()
        self._warm.start()
        given = [OnionAddress.parse(onion) for onion in onions]
        joining = Deferred.fromCoroutine(self._dht.bootstrap(given))
        try:
            while True:
                with contextlib.suppress(NoPeers):
                    found = await self._warm.find(key, own_index=False)
                    if found.records:
                        return self._reactor.seconds() - begun, len(found.records)
                await deferLater(self._reactor, LOOK)
        finally:
            joining.addErrback(lambda failure: failure.trap(CancelledError))
            joining.cancel()

    async def leave(self) -> None:
        """Stop all."""
        await self._warm.stop()
        await self._dht.stop()
        await self._client.stop()
        await self._tor.stop()

    async def ask(self, tier: str, key: bytes) -> tuple[float, int]:
        """Ask for a key by a tier; return seconds and the number of records."""
        if tier == "recursive":
            return await self._recursive()
        begun = self._reactor.seconds()
        if tier == "warm":
            records: Any = (await self._warm.find(key, own_index=False, walk=False)).records
        else:
            again = tier == "walk over warm circuits"
            isolation = self._same if again else Isolation.fresh("lookup")
            records = await self._dht.get_records(key, isolation)
            if not again:
                self._client.close(isolation)
        return self._reactor.seconds() - begun, len(records)

    async def _recursive(self) -> tuple[float, int]:
        """Put a record with the node nearest to its key, and ask others for it at once."""
        links = self._warm.links()
        holder = links[secrets.randbelow(len(links))]
        while True:
            expires = self._reactor.seconds() // HOUR * HOUR + 24 * HOUR
            seed = secrets.token_bytes(32)
            record = make_record(seed, expires=expires).record
            key = record.key
            if min(links, key=lambda link: distance(link.node_id, key)) is holder:
                break
        signed = SignedRecord.sign(record.solved(LOCAL.record_bits), seed, bytes(32))
        put = PutRecord(signed.data)
        await self._client.request(address_of(holder.card), put, holder.isolation)
        elsewhere: Any = Elsewhere(self._warm._links, holder.card.card.onion_key)
        finding = Finding(
            self._reactor, elsewhere, self._dht, LOCAL, PLAN, key, Place(0, 0)
        )  # fmt: skip
        found = await finding.find([], None)
        return found.seconds, len(found.records)


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


async def _run(reactor: Any, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bits-asker-") as name:
        asker = Asker(reactor, options.directory, options.home or Path(name))
        try:
            if options.first is not None:
                seconds, records = await asker.first(options.onions, bytes.fromhex(options.first))
                _say(seconds=round(seconds, 4), records=records)
                return
            await asker.join(options.onions, options.links)
            _say(ready=options.links)
            while line := await deferToThread(sys.stdin.readline):
                wanted = json.loads(line)
                for number in range(wanted["count"]):
                    key = bytes.fromhex(wanted["keys"][number % len(wanted["keys"])])
                    seconds, records = await asker.ask(wanted["tier"], key)
                    _say(seconds=round(seconds, 4), records=records)
        finally:
            await asker.leave()


def main() -> None:
    """Run until the standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow_links.asker", description=__doc__)
    parser.add_argument("directory", type=Path, help="of a running localnet")
    parser.add_argument("onions", nargs="+", help="nodes to join by")
    parser.add_argument("--links", type=int, default=LEAST_LINKS, help="to wait for")
    parser.add_argument("--first", metavar="KEY", help="ask for this key at once, and end")
    parser.add_argument("--home", type=Path, help="a folder that is kept")
    options = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(_run(reactor, options)), ())


if __name__ == "__main__":
    main()
