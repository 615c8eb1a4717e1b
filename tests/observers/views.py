"""What observers hold: values without judgement, from a run or made up by a test. Pure."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import attrs

from tests.observers.tokens import tokens_of

WEI = int


@attrs.frozen
class Log:
    """One event.

    Attributes:
        address: of the contract, 20 bytes.
        topics: of 32 bytes each.
        data: any bytes.
    """

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes = b""


@attrs.frozen
class Transaction:
    """One transaction of the chain, with its receipt.

    Attributes:
        hash: 32 bytes.
        block: number.
        time: of the block, Unix seconds.
        sender: 20 bytes.
        to: 20 bytes; b"" where it made a contract.
        value: wei.
        data: of the call.
        logs: its events.
    """

    hash: bytes
    block: int
    time: float
    sender: bytes
    to: bytes
    value: WEI
    data: bytes = b""
    logs: tuple[Log, ...] = ()


@attrs.frozen
class Question:
    """One request that came to the RPC server.

    Attributes:
        time: of its arrival, Unix seconds.
        circuit: over which it came, as tor tells the service; "" if unknown.
        method: of JSON-RPC.
        params: as JSON gave them.
        answered: when the server had answered, Unix seconds; None if it never did, or at once.
    """

    time: float
    circuit: str
    method: str
    params: tuple[Any, ...] = ()
    answered: float | None = None

    @property
    def end(self) -> float:
        """Until when whoever asked was waiting for the server, Unix seconds."""
        return self.time if self.answered is None else self.answered


@attrs.frozen(eq=False)
class Entry:
    """One row, line or file of somebody's state: what stands there together.

    Attributes:
        node: whose.
        source: file, and table or line.
        values: what stands there, bytes and text and numbers.
        time: a moment that stands there too, Unix seconds; None if none does.
    """

    node: str
    source: str
    values: tuple[object, ...]
    time: float | None = None

    @cached_property
    def tokens(self) -> frozenset[bytes]:
        """What of it could tell one thing from another."""
        return tokens_of(*self.values)


@attrs.frozen
class Work:
    """One content of the catalogue, which everybody can read who knows its name.

    Attributes:
        name: for people.
        content: digest of its id, 32 bytes.
        price: wei; 0 if it is free.
        onion: key of the creator's onion service, 32 bytes.
        marks: what stands for the content: offer hash, DHT key, storage index, …
        creator_marks: what stands for the creator: publisher's key, meta-address, address, …
        size: bytes; 0 if unknown.
    """

    name: str
    content: bytes
    price: WEI
    onion: bytes
    marks: tuple[bytes, ...] = ()
    creator_marks: tuple[bytes, ...] = ()
    size: int = 0


@attrs.frozen
class View:
    """All that an observer, or several together, hold.

    Attributes:
        transactions: of the chain, in its order.
        contracts: addresses of the deployment, 20 bytes each, by name.
        works: the catalogue.
        questions: the RPC server's log.
        entries: states and logs of nodes.
        nodes: public identities of nodes that serve: onion keys and relays' accounts.
    """

    transactions: tuple[Transaction, ...]
    contracts: dict[str, bytes]
    works: tuple[Work, ...] = ()
    questions: tuple[Question, ...] = ()
    entries: tuple[Entry, ...] = ()
    nodes: frozenset[bytes] = frozenset()

    def only(
        self, entries: Callable[[Entry], bool] = lambda _entry: False, *, questions: bool = False
    ) -> "View":
        """The part of it that one observer holds: the chain and the catalogue are everybody's."""
        return attrs.evolve(
            self,
            entries=tuple(entry for entry in self.entries if entries(entry)),
            questions=self.questions if questions else (),
        )
