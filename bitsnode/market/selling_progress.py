"""What a sale is doing, as frozen events for whoever shows progress."""

from collections.abc import Callable
from typing import TypeAlias

import attrs


@attrs.frozen
class LookingForHolders:
    """Nodes that keep key shares are being looked for."""


@attrs.frozen
class Entrusting:
    """The key is being split and given to holders.

    Attributes:
        candidates: nodes that may keep a share.
    """

    candidates: int


@attrs.frozen
class HolderFailed:
    """A node did not take its share, and another one takes its place, if there is one.

    Attributes:
        reason: a sentence.
    """

    reason: str


@attrs.frozen
class InCustody:
    """The shares are on the holders' disks.

    Attributes:
        threshold: shares that make the key.
        holders: that the offer names.
        taken: of them have their share.
        fewer_than_usual: the network is small, so the key survives fewer losses.
    """

    threshold: int
    holders: int
    taken: int
    fewer_than_usual: bool


@attrs.frozen
class OfferAnnounced:
    """The offer can be found.

    Attributes:
        nodes: that keep its record.
        valid_until: Unix time in seconds.
    """

    nodes: int
    valid_until: int


Event: TypeAlias = LookingForHolders | Entrusting | HolderFailed | InCustody | OfferAnnounced
OnEvent: TypeAlias = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Show nothing."""
