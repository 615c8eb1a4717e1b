"""What selling needs of the other rooms, and how a sale is shown to them."""

from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.ids import ContentId
from bitsnode.market.asking import KeyHolderClient
from bitsnode.market.offer import Market
from bitsnode.market.purchase_needs import Records, Run
from bitsnode.wire.card import SignedCard
from onion.isolation import Isolation


class Custodians(Protocol):
    """Finds nodes that keep key shares."""

    async def find_custodians(self, count: int, isolation: Isolation) -> list[SignedCard]:
        """Return up to so many different nodes with `Capability.CUSTODY`, drawn by lot."""


@attrs.frozen
class SellingTools:
    """What selling works with.

    Attributes:
        clock: the reactor's time; its seconds are Unix time.
        run: carries out in a thread what waits for the disk, or takes long.
        market: where is paid.
        record_bits: of the puzzle of DHT records.
        share_bits: of the puzzle that pays for the custody of a key share.
        records: puts offers into the DHT.
        custodians: finds nodes.
        client: gives them their shares.
        own_key: our own onion key, which is named in no offer; None if it may be.
    """

    clock: IReactorTime
    run: Run
    market: Market
    record_bits: int
    share_bits: int
    records: Records
    custodians: Custodians
    client: KeyHolderClient
    own_key: bytes | None


@attrs.frozen
class OnSale:
    """A content that is on sale, or was.

    Attributes:
        content_id: its name.
        price: wei, of the offer that is announced; 0 before the first.
        wanted: wei, of the offer to be made; the same unless one is under way.
        valid_until: of the offer that is announced, Unix time; 0 before the first.
        payable_until: of all offers that were ever made, for nobody can take one back.
        threshold: shares that make the key.
        holders: that keep one.
        withdrawn: it is not renewed.
        announced: nodes took the record of the offer.
    """

    content_id: ContentId
    price: int
    wanted: int
    valid_until: int
    payable_until: int
    threshold: int
    holders: int
    withdrawn: bool
    announced: bool
