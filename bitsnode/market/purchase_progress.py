"""What a purchase or a sale is doing, as frozen events for whoever shows progress."""

from collections.abc import Callable
from typing import TypeAlias

import attrs

from bitsnode.ledger.trees import Crowd


@attrs.frozen
class LookingForOffer:
    """Offers for the content are being looked up, and its manifest for who may make them."""


@attrs.frozen
class Terms:
    """What the purchase costs and how well it hides; shown before anything is spent.

    Attributes:
        content: digest of the content id, 32 bytes.
        offer_hash: of the offer that will be paid, and no other, 32 bytes.
        price: gross, wei.
        fee: of it, for the relay, wei.
        valid_until: of the offer, Unix time in seconds.
        crowd: among how many the voucher hides; None if that is not known.
        voucher_blocks: age of the voucher at the root that is proven against.
        voucher_seconds: since it was bought here; None if that is not known.
        relays: that would take the payment.
        threshold: shares that make the key.
        holders: that keep one each.
    """

    content: bytes
    offer_hash: bytes
    price: int
    fee: int
    valid_until: int
    crowd: Crowd | None
    voucher_blocks: int | None
    voucher_seconds: float | None
    relays: int
    threshold: int
    holders: int


@attrs.frozen
class TakenUp:
    """A purchase that was cut short goes on.

    Attributes:
        step: words for what is done next.
    """

    step: str


@attrs.frozen
class Proving:
    """The proof is being made."""


@attrs.frozen
class ProofMade:
    """The proof was made and verified here.

    Attributes:
        seconds: it took.
    """

    seconds: float


@attrs.frozen
class Submitting:
    """The payment goes to whoever submits it.

    Attributes:
        relay: onion key of the relay, 32 bytes; empty for this node itself.
        attempt: from 1; all attempts are of the same payment, which the chain takes once.
    """

    relay: bytes
    attempt: int


@attrs.frozen
class RelayFailed:
    """A relay did not do it, and another one is tried.

    Attributes:
        relay: its onion key, 32 bytes; empty for this node itself.
        reason: a sentence.
    """

    relay: bytes
    reason: str


@attrs.frozen
class InBlock:
    """The payment is in the chain.

    Attributes:
        block: number of its block.
        final: no reorganisation can take it out any more.
    """

    block: int
    final: bool


@attrs.frozen
class Reorganised:
    """The payment's block was replaced; the same payment is sent again."""


@attrs.frozen
class KeyShareCame:
    """A key holder gave its share.

    Attributes:
        index: of the holder in the offer, from 1.
        count: shares that are here.
        threshold: shares needed.
    """

    index: int
    count: int
    threshold: int


@attrs.frozen
class HolderLied:
    """A key holder gave something else than the share that the offer commits to.

    Attributes:
        index: of the holder in the offer, from 1.
        onion_key: of the holder, 32 bytes.
    """

    index: int
    onion_key: bytes


@attrs.frozen
class HolderSilent:
    """A key holder gave no share, and another one is asked.

    Attributes:
        index: of the holder in the offer, from 1.
        reason: a sentence.
    """

    index: int
    reason: str


@attrs.frozen
class Waiting:
    """Nothing can be done at the moment; it is tried again by itself.

    Attributes:
        reason: a sentence.
        seconds: until the next attempt.
    """

    reason: str
    seconds: float


Event: TypeAlias = (
    LookingForOffer
    | Terms
    | TakenUp
    | Proving
    | ProofMade
    | Submitting
    | RelayFailed
    | InBlock
    | Reorganised
    | KeyShareCame
    | HolderLied
    | HolderSilent
    | Waiting
)
OnEvent: TypeAlias = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Show nothing."""
