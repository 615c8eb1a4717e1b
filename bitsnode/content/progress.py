"""What a publish or a fetch is doing, as frozen events for whoever shows progress."""

from collections.abc import Callable
from typing import TypeAlias

import attrs


@attrs.frozen
class FindingHolders:
    """Nodes that store are being looked for."""


@attrs.frozen
class CodeChosen:
    """So many holders are willing, and this is what they allow.

    Attributes:
        willing: distinct holders.
        k: shares that rebuild the content.
        n: shares made.
        smaller_than_usual: the network is small, so the content survives fewer losses.
    """

    willing: int
    k: int
    n: int
    smaller_than_usual: bool


@attrs.frozen
class Resuming:
    """A publish or fetch that was cut short goes on.

    Attributes:
        done: shares stored, or bytes of verified blocks that need not be fetched again.
    """

    done: int


@attrs.frozen
class Staging:
    """The file is being encrypted into a snapshot.

    Attributes:
        done: bytes of plaintext.
        total: bytes of plaintext.
    """

    done: int
    total: int


@attrs.frozen
class Uploading:
    """Shares are on their way.

    Attributes:
        done: bytes that holders have acknowledged.
        total: bytes of all shares.
        stored: shares that holders promised to keep.
        shares: n.
    """

    done: int
    total: int
    stored: int
    shares: int


@attrs.frozen
class HolderFailed:
    """A holder failed and another one takes its place, if there is one.

    Attributes:
        reason: a sentence.
    """

    reason: str


@attrs.frozen
class Announcing:
    """The records of who holds what are being put into the DHT."""


@attrs.frozen
class Locating:
    """The records of who holds what are being looked up."""


@attrs.frozen
class ManifestVerified:
    """The manifest is there and its publisher's signature is good.

    Attributes:
        size: bytes of the content.
        k: shares needed.
        n: shares made.
    """

    size: int
    k: int
    n: int


@attrs.frozen
class Fetching:
    """Blocks are coming in.

    Attributes:
        done: bytes of verified blocks.
        total: bytes of all blocks needed.
        holders: that are being asked.
    """

    done: int
    total: int
    holders: int


@attrs.frozen
class Waiting:
    """Nothing can be done at the moment; it is tried again by itself.

    Attributes:
        reason: a sentence.
        seconds: until the next attempt.
    """

    reason: str
    seconds: float


@attrs.frozen
class Decoding:
    """Verified blocks are being decrypted into the output.

    Attributes:
        done: bytes of plaintext.
        total: bytes of plaintext.
    """

    done: int
    total: int


Event: TypeAlias = (
    FindingHolders
    | CodeChosen
    | Resuming
    | Staging
    | Uploading
    | HolderFailed
    | Announcing
    | Locating
    | ManifestVerified
    | Fetching
    | Waiting
    | Decoding
)
OnEvent: TypeAlias = Callable[[Event], None]
