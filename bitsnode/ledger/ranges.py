"""Reading a range of blocks from one RPC server, and checking it against itself."""

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from bitsnode.ledger import answers, errors
from bitsnode.ledger.answers import Header, Log
from bitsnode.ledger.bloom import may_hold, surely_holds
from bitsnode.ledger.jsonrpc import Request
from bitsnode.ledger.rpc import Asker

MAX_LOGS: Final = 50_000  # in one answer; more in a single block than gas can pay for


@attrs.frozen
class Wanted:
    """Whose logs are read: all of the contracts' and nobody's in particular.

    Attributes:
        addresses: of the contracts, 20 bytes each.
        topics: first topics that they emit, 32 bytes each.
    """

    addresses: tuple[bytes, ...]
    topics: tuple[bytes, ...]


@attrs.frozen
class BlockRange:
    """What a server says of a range of blocks.

    Attributes:
        first: number of the first block.
        last: number of the last block.
        headers: by number; all of them, or the last one and those of blocks with logs.
        logs: of the contracts, in the order of the chain.
    """

    first: int
    last: int
    headers: dict[int, Header]
    logs: list[Log]


def read_headers(asker: Asker, numbers: Iterable[int]) -> dict[int, Header]:
    """Headers by number.

    Raises:
        RpcAnswerInvalid: one is missing, or is not that of its number.
        RpcError: as in `Asker.ask`.
    """
    wanted = list(numbers)
    found = asker.batch([Request("eth_getBlockByNumber", [hex(n), False]) for n in wanted])
    headers = answers.each(answers.header, found)
    if [header.number for header in headers] != wanted:
        raise errors.RpcAnswerInvalid("another block than the one asked for")
    return {header.number: header for header in headers}


def read_tag(asker: Asker, tag: str) -> Header:
    """The header behind a tag such as "finalized".

    Raises:
        RpcError: as in `Asker.ask`.
    """
    found = asker.ask("eth_getBlockByNumber", tag, False)
    if found is None:
        raise errors.RpcAnswerInvalid(f"it knows no block that is {tag}")
    return answers.header(found)


def read_logs(asker: Asker, wanted: Wanted, first: int, last: int) -> list[Log]:
    """All logs of the contracts in a range.

    Raises:
        RpcAnswerInvalid: they are of other contracts or other blocks.
        RpcError: as in `Asker.ask`.
    """
    question = {
        "fromBlock": hex(first),
        "toBlock": hex(last),
        "address": ["0x" + address.hex() for address in wanted.addresses],
    }
    logs = answers.logs(asker.ask("eth_getLogs", question), MAX_LOGS)
    if any(not first <= log.block <= last or log.address not in wanted.addresses for log in logs):
        raise errors.RpcAnswerInvalid("logs that were not asked for")
    return logs


def read_range(
    asker: Asker, wanted: Wanted, first: int, last: int, *, all_headers: bool
) -> BlockRange:
    """A range of blocks, checked as far as its headers allow.

    Raises:
        RpcHidesLogs: a header shows logs that are left out.
        RpcAnswerInvalid: logs and headers contradict one another.
        RpcError: as in `Asker.ask`.
    """
    logs = read_logs(asker, wanted, first, last)
    if all_headers:
        numbers: Sequence[int] = range(first, last + 1)
    else:
        numbers = sorted({last, *(log.block for log in logs)})
    headers = read_headers(asker, numbers)
    _check_links(headers)
    _check_logs(headers, logs, wanted)
    return BlockRange(first, last, headers, logs)


def _check_links(headers: dict[int, Header]) -> None:
    for number, header in headers.items():
        before = headers.get(number - 1)
        if before is not None and before.hash != header.parent:
            raise errors.RpcAnswerInvalid("blocks that do not follow one another")


def _check_logs(headers: dict[int, Header], logs: list[Log], wanted: Wanted) -> None:
    seen = {(log.block, log.address) for log in logs}
    for log in logs:
        header = headers[log.block]
        if log.block_hash != header.hash or not may_hold(header.bloom, log.address):
            raise errors.RpcAnswerInvalid("a log that is not in its block")
    for number, header in headers.items():
        for address in wanted.addresses:
            shown = (number, address) in seen
            if not shown and surely_holds(header.bloom, address, wanted.topics):
                raise errors.RpcHidesLogs(f"block {number}")
