"""The gate: a key share leaves a holder only for a receipt of a payment that is final.

Each holder decides alone, by its own index of all redemptions; no buyer, relay, publisher or
other holder is asked. PROTOCOL.md §10 of `bitsnode.wire` lists what is checked.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.voucher_events import Redeemed, read_redeemed
from bitsnode.market.certainty import Chain
from bitsnode.market.challenge import Challenges
from bitsnode.market.custody import CustodyStore, Kept
from bitsnode.market.custody_price import check_paid
from bitsnode.market.errors import NotFinalYet, NotNamed, OfferExpired
from bitsnode.market.offer import Market, SignedOffer
from bitsnode.market.receipt import KeyQuestion, Receipt
from bitsnode.market.sealing import open_for_custody, seal_for_buyer
from bitsnode.market.shares import check_share
from bitsnode.wire.market_messages import Challenge, KeyShare, PutKeyShare, RequestKey

T = TypeVar("T")
PAGE: Final = 8  # redemptions whose blocks are asked for in one go


class Run(Protocol):
    """Runs a call that may wait for the disk, in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what the call returns, once it has; raise what it raises."""


class Gate:
    """A key holder's custody and its conditions.

    Args:
        store: what it keeps.
        market: the chain and contract that it knows.
        chain: what is certain.
        onion_key: of this node, 32 bytes.
        custody_key: private half of the card's sealing key.
        seconds: returns the Unix time in seconds.
        run: runs what waits for the disk.
        puzzle_bits: price of a share's custody.
    """

    def __init__(
        self,
        store: CustodyStore,
        market: Market,
        chain: Chain,
        onion_key: bytes,
        custody_key: X25519PrivateKey,
        seconds: Callable[[], float],
        run: Run,
        puzzle_bits: int,
    ) -> None:
        self._store = store
        self._market = market
        self._chain = chain
        self._onion_key = onion_key
        self._custody_key = custody_key
        self._public_key = custody_key.public_key().public_bytes_raw()
        self._seconds = seconds
        self._run = run
        self._puzzle_bits = puzzle_bits
        self._challenges = Challenges()
        self._following = False

    async def keep(self, request: PutKeyShare) -> None:
        """Take a share into custody; on return it is on the disk.

        Raises:
            UnpaidCustody: its puzzle is not solved; nothing else was looked at.
            OfferError: the offer is not in order, has expired, or is for another market.
            NotNamed: it does not name this node at this index.
            NotOpened: the share is not sealed to this node.
            WrongShare: it is not the one that the offer commits to.
            CustodyFull: a limit is reached.
        """
        check_paid(request, self._onion_key, self._puzzle_bits)
        await self._run(partial(self._keep, request))

    def _keep(self, request: PutKeyShare) -> None:
        signed = SignedOffer.parse(request.offer)
        offer = signed.offer
        self._market.check(offer)
        if self._seconds() > offer.valid_until:
            raise OfferExpired
        if request.index > len(offer.holders):
            raise NotNamed
        holder = offer.holders[request.index - 1]
        if (holder.onion_key, holder.custody_key) != (self._onion_key, self._public_key):
            raise NotNamed
        check_share(offer, request.index, self._open(signed, request.index, request.sealed))
        self._store.put(Kept(signed, request.index, request.sealed))

    async def challenge(self, offer_hash: bytes) -> Challenge:
        """Return what a request for the share of an offer has to sign.

        Raises:
            UnknownOffer: no share of it is kept here.
        """
        await self._run(partial(self._store.get, offer_hash))
        return Challenge(*self._challenges.make(offer_hash, self._seconds()))

    async def release(self, request: RequestKey) -> KeyShare:
        """Return this node's share, sealed to the key of the request.

        Raises:
            BadChallenge: the challenge is not ours, or too old.
            UnknownOffer: no share of the receipt's offer is kept here.
            ReceiptError: the receipt does not pay for its offer; one class per cause.
            NotFinalYet: its redemption is in no final block that we know.
            LedgerError: we cannot be certain of what the chain says.
            ReceiptUsedTooOften: it was answered too often.
            BadKey: the request's key is none.
        """
        now = self._seconds()
        receipt = Receipt.parse(request.receipt)
        self._challenges.check(request.challenge, receipt.offer_hash, request.expires, now)
        KeyQuestion(
            self._onion_key,
            request.public_key,
            request.challenge,
            request.expires,
            request.receipt,
        ).check(receipt.public_key, request.signature)
        kept = await self._run(partial(self._store.get, receipt.offer_hash))
        receipt.check_offer(kept.signed)
        message = receipt.message(self._market.chain_id, self._market.vouchers)
        recorded, time = await self.paid(message)
        receipt.check_record(recorded, time, kept.signed.offer)
        return await self._run(partial(self._seal, kept, request.public_key, message))

    async def paid(self, message: bytes) -> tuple[Redeemed, int]:
        """Return the redemption with this message (32 bytes), and the time of its final block.

        Raises:
            NotFinalYet: it is in no final block that we know.
            LedgerError: we cannot be certain of what the chain says.
        """
        self._chain.check_certainty()
        found = await self._run(partial(self._store.find, message))
        if found is None:
            await self._chain.refresh()
            await self.follow()
            found = await self._run(partial(self._store.find, message))
        if found is None:
            raise NotFinalYet
        return found

    def _seal(self, kept: Kept, public_key: bytes, message: bytes) -> KeyShare:
        share = self._open(kept.signed, kept.index, kept.sealed)
        sealed = seal_for_buyer(public_key, kept.signed.hash, kept.index, share)
        self._store.count_answer(message, self._seconds())
        return KeyShare(kept.index, sealed)

    def _open(self, signed: SignedOffer, index: int, sealed: bytes) -> bytes:
        return open_for_custody(self._custody_key, signed.hash, index, sealed)

    async def follow(self) -> None:
        """Take up the redemptions that were confirmed since last time, each with its block's time.

        Called by whoever brings the ledger's index up to date, and before a receipt is refused.
        What is taken up is what servers enough report alike at a final block, whatever the index
        was told in times when one server was believed.

        Raises:
            LedgerError: nothing is certain now; nothing was taken up then.
        """
        if self._following:
            return
        self._following = True
        try:
            while await self._follow_page():
                pass
        finally:
            self._following = False

    async def _follow_page(self) -> bool:
        self._chain.check_certainty()
        after = await self._run(self._store.followed)
        logs = await self._run(partial(self._chain.redeemed, after, PAGE))
        blocks = list(dict.fromkeys(log.block for log in logs))
        if not blocks:
            return False
        certain = {block.number: block for block in await self._chain.certain_blocks(blocks)}
        noted, reached = [], after
        for number in blocks:
            if number not in certain:  # final for the index, not yet for servers enough
                break
            block = certain[number]
            noted += [(read_redeemed(log), block.time) for log in block.redeemed]
            reached = max(_cursor(log) for log in logs if log.block == number)
        if reached is None or reached == after:
            return False
        await self._run(partial(self._store.note, noted, reached))
        return True


def _cursor(log: Log) -> Cursor:
    return Cursor(log.block, log.index)
