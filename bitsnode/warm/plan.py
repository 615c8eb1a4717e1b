"""Every number of this room in one place, so that a model or a simulation can vary them."""

from typing import Final

import attrs

_HOUR: Final = 3600.0
_MIB: Final = 1 << 20


@attrs.frozen
class Plan:
    """How much is kept open and ready, and how long anything may take. Times in seconds.

    Attributes:
        group_nodes: nodes that a group has at least; 20 keep a record at first, so half of the
            smallest group.
        group_bits: bits of the largest number of groups: 6 for 64.
        links: ask links for each group.
        least: ask links in all, where there are few groups.
        near: ask links for each part of our own group nearer to us, over which others' questions
            are handed on.
        life: least and most age of an ask link; what its node learns of one asker ends with it.
        client_life: the same for a node without a card, which is dialled by nobody in turn.
        ping: mean time between pings of a link. Every ping costs both ends, and a node has as many
            links to it as it has itself; a question that is not answered pings sooner.
        client_ping: the same for a node without a card.
        ping_answer: for the answer to a ping, after which the link is dead.
        dials: ask links that are dialled at a time.
        retry: before a node that did not answer is dialled again: at first, for it may only have
            restarted, doubled each time, and at most.
        away: before anything is dialled again while our own tor is down.
        walk: between walks for nodes of groups that none are known of.
        kept_cards: nodes of a group that are remembered from walks.

        misses: times that a link had nothing where another had something, of the last
            `judged` questions, after which its node gives way to another.
        judged: see `misses`.

        ask: links that are asked at once.
        hedge: without an answer, after which one more link of the group is asked, if there is one.
        grace: that others may add to a first answer.
        feed_grace: the same where the answer is a feed's head, which others may know newer.
        group_most: for the group to answer before the question is handed on as well.
        nearest: links to the nodes nearest to a key over which a question is handed on...
        others: ...and links to other nodes, drawn at random, which ask their own links once.
        hops: nodes that a question is handed on to at most, one after the other.
        last: links that the last of these nodes asks at once.
        hop: of time that each further hop is given.
        hop_base: of time that the asking of one node is given.
        forward_rate: questions a second that one connection may have handed on...
        forward_burst: ...and at once.
        forwards: handed on for all connections at a time.

        neighbours: nodes of our group whose indexes we follow.
        neighbour_life: least and most time that one is followed.
        poll: mean time between looks at a neighbour's index.
        full_reads: indexes that are read from their beginning before the others are followed from
            their end.
        settled: time that we are up before we read so; many nodes leave before.
        small: bytes of an index that is read at once.
        read_again: between further readings from the beginning, of one neighbour each.
        index_bytes: records of our index.
        index_rate: bytes a second that are pulled from all neighbours...
        fill_rate: ...and while the index is read for the first time...
        index_burst: ...and at once; for each neighbour no less than one answer, of 256 KiB.
        serve_rate: bytes a second that neighbours may pull from us, all together...
        serve_burst: ...and at once.
        strikes: faults after which a neighbour is dropped.
        barred: for which a neighbour that lied is not followed again.
    """

    group_nodes: int = 40
    group_bits: int = 6
    links: int = 3
    least: int = 9
    near: int = 2
    life: tuple[float, float] = (1.5 * _HOUR, 3 * _HOUR)
    client_life: tuple[float, float] = (2 * _HOUR, 4 * _HOUR)
    ping: float = 300.0
    client_ping: float = 600.0
    ping_answer: float = 15.0
    dials: int = 4
    retry: tuple[float, float] = (60.0, 600.0)
    away: float = 5.0
    walk: float = 20.0
    kept_cards: int = 20
    misses: int = 2
    judged: int = 5

    ask: int = 3
    hedge: float = 0.7
    grace: float = 0.15
    feed_grace: float = 0.5
    group_most: float = 1.0
    nearest: int = 3
    others: int = 3
    hops: int = 4
    last: int = 3
    hop: float = 1.5
    hop_base: float = 1.5
    forward_rate: float = 0.5
    forward_burst: float = 10.0
    forwards: int = 64

    neighbours: int = 6
    neighbour_life: tuple[float, float] = (2 * _HOUR, 4 * _HOUR)
    poll: float = 60.0
    full_reads: int = 2
    settled: float = 1 * _HOUR
    small: int = 4 * _MIB
    read_again: float = 6 * _HOUR
    index_bytes: int = 64 * _MIB
    index_rate: float = 1.5 * 1024
    fill_rate: float = 32 * 1024
    index_burst: float = 1.5 * _MIB
    serve_rate: float = 16 * 1024
    serve_burst: float = 4.0 * _MIB
    strikes: int = 3
    barred: float = 6 * _HOUR

    def seek_seconds(self, hops: int) -> float:
        """Return how long a question that may be handed on ``hops`` more times is given."""
        return self.hop_base + self.hop * hops


PLAN: Final = Plan()
