"""What is in the chain, put together for an asker."""

from collections.abc import Iterable
from typing import Final

from eth.abc import BlockHeaderAPI

from bitsnode.ledger.embedded import views
from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.errors import LIMIT_EXCEEDED, RpcFault
from bitsnode.ledger.embedded.records import Log, LogQuestion, Mined
from bitsnode.ledger.embedded.views import Json

MAX_LOGS: Final = 10_000  # of one eth_getLogs
MAX_LOG_BYTES: Final = 4 * 1024 * 1024  # bytes of data in the logs of one answer


def block(chain: EmbeddedChain, header: BlockHeaderAPI | None, *, full: bool) -> Json:
    """Show a block, with whole transactions or their hashes."""
    if header is None:
        return None
    if header.block_number > chain.height:
        return views.block(header, [], [], pending=True)
    mined = chain.records.in_block(header.block_number)
    shown = [transaction(chain, one, header) if full else views.text(one.hash) for one in mined]
    return views.block(header, mined, shown)


def transaction(chain: EmbeddedChain, mined: Mined, header: BlockHeaderAPI | None = None) -> Json:
    """Show a transaction."""
    return views.transaction(
        mined, chain.transaction(mined.raw), header or _header_of(chain, mined)
    )


def receipt(chain: EmbeddedChain, mined: Mined) -> Json:
    """Show what became of a transaction."""
    found = chain.records.logs(LogQuestion(mined.block, mined.block))
    logs = [one for one in found if one.transaction_position == mined.position]
    decoded = chain.transaction(mined.raw)
    return views.receipt(mined, decoded, _header_of(chain, mined), logs)


def _header_of(chain: EmbeddedChain, mined: Mined) -> BlockHeaderAPI:
    """Return the header of the block of a transaction."""
    header = chain.header(mined.block)
    if header is None:
        raise RuntimeError("a transaction has no block")
    return header


def logs(chain: EmbeddedChain, found: Iterable[Log]) -> list[Json]:
    """Show logs, in the order given.

    Raises:
        RpcFault: there are too many.
    """
    shown: list[Json] = []
    size, at, header = 0, -1, chain.head
    mined: dict[int, Mined] = {}
    for one in found:
        size += len(one.data)
        if len(shown) >= MAX_LOGS or size > MAX_LOG_BYTES:
            raise RpcFault(LIMIT_EXCEEDED, f"query returned more than {MAX_LOGS} results")
        if one.block != at:
            at, header = one.block, chain.header(one.block) or header
            mined = {each.position: each for each in chain.records.in_block(at)}
        shown.append(views.log(one, mined[one.transaction_position], header))
    return shown
