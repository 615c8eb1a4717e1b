"""What the control API can do with warm links: show them, and look a key up."""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.codec.keys import record_public_key
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.warm.finding import Tier
from bitsnode.warm.service import WarmService
from bitsnode.wire.record import record_key
from onion.address import OnionAddress

_TIERS: Final = {
    Tier.INDEX: "here",
    Tier.GROUP: "group",
    Tier.HANDED_ON: "handed on",
    Tier.WALK: "walk",
}
_KEY: Final = re.compile(r"[0-9a-f]{64}\Z")


class NoWarmLinks(BitsError):
    """This node keeps no warm links: its config.toml says warm_links = false."""


class WarmControl:
    """The commands of warm links.

    Args:
        warm: the service, or None when the settings turn it off.
    """

    def __init__(self, warm: WarmService | None) -> None:
        self._warm = warm

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {"warm": self.warm, "lookup": self.lookup}

    async def warm(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return the links that are open."""
        warm = self._needed()
        links = [
            {
                "onion": str(OnionAddress.from_public_key(link.card.card.onion_key)),
                "group": link.place.prefix,
                "bits": link.place.bits,
                "since": link.since,
                "rtt": round(link.rtt, 3),
            }
            for link in warm.links()
        ]
        return {"links": links, "status": attrs.asdict(warm.status())}

    async def lookup(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Look up ``key`` (64 hex digits) or the records of ``content`` (its name).

        ``others``: only what other nodes say counts. ``walk``: false for no walk.
        """
        others, walk = arguments.get("others", False), arguments.get("walk", True)
        if not isinstance(others, bool) or not isinstance(walk, bool):
            raise BadArguments
        key = _key_of(arguments)
        found = await self._needed().find(key, own_index=not others, walk=walk)
        return {
            "key": key.hex(),
            "records": len(found.records),
            "tier": found.tier,
            "tier_name": _TIERS[found.tier],
            "seconds": round(found.seconds, 4),
        }

    def _needed(self) -> WarmService:
        if self._warm is None:
            raise NoWarmLinks
        return self._warm


def _key_of(arguments: Mapping[str, Any]) -> bytes:
    """Return the DHT key that is meant.

    Raises:
        BadArguments: neither a key nor a content is given.
        BadContentId: the content's name is wrong.
    """
    key, content = arguments.get("key"), arguments.get("content")
    if isinstance(key, str) and content is None and _KEY.match(key):
        return bytes.fromhex(key)
    if isinstance(content, str) and key is None:
        return record_key(record_public_key(ContentId.parse(content).digest))
    raise BadArguments
