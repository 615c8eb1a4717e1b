"""Transactions and logs in tables of our own, so that finding one never scans blocks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import frozen

from bitsnode.ledger.embedded.database import ChainDatabase

_TRANSACTION: Final = (
    "hash, block, position, raw, sender, contract, status, gas_used, cumulative_gas, gas_price"
)
_LOG: Final = (
    "logs.block, logs.position, transaction_position, address, topic0, topic1, topic2, topic3, data"
)


@frozen
class Mined:
    """A transaction in a block, and what became of it.

    Attributes:
        hash: 32 bytes.
        block: number of its block.
        position: in its block.
        raw: as it was sent.
        sender: 20 bytes.
        contract: 20 bytes of the address of the contract made, if one was to be made.
        status: 1 done, 0 failed.
        gas_used: by it alone.
        cumulative_gas: by it and those before it in the block.
        gas_price: wei per gas that it paid.
    """

    hash: bytes
    block: int
    position: int
    raw: bytes
    sender: bytes
    contract: bytes | None
    status: int
    gas_used: int
    cumulative_gas: int
    gas_price: int


@frozen
class Log:
    """An event of a contract.

    Attributes:
        block: number of its block.
        position: in its block.
        transaction_position: of its transaction in the block.
        address: 20 bytes of the contract.
        topics: up to 4 of 32 bytes.
        data: bytes.
    """

    block: int
    position: int
    transaction_position: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@frozen
class LogQuestion:
    """Which logs are wanted: blocks first to last, of any of the addresses, matching the topics.

    An empty tuple of addresses, or of the alternatives of a topic, takes all.
    """

    first: int
    last: int
    addresses: tuple[bytes, ...] = ()
    topics: tuple[tuple[bytes, ...], ...] = ()


class Records:
    """The tables `transactions` and `logs`."""

    def __init__(self, database: ChainDatabase) -> None:
        self._database = database

    def add(self, mined: Mined, logs: Sequence[Log]) -> None:
        """Keep a transaction and its logs; within the transaction that writes the block."""
        self._database.write(
            f"INSERT INTO transactions ({_TRANSACTION}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
            (
                mined.hash,
                mined.block,
                mined.position,
                mined.raw,
                mined.sender,
                mined.contract,
                mined.status,
                mined.gas_used,
                mined.cumulative_gas,
                mined.gas_price.to_bytes(32, "big"),
            ),
        )
        for log in logs:
            topics = [*log.topics, None, None, None, None][:4]
            values = (log.block, log.position, log.transaction_position, log.address)
            self._database.write(
                "INSERT INTO logs VALUES (?,?,?,?,?,?,?,?,?)", (*values, *topics, log.data)
            )

    def by_hash(self, transaction: bytes) -> Mined | None:
        """Return the transaction with this hash, if it is in a block."""
        question = f"SELECT {_TRANSACTION} FROM transactions WHERE hash = ?"  # noqa: S608
        row = self._database.one(question, (transaction,))
        return _mined(row) if row else None

    def in_block(self, number: int) -> list[Mined]:
        """Return the transactions of a block in order."""
        question = f"SELECT {_TRANSACTION} FROM transactions WHERE block = ? ORDER BY position"  # noqa: S608
        return [_mined(row) for row in self._database.rows(question, (number,))]

    def logs(self, question: LogQuestion) -> Iterator[Log]:
        """Return the logs asked for in order of block and position, one by one."""
        where, values = ["block BETWEEN ? AND ?"], [question.first, question.last]
        wanted: list[tuple[str, Sequence[bytes]]] = [("address", question.addresses)]
        wanted += [(f"topic{index}", some) for index, some in enumerate(question.topics)]
        bound: list[Any] = list(values)
        for column, some in wanted:
            if some:
                where.append(f"{column} IN ({','.join('?' * len(some))})")
                bound += some
            elif column != "address":
                where.append(f"{column} IS NOT NULL")
        statement = (
            f"SELECT {_LOG} FROM logs WHERE {' AND '.join(where)}"  # noqa: S608
            " ORDER BY block, position"
        )
        return map(_log, self._database.rows(statement, bound))


def _mined(row: Any) -> Mined:
    *values, price = row
    return Mined(*[*values, int.from_bytes(price, "big")])


def _log(row: Any) -> Log:
    *place, topic0, topic1, topic2, topic3, data = row
    topics = (topic0, topic1, topic2, topic3)
    return Log(*[*place, tuple(topic for topic in topics if topic is not None), data])
