"""This node's ledger as a key holder's gate sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bitsnode.ledger import answers
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.errors import RpcAnswerInvalid
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.voucher_events import REDEEMED
from bitsnode.market.certainty import CertainBlock
from onion.isolation import Isolation

if TYPE_CHECKING:
    from web3 import Web3

REFRESH_SECONDS: Final = 10.0  # at least, between two looks for new blocks
MAX_REDEEMED: Final = 10_000  # logs of one block


class LedgerChain:
    """A `Chain` on this node's ledger.

    Blocks are asked for in the chain's order, all that have a redemption, so that no server
    learns which of them somebody showed a receipt of.
    """

    def __init__(self, ledger: Ledger, isolation: Isolation, seconds: Callable[[], float]) -> None:
        """Use a ledger; `seconds` returns the Unix time."""
        self._ledger = ledger
        self._isolation = isolation
        self._seconds = seconds
        self._refreshed = -math.inf
        self._vouchers = bytes.fromhex(ledger.deployment.address("Vouchers")[2:])

    def check_certainty(self) -> None:
        """See `Chain.check_certainty`."""
        self._ledger.check_certainty()

    async def refresh(self) -> None:
        """See `Chain.refresh`; made-up receipts cause one look every `REFRESH_SECONDS`."""
        now = self._seconds()
        if now - self._refreshed >= REFRESH_SECONDS:
            self._refreshed = now
            await self._ledger.sync(self._isolation)

    def redeemed(self, after: Cursor | None, limit: int) -> list[Log]:
        """See `Chain.redeemed`."""
        return self._ledger.index.events("Vouchers", REDEEMED, after, limit)

    async def certain_blocks(self, numbers: Sequence[int]) -> list[CertainBlock]:
        """See `Chain.certain_blocks`."""

        def read(web3: Web3, final: int) -> list[CertainBlock]:
            return [self._read(web3, number) for number in numbers if number <= final]

        return await self._ledger.agreed(read, self._isolation)

    def _read(self, web3: Web3, number: int) -> CertainBlock:
        header = answers.header(_ask(web3, "eth_getBlockByNumber", hex(number), False))
        question = {
            "fromBlock": hex(number),
            "toBlock": hex(number),
            "address": ["0x" + self._vouchers.hex()],
        }
        logs = answers.logs(_ask(web3, "eth_getLogs", question), MAX_REDEEMED)
        for log in logs:
            if (log.address, log.block_hash) != (self._vouchers, header.hash):
                raise RpcAnswerInvalid("logs that were not asked for")
        if header.number != number:
            raise RpcAnswerInvalid("another block than was asked for")
        redeemed = tuple(log for log in logs if log.topics[:1] == (REDEEMED,))
        return CertainBlock(number, header.timestamp, redeemed)


def _ask(web3: Web3, method: Any, *params: Any) -> Any:
    """Ask as web3 would, without what it makes of the answer: ours are parsed strictly."""
    answer: Any = web3.provider.make_request(method, list(params))
    return answer.get("result")
