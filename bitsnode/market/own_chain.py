"""This node's ledger as a purchase sees it: by what a voucher was spent, and how final that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bitsnode.ledger import answers
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.trees_store import LAST_BLOCK
from bitsnode.ledger.voucher_events import REDEEMED, read_redeemed
from bitsnode.market.purchase_needs import Run, Sighting
from onion.isolation import Isolation

if TYPE_CHECKING:
    from web3 import Web3

MAX_FRESH: Final = 10_000  # redemptions in blocks that are not final


class OwnChain:
    """A `bitsnode.market.purchase_needs.Chain` on this node's ledger.

    Nothing is asked for a voucher: all redemptions are read, and looked through here.

    Args:
        ledger: of the chain.
        trees: of the vouchers; they know all final redemptions.
        run: carries out in a thread what waits for the disk.
        isolation: of the index, which is the same for everything.
    """

    def __init__(self, ledger: Ledger, trees: Trees, run: Run, isolation: Isolation) -> None:
        self._ledger = ledger
        self._trees = trees
        self._run = run
        self._isolation = isolation

    async def look(self, group: int, nullifier: int) -> Sighting | None:
        """See `Chain.look`.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer, or contradicts itself.
        """
        await self._ledger.sync(self._isolation)
        return await self._run(lambda: self._find(group, nullifier))

    async def settled_until(self) -> int:
        """See `Chain.settled_until`; as servers enough say alike.

        Raises:
            bitsnode.ledger.errors.LedgerError: it is not certain now.
        """
        reach = await self._ledger.sync(self._isolation)

        def time(web3: Web3, final: int) -> int:
            number = hex(min(final, reach.confirmed))
            # as web3 would ask, without what it makes of the answer: ours are parsed strictly
            method: Any = "eth_getBlockByNumber"
            answer: Any = web3.provider.make_request(method, [number, False])
            return answers.header(answer.get("result")).timestamp

        return await self._ledger.agreed(time, self._isolation)

    def _find(self, group: int, nullifier: int) -> Sighting | None:
        index = self._ledger.index
        confirmed = index.reach.confirmed  # before the trees: what they know then is all of that
        self._trees.follow()
        message = self._trees.messages(nullifier).get(group)
        final = self._trees.redemption(message) if message is not None else None
        if final is not None:
            return Sighting(final.message, final.cursor.block, final.transaction, True)
        after = Cursor(confirmed, LAST_BLOCK)
        for log in index.events("Vouchers", REDEEMED, after, MAX_FRESH, unconfirmed=True):
            found = read_redeemed(log)
            if (group, nullifier) in zip(found.groups, found.nullifiers, strict=True):
                return Sighting(found.message, log.block, log.transaction, False)
        return None
