"""Where a node stands in the DHT, for people."""

from enum import Enum

import attrs

from bitsnode.dht.alarms import Alarm


class DhtState(Enum):
    """How far a node has joined."""

    NO_PEERS = "no peers known"
    JOINING = "joining"
    JOINED = "joined"


@attrs.frozen
class DhtStatus:
    """What `bitsnode status` shows.

    Attributes:
        state: see `DhtState`.
        contacts: live contacts.
        candidates: nodes heard of and not dialled yet.
        given: addresses to begin with that have not answered yet.
        records: kept for others.
        record_bytes: their size.
        nodes: estimate of how many nodes there are in all; 0 while unknown.
        alarms: signs of the last day that somebody's nodes surround this one, or a key.
        clock_hours: hours that our clock seems to be ahead of the others'; 0 if it is right.
    """

    state: DhtState
    contacts: int
    candidates: int
    given: int
    records: int
    record_bytes: int
    nodes: int
    alarms: tuple[Alarm, ...]
    clock_hours: int
