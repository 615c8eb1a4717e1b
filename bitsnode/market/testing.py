"""For tests: a creator, its offers, buyers' receipts, and what the chain says of them."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import nacl.signing
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock, deferLater

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.errors import LedgerError
from bitsnode.ledger.redemption import Redemption
from bitsnode.ledger.voucher_events import REDEEMED, Redeemed
from bitsnode.market.certainty import CertainBlock, Chain
from bitsnode.market.custody import CustodyStore, Limits
from bitsnode.market.gate import Gate
from bitsnode.market.offer import KeyHolder, Market, Offer, SignedOffer
from bitsnode.market.receipt import KeyQuestion, Receipt, tag_of
from bitsnode.market.responder import CustodyResponder
from bitsnode.market.sealing import open_for_buyer, seal_for_custody
from bitsnode.market.shares import seal_whitening, secret_commitment, share_commitment, split
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
from onion.keys import OnionKey
from zk.stealth import MetaAddress, generate, public_key

T = TypeVar("T")
CALLER: Final = Caller(1)
NOW: Final = 1_800_000_000  # Unix time in seconds
DAY: Final = 86_400
PRICE: Final = 10**15  # wei
CHAIN_ID: Final = 13370042
VOUCHERS: Final = b"\x09" * 20  # address of the contract
MARKET: Final = Market(CHAIN_ID, VOUCHERS, (10**14, PRICE, 10**16))
SECRET: Final = bytes(range(16))
WHITENING: Final = bytes(range(16, 32))
CONTENT: Final = b"\x0c" * 32
PUBLISHER_SEED: Final = b"\x0d" * 32
SPENDING, VIEWING = b"\x01" * 32, b"\x02" * 32  # the creator's private keys
META: Final = MetaAddress(public_key(SPENDING), public_key(VIEWING))


def onion_key(number: int) -> OnionKey:
    """The onion key of a key holder."""
    return OnionKey(bytes([number]) * 32)


def custody_key(number: int) -> X25519PrivateKey:
    """The custody key of a key holder."""
    return X25519PrivateKey.from_private_bytes(bytes([100 + number]) * 32)


def holders_of(shares: tuple[bytes, ...]) -> tuple[KeyHolder, ...]:
    """Key holders 1 to m, and what each commits to."""
    return tuple(
        KeyHolder(
            onion_key(index).public_key,
            custody_key(index).public_key().public_bytes_raw(),
            share_commitment(index, share),
        )
        for index, share in enumerate(shares, 1)
    )


def make_offer(
    threshold: int = 2, holders: int = 4, **changes: Any
) -> tuple[Offer, tuple[bytes, ...]]:
    """An offer of a real secret, and its shares."""
    shares = split(SECRET, threshold, holders)
    offer = Offer(
        version=1,
        content=CONTENT,
        publisher=bytes(nacl.signing.SigningKey(PUBLISHER_SEED).verify_key),
        chain_id=CHAIN_ID,
        vouchers=VOUCHERS,
        denomination=1,
        price=PRICE,
        valid_from=NOW - DAY,
        valid_until=NOW + 30 * DAY,
        spending_public_key=META.spending_public_key,
        viewing_public_key=META.viewing_public_key,
        threshold=threshold,
        holders=holders_of(shares),
        secret_commitment=secret_commitment(SECRET),
        sealed_whitening=seal_whitening(SECRET, WHITENING),
        fee_limit=PRICE // 20,
        custody_fee=0,
    )
    return attrs.evolve(offer, **changes), shares


def sign(offer: Offer) -> SignedOffer:
    """The offer as its publisher signs it."""
    return SignedOffer.sign(offer, PUBLISHER_SEED)


@attrs.frozen
class Purchase:
    """What a buyer has in the end.

    Attributes:
        seed: of the receipt's key, 32 bytes.
        receipt: of the payment.
    """

    seed: bytes
    receipt: Receipt


def buy(signed: SignedOffer, number: int = 1, **changes: Any) -> Purchase:
    """Pay an offer; changes are of the redemption's fields, before the receipt is made."""
    seed = bytes([number]) * 32
    key = bytes(nacl.signing.SigningKey(seed).verify_key)
    salt, ephemeral = b"\x05" * 31 + bytes([number]), b"\x06" * 31 + bytes([number])
    payment = generate(signed.offer.meta_address, ephemeral)
    redemption = Redemption(
        payee=bytes.fromhex(payment.stealth_address[2:]),
        ephemeral_public_key=payment.ephemeral_public_key,
        view_tag=payment.view_tag,
        tag=tag_of(signed.hash, key, salt),
        relayer=b"\x07" * 20,
        fee=PRICE // 50,
        deadline=signed.offer.valid_until,
    )
    receipt = Receipt.of(
        attrs.evolve(redemption, **changes),
        (3,),
        (1000 + number,),
        ephemeral_private_key=ephemeral,
        offer_hash=signed.hash,
        public_key=key,
        salt=salt,
    )
    return Purchase(seed, receipt)


