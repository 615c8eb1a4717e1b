"""What was bought and what is being bought, as a person is shown it. Pure."""

import attrs

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.market.purchase import Purchase, Step, Story
from bitsnode.market.purchase_errors import NotBought, NotPaid


@attrs.frozen
class Bought:
    """A content that was bought.

    Attributes:
        name: id of the purchase, 16 bytes.
        content_id: its name; its title is in the content, if anywhere.
        link: opens it; shown to nobody unasked.
        price: wei.
        bought_at: Unix time in seconds of the offer's quote.
        block: in which it was paid.
        liars: onion keys of key holders that gave something else than their share.
    """

    name: bytes
    content_id: ContentId
    link: Link = attrs.field(repr=False)
    price: int
    bought_at: int
    block: int
    liars: tuple[bytes, ...] = ()


@attrs.frozen
class UnderWay:
    """A purchase that is not at its end.

    Attributes:
        name: id of the purchase, 16 bytes.
        content_id: what is bought.
        step: what is to be done next.
        price: wei.
        deadline: until which it may be paid, Unix time; 0 as long as nothing is reserved.
    """

    name: bytes
    content_id: ContentId
    step: Step
    price: int
    deadline: int


@attrs.frozen
class InVain:
    """A content that was paid, and whose publisher sold another key.

    Attributes:
        content_id: its name.
        price: wei.
        block: in which it was paid.
    """

    content_id: ContentId
    price: int
    block: int


def bought_of(name: bytes, story: Story) -> Bought:
    """Return what a story came to.

    Raises:
        NotBought: it did not.
    """
    opened, settled, quoted, offer = story.opened, story.settled, story.quoted, story.signed.offer
    if opened is None or settled is None or quoted is None:
        raise NotBought
    content_id = ContentId(offer.content)
    return Bought(
        name=name,
        content_id=content_id,
        link=Link(content_id, opened.secret, opened.whitening),
        price=offer.price,
        bought_at=quoted.at,
        block=settled.block,
        liars=tuple(offer.holders[index - 1].onion_key for index in story.liars),
    )


def under_way_of(name: bytes, purchase: Purchase) -> UnderWay:
    """Return where a purchase stands."""
    story = purchase.story
    offer, reserved = story.signed.offer, story.reserved
    deadline = reserved.deadline if reserved else 0
    return UnderWay(name, ContentId(offer.content), purchase.step, offer.price, deadline)


def in_vain_of(story: Story) -> InVain:
    """Return what a story came to whose publisher cheated.

    Raises:
        NotPaid: it was not paid.
    """
    if story.settled is None:
        raise NotPaid
    offer = story.signed.offer
    return InVain(ContentId(offer.content), offer.price, story.settled.block)
