"""The holders that a fetch reads from, and how each is doing."""

from collections.abc import Iterable
from enum import Enum
from typing import Final

import attrs

from bitsnode.codec.keys import whitening_key
from bitsnode.codec.placement import Provider
from bitsnode.content.asking import HolderFault
from bitsnode.content.pace import Window
from onion.address import OnionAddress
from onion.errors import AddressError

ATTEMPTS: Final = 3  # failures in a row after which a holder is given up
LONGEST_WAIT: Final = 8.0  # seconds between attempts
MAX_SOURCES: Final = 512  # holders considered; more hints than n of the largest code are a flood


class State(Enum):
    """Where a holder stands."""

    IDLE = "idle"  # not asked, or waiting until it may be asked again
    WARMING = "warming"  # its block roots are on their way
    READY = "ready"  # blocks can be asked of it
    GONE = "gone"  # lied, or failed too often


@attrs.define(eq=False)
class Source:
    """One holder of one share.

    Attributes:
        index: of its share.
        address: of the holder.
        key: takes the whitening off its blocks, 32 bytes.
        state: see `State`.
        layers: verified block roots by segment.
        window: what is under way.
        attempts: failures since it last gave something good.
        retry_at: seconds of the clock before which it is left alone.
        warming_since: seconds of the clock.
        gave: whether a block of it was verified.
        heard: seconds of the clock when it last sent a piece of a block.
    """

    index: int
    address: OnionAddress
    key: bytes = attrs.field(repr=False)
    state: State = State.IDLE
    layers: dict[int, list[bytes]] = attrs.field(factory=dict, repr=False)
    window: Window = attrs.Factory(Window)
    attempts: int = 0
    retry_at: float = 0.0
    warming_since: float = 0.0
    gave: bool = False
    heard: float = 0.0

    @property
    def active(self) -> bool:
        """Whether it is being asked."""
        return self.state in (State.WARMING, State.READY)

    def may_be_asked(self, now: float) -> bool:
        """Whether it can be taken on now."""
        return self.state is State.IDLE and self.retry_at <= now

    def failed(self, fault: HolderFault, now: float) -> bool:
        """Learn from a failure; return whether it is news, for many requests fail together.

        An outage of our own tor does not count against a holder.
        """
        if not self.active:
            return False
        self.window.halve()
        if not fault.tor_down:
            self.attempts += 1
        if self.attempts >= ATTEMPTS:
            self.state = State.GONE
        else:
            self.state = State.IDLE
            wait = min(LONGEST_WAIT, 2.0**self.attempts)
            self.retry_at = now + max(wait, float(fault.retry_after))
        return True

    def lied(self) -> None:
        """What it gave does not match the manifest: nothing more is asked of it."""
        self.state = State.GONE

    def gave_block(self) -> None:
        """It gave a good block."""
        self.gave = True
        self.attempts = 0


def sources_of(providers: Iterable[Provider], whitening: bytes, n: int) -> list[Source]:
    """Return the holders that hints name, leaving out what cannot be one.

    Args:
        providers: hints, the best first.
        whitening: W, 16 bytes.
        n: of the code.
    """
    found: list[Source] = []
    for provider in providers:
        if provider.index >= n or len(found) >= MAX_SOURCES:
            continue
        try:
            address = OnionAddress.from_public_key(provider.onion_key)
        except AddressError:
            continue
        key = whitening_key(whitening, provider.onion_key, provider.index)
        found.append(Source(provider.index, address, key))
    return found
