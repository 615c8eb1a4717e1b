"""What tor and our onion services are doing, as frozen events for whoever shows progress."""

from collections.abc import Callable
from typing import TypeAlias

import attrs

from onion.address import OnionAddress


@attrs.frozen
class TorStarting:
    """A tor process is being started, or a running one is being attached to."""

    attached: bool


@attrs.frozen
class TorBootstrapping:
    """Tor joins its network.

    Attributes:
        percent: 0-100, tor's own count.
        summary: what it is doing, in tor's words.
    """

    percent: int
    summary: str


@attrs.frozen
class TorReady:
    """Tor has joined its network for the first time since we started."""

    version: str


@attrs.frozen
class TorLost:
    """Tor is gone; nothing can be dialled until it is back."""

    reason: str


@attrs.frozen
class TorBack:
    """Tor is running again after it was lost; services are being published anew."""

    version: str


@attrs.frozen
class ServicePublishing:
    """A descriptor is being made and uploaded."""

    address: OnionAddress


@attrs.frozen
class ServiceReachable:
    """A connection through the network has come back to our own service."""

    address: OnionAddress


@attrs.frozen
class ServiceLost:
    """A service that was published cannot be reached any more; it will be published anew."""

    address: OnionAddress
    reason: str


OnionEvent: TypeAlias = (
    TorStarting
    | TorBootstrapping
    | TorReady
    | TorLost
    | TorBack
    | ServicePublishing
    | ServiceReachable
    | ServiceLost
)
OnEvent: TypeAlias = Callable[[OnionEvent], None]