def recorded(receipt: Receipt, gross: int = PRICE, block: int = 7) -> Redeemed:
    """What an honest chain records of a receipt's redemption."""
    return Redeemed(
        cursor=Cursor(block, 0),
        transaction=bytes(32),
        message=receipt.message(CHAIN_ID, VOUCHERS),
        tag=receipt.tag,
        payee=receipt.payee,
        gross=gross,
        fee=receipt.fee,
        groups=receipt.groups,
        nullifiers=receipt.nullifiers,
    )


class MemoryChain:
    """A `Chain` whose blocks a test makes final, and whose certainty it takes away.

    Attributes:
        blocks: logs of redemptions and times, by number; the index knows all of them.
        final: number of the last block that servers enough call final.
        failure: raised instead of an answer.
        asked: numbers of blocks asked for, in order.
    """

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, list[Log]]] = {}
        self.final = 0
        self.failure: LedgerError | None = None
        self.asked: list[int] = []

    def redeem(self, receipt: Receipt, *, block: int, time: int, gross: int = PRICE) -> None:
        """Put a redemption into a block."""
        _time, logs = self.blocks.setdefault(block, (time, []))
        logs.append(redeemed_log(receipt, gross=gross, block=block, index=len(logs)))

    def check_certainty(self) -> None:
        """See `Chain.check_certainty`."""
        if self.failure is not None:
            raise self.failure

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


def redeemed_log(receipt: Receipt, *, gross: int = PRICE, block: int = 7, index: int = 0) -> Log:
    """The log of a redemption, as the contract writes it."""
    count = len(receipt.groups)
    words = [int.from_bytes(receipt.payee, "big"), gross, receipt.fee, 160, 192 + 32 * count]
    words += [count, *receipt.groups, count, *receipt.nullifiers]
    return Log(
        block=block,
        block_hash=bytes([block]) * 32,
        index=index,
        transaction=bytes(32),
        address=VOUCHERS,
        topics=(REDEEMED, receipt.message(CHAIN_ID, VOUCHERS), receipt.tag),
        data=b"".join(word.to_bytes(32, "big") for word in words),
    )


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
        )
        self.responder = CustodyResponder(self.gate)

    def entrust(self, signed: SignedOffer, shares: tuple[bytes, ...]) -> None:
        """Give it its share."""
        result(self.responder.handle(self.share_of(signed, shares), CALLER))

    def share_of(self, signed: SignedOffer, shares: tuple[bytes, ...]) -> PutKeyShare:
        """The message that gives it its share."""
        public = custody_key(self.index).public_key().public_bytes_raw()
        sealed = seal_for_custody(public, signed.hash, self.index, shares[self.index - 1])
        return PutKeyShare(signed.data, self.index, sealed)

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
