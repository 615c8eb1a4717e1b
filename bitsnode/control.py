"""What the control API can do with a running node: one method a command."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
from twisted.internet.threads import deferToThread

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.chain_access import ChainAccess
from bitsnode.codec.link import Link
from bitsnode.config import Settings
from bitsnode.content.get import Fetched
from bitsnode.content.service import ContentService
from bitsnode.dht.service import DhtService
from bitsnode.dht.status import DhtState, DhtStatus
from bitsnode.identity import NodeIdentity
from bitsnode.market_access import MarketAccess
from bitsnode.shop_access import ShopAccess
from bitsnode.store.store import Store
from bitsnode.warm.service import WarmService, WarmStatus
from bitsnode.wire.card import Capability
from onion.address import OnionAddress
from onion.network import ServiceState
from onion.tor import TorNetwork

MAX_PATH: Final = 4_096  # bytes, PATH_MAX of Linux
_CAPABILITIES = {
    Capability.STORAGE: "storage",
    Capability.CUSTODY: "custody",
    Capability.RELAY: "relay",
    Capability.INDEX: "index",
}


class Parts(Protocol):
    """The services that commands use."""

    identity: NodeIdentity
    tor: TorNetwork
    store: Store
    dht: DhtService
    content: ContentService
    chain: ChainAccess
    market: MarketAccess
    shop: ShopAccess
    warm: WarmService | None


class NodeControl:
    """The commands of one node.

    Args:
        settings: of the node.
        parts: its services.
        seconds: the time, Unix seconds.
    """

    def __init__(self, settings: Settings, parts: Parts, seconds: Callable[[], float]) -> None:
        self._settings = settings
        self._parts = parts
        self._seconds = seconds
        self._began = seconds()

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {
            "status": self.status,
            "peers": self.peers,
            "doctor": self.doctor,
            "publish": self.publish,
            "get": self.get,
        }

    async def status(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return what the node is doing."""
        parts = self._parts
        tor, dht = parts.tor.status(), parts.dht.status()
        address = parts.identity.onion_key.address
        counters = parts.store.counters()
        holdings = await deferToThread(parts.store.holdings)
        return {
            "state": self._state(),
            "network": self._settings.network.name,
            "peer_onion": str(address),
            "home": str(self._settings.home),
            "pid": os.getpid(),
            "seconds": round(self._seconds() - self._began, 1),
            "tor": tor.version,
            "tor_running": tor.running,
            "tor_bootstrap": tor.percent,
            "shop_onion": str(parts.shop.onion) if parts.shop.onion else None,
            "dht": dht.state.value,
            "contacts": dht.contacts,
            "nodes": dht.nodes,
            "alarms": [alarm.value for alarm in dht.alarms],
            "clock_hours": dht.clock_hours,
            "warm": attrs.asdict(parts.warm.status()) if parts.warm else None,
            "storage": {
                "used": counters.used,
                "cap": self._settings.storage,
                "shares": len(holdings),
                "fault": parts.store.fault,
            },
            "counters": attrs.asdict(counters),
            "chain": attrs.asdict(parts.chain.status()),
            "relay_account": parts.market.relay_account() if self._settings.relay else None,
        }

    def _state(self) -> str:
        tor = self._parts.tor.status()
        if not tor.running:
            return "tor is starting" if tor.version is None else "tor is lost"
        if not self._parts.identity.solved:
            return "client only, solving the admission puzzle"
        service = tor.services.get(self._parts.identity.onion_key.address)
        return service.value if service else ServiceState.PUBLISHING.value

    async def peers(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return the nodes known."""
        return {
            "peers": [
                {
                    "onion": str(OnionAddress.from_public_key(contact.card.card.onion_key)),
                    "alive": contact.alive,
                    "capabilities": [
                        name for bit, name in _CAPABILITIES.items() if contact.card.card.can(bit)
                    ],
                }
                for contact in self._parts.dht.contacts()
            ]
        }

    async def doctor(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return findings on the running node, each with one sentence."""
        tor, dht = self._parts.tor.status(), self._parts.dht.status()
        state = self._state()
        findings = [
            ("tor", tor.running, f"tor {tor.version}: {tor.summary or 'not reached yet'}."),
            ("onion", state == ServiceState.REACHABLE.value, f"The peer onion is {state}."),
            (
                "peers",
                dht.state is DhtState.JOINED,
                f"The DHT: {dht.state.value}, {dht.contacts} contacts."
                + (" Give one with --bootstrap." if dht.state is DhtState.NO_PEERS else ""),
            ),
        ]
        if self._parts.warm is not None:
            findings.append(warmth(self._parts.warm.status()))
        findings += suspicions(dht)
        findings.append(self._chain_finding())
        if self._parts.shop.onion is not None:
            findings.append(self._shop_finding())
        return {
            "findings": [
                {"what": what, "good": good, "text": text} for what, good, text in findings
            ]
        }

    def _shop_finding(self) -> tuple[str, bool, str]:
        door = self._parts.shop.door.status()
        reachable = door.state == ServiceState.REACHABLE.value
        return ("shop", reachable, door.fault or f"The shop onion is {door.state}.")

    def _chain_finding(self) -> tuple[str, bool, str]:
        chain = self._parts.chain.status()
        if not chain.servers and not chain.fault:
            return ("chain", True, "No chain is set: contents are free, and there is no wallet.")
        if chain.fault:
            return ("chain", False, chain.fault)
        servers = ", ".join(chain.servers)
        return ("chain", True, f"Chain {chain.chain_id} up to block {chain.height}, by {servers}.")

    async def publish(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Publish the file at ``path``."""
        path = absolute(arguments, "path")
        done = await self._parts.content.publish(path, lambda event: report(event_line(event)))
        return {
            "content_id": str(done.content_id),
            "link": done.link.text,
            "sha256": done.sha256.hex(),
            "bytes": done.bytes,
            "code": done.code,
            "holders": [str(holder) for holder in done.holders],
        }

    async def get(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Fetch ``link`` to ``output``, or the bytes ``range`` = [first, last] of it."""
        link = arguments.get("link")
        if not isinstance(link, str):
            raise BadArguments
        done = await self._parts.content.get(
            Link.parse(link),
            absolute(arguments, "output"),
            byte_range(arguments),
            lambda event: report(event_line(event)),
            free=True,
        )
        return fetched_result(done)


def warmth(warm: WarmStatus) -> tuple[str, bool, str]:
    """Return how far the links are open over which records are found quickly."""
    text = (
        f"{warm.links} of {warm.wanted} warm links are open; the index has {warm.records} records"
        f" in {warm.bytes / (1 << 20):.1f} MiB; both cost {warm.upkeep / 1024:.1f} KiB/s."
    )
    return ("warm links", True, text)


def suspicions(dht: DhtStatus) -> list[tuple[str, bool, str]]:
    """Return what is wrong with the network around us, or with our clock, if anything."""
    found = [
        ("network", False, f"{alarm.value} Add addresses that you trust with --bootstrap.")
        for alarm in dht.alarms
    ]
    if hours := dht.clock_hours:
        side = "ahead of" if hours > 0 else "behind"
        text = (
            f"This machine's clock is about {abs(hours)} h {side} the other nodes': set it right."
        )
        found.append(("clock", False, text))
    return found


def fetched_result(done: Fetched) -> dict[str, object]:
    """Return the last line of a fetch."""
    return {
        "path": str(done.path),
        "sha256": done.sha256.hex(),
        "bytes": done.bytes,
        "holders": [str(holder) for holder in done.holders],
        "seconds": done.seconds,
    }


def absolute(arguments: Mapping[str, Any], name: str) -> Path:
    """Return an argument that is an absolute path that a system could open."""
    found = arguments.get(name)
    if not isinstance(found, str) or not found.startswith("/") or "\0" in found:
        raise BadArguments
    try:
        size = len(os.fsencode(found))
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can write
        raise BadArguments from error
    if size >= MAX_PATH:
        raise BadArguments
    return Path(found)


def byte_range(arguments: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the first and the last byte wanted, or None for all."""
    wanted = arguments.get("range")
    if wanted is None:
        return None
    if not isinstance(wanted, list) or len(wanted) != 2:
        raise BadArguments
    if not all(isinstance(part, int) and part >= 0 for part in wanted):
        raise BadArguments
    return wanted[0], wanted[1]


def event_line(event: Any) -> dict[str, object]:
    """Return a progress event for the wire: its class's name and its values."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": name, **_plain(event)}


def _plain(event: Any) -> dict[str, Any]:
    """Return the values of an attrs object, those that are attrs objects likewise."""
    plain: dict[str, Any] = {}
    for key, value in attrs.asdict(event, recurse=False).items():
        if attrs.has(type(value)):
            plain[key] = _plain(value)
        elif value is None or isinstance(value, int | float | str):
            plain[key] = value
        else:
            plain[key] = value.hex() if isinstance(value, bytes) else str(value)
    return plain
