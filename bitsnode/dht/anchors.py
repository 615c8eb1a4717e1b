"""Nodes known for long, kept as the way back into the network that one knew. Pure.

Whoever fills a node's table with identities of their own, or is all that its given addresses lead
to, cannot have been there for long: a node that has answered for weeks is hard to imitate, and,
sessions being as they are (Stutzbach and Rejaie, IMC 2006), likely to answer still.
"""

from collections.abc import Iterable
from typing import Final

import attrs

from bitsnode.dht.routing import Contact

MAX_ANCHORS: Final = 32
FORGET_SECONDS: Final = 90 * 24 * 3600.0  # after the last answer of an anchor


@attrs.frozen
class Anchor:
    """A node that answered.

    Attributes:
        onion_key: 32 bytes.
        since: Unix time in seconds of its first answer.
        seen: of its last one.
    """

    onion_key: bytes
    since: float
    seen: float

    @property
    def known_for(self) -> float:
        """Seconds between its first answer and its last one."""
        return self.seen - self.since


def anchored(
    before: Iterable[Anchor], contacts: Iterable[Contact], now: float
) -> tuple[Anchor, ...]:
    """Return the anchors to keep: of those before and the contacts, the ones known for longest.

    An anchor that does not answer stays, until it has been silent for `FORGET_SECONDS`.
    """
    found = {anchor.onion_key: anchor for anchor in before}
    for contact in contacts:
        key = contact.card.card.onion_key
        since = min(contact.since, found[key].since) if key in found else contact.since
        seen = max(contact.seen, found[key].seen) if key in found else contact.seen
        found[key] = Anchor(key, since, seen)
    kept = [anchor for anchor in found.values() if now < anchor.seen + FORGET_SECONDS]
    kept.sort(key=lambda anchor: (-anchor.known_for, anchor.since, anchor.onion_key))
    return tuple(kept[:MAX_ANCHORS])
