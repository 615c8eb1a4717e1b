"""What many storers say of the head of one feed, put together. Pure.

A feed is a mutable signed record (the shape of BitTorrent's BEP 44: key, sequence, salt,
signature). Storers may be behind, or show different readers different heads if the owner signed
two: so all that were asked count, and two values under one sequence are kept as proof.
"""

import itertools
from collections.abc import Iterable

import attrs

from bitsnode.dht.records import equivocates
from bitsnode.wire.record import MAX_SEQUENCE, RecordKind, SignedRecord


@attrs.frozen
class Equivocation:
    """Two values that an owner signed under one sequence: proof that it deceives its readers."""

    one: SignedRecord
    other: SignedRecord


@attrs.frozen
class Feed:
    """What is known of a feed.

    Attributes:
        head: the value of the highest sequence, None if there is none.
        equivocation: proof against its owner, None if there is none.
        seen: how many storers' answers named a head.
    """

    head: SignedRecord | None
    equivocation: Equivocation | None
    seen: int

    @property
    def next_sequence(self) -> int:
        """The sequence that its owner signs next, also one that lost all it knew."""
        return 1 if self.head is None else min(self.head.record.sequence + 1, MAX_SEQUENCE)


def judge(found: Iterable[Iterable[SignedRecord]], public_key: bytes, salt: bytes) -> Feed:
    """Put together what each storer gave.

    Args:
        found: the checked records of each.
        public_key: of the owner, 32 bytes.
        salt: which of the owner's feeds.
    """
    answers = [
        [
            signed
            for signed in records
            if signed.record.kind == RecordKind.FEED
            and (signed.record.public_key, signed.record.salt) == (public_key, salt)
        ]
        for records in found
    ]
    heads = {signed.data: signed for records in answers for signed in records}
    ordered = sorted(
        heads.values(), key=lambda s: (s.record.sequence, s.record.expires, s.data), reverse=True
    )
    proof = next(
        (
            Equivocation(one, other)
            for one, other in itertools.pairwise(ordered)
            if equivocates(one, other)
        ),
        None,
    )
    return Feed(ordered[0] if ordered else None, proof, sum(map(bool, answers)))
