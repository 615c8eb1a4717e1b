"""For tests: a chain and key holders in memory, on which real gates work."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock, deferLater

from bitsnode.config import LOCAL
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.errors import LedgerError
from bitsnode.market.certainty import CertainBlock, Chain
from bitsnode.market.custody import CustodyStore, Limits
from bitsnode.market.custody_price import UNPAID, Payer
from bitsnode.market.gate import Gate
from bitsnode.market.offer import Market, SignedOffer
from bitsnode.market.receipt import KeyQuestion, Receipt
from bitsnode.market.responder import CustodyResponder
from bitsnode.market.sealing import open_for_buyer, seal_for_custody
from bitsnode.market.testing import (
    MARKET,
    NOW,
    PRICE,
    Purchase,
    custody_key,
    onion_key,
    redeemed_log,
)
from bitsnode.peer.errors import RequestTimedOut, Unreachable
from bitsnode.wire.exchange import Caller
from bitsnode.wire.market_messages import (
    AskChallenge,
    KeyShare,
    PutKeyShare,
    RequestKey,
)
from bitsnode.wire.messages import Request
from onion.address import OnionAddress
from onion.isolation import Isolation

T = TypeVar("T")
CALLER: Final = Caller(1)


class MemoryChain:
    """A `Chain` whose blocks a test makes final, and whose certainty it takes away.

    Attributes:
        blocks: logs of redemptions and times, by number; the index knows all of them.
        final: number of the last block that servers enough call final.
        failure: raised instead of an answer.
        asked: numbers of blocks asked for, in order.
        refreshed: how often new blocks were to be looked for.
    """

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, list[Log]]] = {}
        self.final = 0
        self.failure: LedgerError | None = None
        self.asked: list[int] = []
        self.refreshed = 0

    def redeem(self, receipt: Receipt, *, block: int, time: int, gross: int = PRICE) -> None:
        """Put a redemption into a block."""
        _time, logs = self.blocks.setdefault(block, (time, []))
        logs.append(redeemed_log(receipt, gross=gross, block=block, index=len(logs)))

    def check_certainty(self) -> None:
        """See `Chain.check_certainty`."""
        if self.failure is not None:
            raise self.failure

    async def refresh(self) -> None:
        """See `Chain.refresh`."""
        self.refreshed += 1

    def redeemed(self, after: Cursor | None, limit: int) -> list[Log]:
        """See `Chain.redeemed`."""
        logs = [log for _number, (_time, logs) in sorted(self.blocks.items()) for log in logs]
        start = after or Cursor(-1, -1)
        return [log for log in logs if Cursor(log.block, log.index) > start][:limit]

    async def certain_blocks(self, numbers: Sequence[int]) -> list[CertainBlock]:
        """See `Chain.certain_blocks`."""
        self.check_certainty()
        self.asked += numbers
        found = [(number, *self.blocks[number]) for number in numbers if number <= self.final]
        return [CertainBlock(number, time, tuple(logs)) for number, time, logs in found]


async def run_now(call: Callable[[], T]) -> T:
    """Carry out a call at once: a `Run` without threads."""
    return call()


def result(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that waits for nothing returns; raise what it raises."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("it waits for something")


class Holder:
    """A key holder with a real gate, and what a buyer says to it.

    Args:
        path: of its file.
        index: of it in the offers.
        chain: what it knows; may be shared.
        limits: of its custody.
        market: where it is paid.

    Attributes:
        now: its time.
    """

    def __init__(
        self,
        path: Path,
        index: int,
        chain: Chain,
        limits: Limits | None = None,
        market: Market = MARKET,
    ) -> None:
        self.index = index
        self.now = float(NOW)
        self.key = onion_key(index)
        self.store = CustodyStore(path, market, limits)
        self.gate = Gate(
            self.store,
            market,
            chain,
            self.key.public_key,
            custody_key(index),
            lambda: self.now,
            run_now,
            LOCAL.share_bits,
        )
        self.responder = CustodyResponder(self.gate)

    def entrust(self, signed: SignedOffer, shares: tuple[bytes, ...]) -> None:
        """Give it its share."""
        result(self.responder.handle(self.share_of(signed, shares), CALLER))

    def share_of(self, signed: SignedOffer, shares: tuple[bytes, ...]) -> PutKeyShare:
        """The message that gives it its share."""
        public = custody_key(self.index).public_key().public_bytes_raw()
        sealed = seal_for_custody(public, signed.hash, self.index, shares[self.index - 1])
        return self.paid(PutKeyShare(signed.data, self.index, sealed, UNPAID))

    def paid(self, request: PutKeyShare) -> PutKeyShare:
        """A request with the puzzle solved."""
        return result(Payer(LOCAL.share_bits, run_now).pay(self.key.public_key, request))

    def ask(self, purchase: Purchase, reader: X25519PrivateKey, **changes: Any) -> RequestKey:
        """The request of a buyer, with a fresh challenge; changes are made before it signs."""
        asked = AskChallenge(purchase.receipt.offer_hash)
        challenge: Any = result(self.responder.handle(asked, CALLER))
        question = KeyQuestion(
            self.key.public_key,
            reader.public_key().public_bytes_raw(),
            challenge.challenge,
            challenge.expires,
            purchase.receipt.dump(),
        )
        question = attrs.evolve(question, **changes)
        return RequestKey(
            question.receipt,
            question.public_key,
            question.challenge,
            question.expires,
            question.sign(purchase.seed),
        )

    def release(self, purchase: Purchase, **changes: Any) -> bytes:
        """Ask for the share, and open it; raises what the responder raises."""
        reader = X25519PrivateKey.generate()
        reply = result(self.responder.handle(self.ask(purchase, reader, **changes), CALLER))
        if not isinstance(reply, KeyShare):
            raise AssertionError(f"not a key share: {reply}")
        return open_for_buyer(reader, purchase.receipt.offer_hash, reply.index, reply.sealed)


class MemoryHolders:
    """Key holders in reach of a buyer on a clock that is driven; see `asking.Peers`.

    Args:
        clock: drives everything.
        holders: 1 to m.

    Attributes:
        dead: indexes of those that cannot be reached.
        hanging: indexes of those that take requests and never answer.
        change: is given index and reply, and returns what is sent.
        asked: index and isolation of each request, in order.
        closed: isolations that were closed.
        failure: raised by every request.
    """

    def __init__(self, clock: Clock, holders: Sequence[Holder]) -> None:
        self.clock = clock
        self.dead: set[int] = set()
        self.hanging: set[int] = set()
        self.change: Callable[[int, Any], Any] = lambda _index, reply: reply
        self.asked: list[tuple[int, Isolation]] = []
        self.closed: list[Isolation] = []
        self.failure: Exception | None = None
        self._holders = {holder.key.address: holder for holder in holders}

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """See `asking.Peers.request`."""
        if self.failure is not None:
            raise self.failure
        holder = self._holders[address]
        self.asked.append((holder.index, isolation))
        await deferLater(self.clock, 0.1, lambda: None)
        if holder.index in self.dead:
            raise Unreachable(address)
        if holder.index in self.hanging:
            await deferLater(self.clock, timeout or 60.0, lambda: None)
            raise RequestTimedOut
        return self.change(holder.index, await holder.responder.handle(message, CALLER))

    def close(self, isolation: Isolation) -> None:
        """See `asking.Peers.close`."""
        self.closed.append(isolation)
