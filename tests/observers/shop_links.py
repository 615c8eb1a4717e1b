"""What an analyst finds about a shop. Pure."""

from enum import Enum

import attrs


class ShopKind(Enum):
    """What is linked with what."""

    NODE = "shop → node"
    TOGETHER = "invoice → invoice"
    CONTENT = "invoice → content"
    SHOP = "invoice → shop"


@attrs.frozen
class ShopLink:
    """One thing found out.

    Attributes:
        kind: of what.
        left: onion key of the shop, or address of an invoice.
        right: name of a node, address of the other invoice, digest of a content, onion key.
        evidence: why, for a person.
    """

    kind: ShopKind
    left: bytes
    right: bytes | str
    evidence: str
