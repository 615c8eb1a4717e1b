"""What an analyst finds: links with their evidence and how many else it could be. Pure."""

from enum import Enum

import attrs


class Kind(Enum):
    """What is linked with what."""

    DEPOSIT = "deposit → payment"
    CONTENT = "payment → content"
    CREATOR = "payment → creator"
    ONION = "payment → onion"
    BOUGHT = "account → content"


@attrs.frozen
class Hint:
    """One thing that one join says.

    Attributes:
        kind: of what.
        payment: hash of its transaction, 32 bytes.
        candidates: who or what it can be after this; accounts, or digests of contents.
        evidence: why, for a person.
    """

    kind: Kind
    payment: bytes
    candidates: frozenset[bytes]
    evidence: str


@attrs.frozen
class Link:
    """One thing found out.

    Attributes:
        kind: of what.
        left: hash of the payment's transaction, or an account.
        candidates: the account, content, creator or onion; more than one if it is not certain.
        evidence: all that speaks for it.
    """

    kind: Kind
    left: bytes
    candidates: frozenset[bytes]
    evidence: tuple[str, ...]

    @property
    def probability(self) -> float:
        """Of one candidate; all of them are alike to the analyst."""
        return 1 / len(self.candidates)


@attrs.frozen
class Findings:
    """All that was found.

    Attributes:
        links: beyond what sum and time say.
        accounts: by payment, those that sum and time leave.
        contents: by payment, those that the price leaves.
    """

    links: tuple[Link, ...]
    accounts: dict[bytes, frozenset[bytes]]
    contents: dict[bytes, frozenset[bytes]]

    def of(self, kind: Kind, left: bytes) -> tuple[Link, ...]:
        """The links of a kind that a payment or an account has."""
        return tuple(link for link in self.links if (link.kind, link.left) == (kind, left))

    def about(self, left: bytes) -> tuple[Link, ...]:
        """All links of a payment or an account."""
        return tuple(link for link in self.links if link.left == left)
