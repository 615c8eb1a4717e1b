"""How a buyer asks one key holder, and a publisher gives one its share; each alone.

Every question goes over circuits of its own, closed after it, so that holders cannot tell by them
that they were asked by the same person.
"""

from collections.abc import Awaitable
from typing import Any, Final, Protocol, TypeVar

import attrs
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from bitsnode.errors import BitsError
from bitsnode.market.errors import WrongShare
from bitsnode.market.offer import SignedOffer
from bitsnode.market.purchase_errors import KeyHolderFault
from bitsnode.market.receipt import KeyQuestion, Receipt
from bitsnode.market.sealing import open_for_buyer
from bitsnode.market.shares import check_share
from bitsnode.peer.errors import ClientStopped
from bitsnode.wire.exchange import Refused
from bitsnode.wire.market_messages import (
    AskChallenge,
    Challenge,
    KeyShare,
    PutKeyShare,
    RequestKey,
)
from bitsnode.wire.messages import FailureCode, Request
from onion.address import OnionAddress
from onion.errors import OnionError
from onion.isolation import Isolation

T = TypeVar("T")
ANSWER_SECONDS: Final = 30.0  # for one answer, from the moment the question is written
CONNECT_SECONDS: Final = 60.0  # for the connection besides


class Peers(Protocol):
    """Asks other nodes; see `bitsnode.peer.client.PeerClient`."""

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """Return the reply."""

    def close(self, isolation: Isolation) -> None:
        """Drop every connection of an isolation."""


class HolderRefused(KeyHolderFault):
    """A key holder refused.

    Attributes:
        code: of `bitsnode.wire.messages.FailureCode`.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__(_REASONS.get(refused.code, str(refused)), refused.retry_after)
        self.code = refused.code


_REASONS: Final = {
    FailureCode.NOT_FINAL: "The key holder knows no final block with the payment yet.",
    FailureCode.UNKNOWN_OFFER: "The key holder has no share of this offer's key.",
    FailureCode.BAD_RECEIPT: "The key holder says that the receipt does not pay for the offer.",
    FailureCode.RATE_LIMITED: "The key holder was shown this receipt too often.",
    FailureCode.CHAIN_UNCERTAIN: "The key holder cannot be certain of the chain now.",
    FailureCode.FULL: "The node keeps as many key shares as it may.",
}


@attrs.frozen
class KeyHolderClient:
    """Asks key holders; a `bitsnode.market.purchase_needs.KeyHolders`.

    Attributes:
        peers: asks nodes.
        clock: the time.
    """

    peers: Peers
    clock: IReactorTime

    async def ask(
        self, signed: SignedOffer, index: int, receipt: Receipt, receipt_seed: bytes
    ) -> bytes:
        """Return the share of one holder, which is the one that the offer commits to.

        Args:
            signed: the offer that was paid.
            index: of the holder in it, from 1.
            receipt: of the payment.
            receipt_seed: of the receipt's key, 32 bytes.

        Raises:
            WrongShare: it gave something else than the offer commits to: it lies.
            NotOpened: it gave something that is not even sealed to us.
            HolderRefused: it refused; its code says why.
            KeyHolderFault: it gave nothing.
            ClientStopped: this node is shutting down.
        """
        holder = signed.offer.holders[index - 1].onion_key
        reader = X25519PrivateKey.generate()
        isolation = Isolation.fresh("key-share")
        try:
            reply = await self._request_key(holder, isolation, receipt, receipt_seed, reader)
        except HolderRefused as fault:
            if fault.code != FailureCode.BAD_CHALLENGE:
                raise
            # it restarted between challenge and request, and knows its own no more
            reply = await self._request_key(holder, isolation, receipt, receipt_seed, reader)
        finally:
            self.peers.close(isolation)
        if reply.index != index:
            raise WrongShare
        share = open_for_buyer(reader, signed.hash, index, reply.sealed)
        check_share(signed.offer, index, share)
        return share

    async def _request_key(
        self,
        holder: bytes,
        isolation: Isolation,
        receipt: Receipt,
        receipt_seed: bytes,
        reader: X25519PrivateKey,
    ) -> KeyShare:
        asked = AskChallenge(receipt.offer_hash)
        challenge: Challenge = await self._request(holder, asked, isolation)
        question = KeyQuestion(
            holder,
            reader.public_key().public_bytes_raw(),
            challenge.challenge,
            challenge.expires,
            receipt.dump(),
        )
        request = RequestKey(
            question.receipt,
            question.public_key,
            question.challenge,
            question.expires,
            question.sign(receipt_seed),
        )
        reply: KeyShare = await self._request(holder, request, isolation)
        return reply

    async def entrust(self, holder: bytes, request: PutKeyShare) -> None:
        """Give a node (onion key, 32 bytes) its share; on return it is on its disk.

        Raises:
            HolderRefused: it refused; its code says why.
            KeyHolderFault: it could not be asked.
            ClientStopped: this node is shutting down.
        """
        isolation = Isolation.fresh("custody")
        try:
            await self._request(holder, request, isolation)
        finally:
            self.peers.close(isolation)

    async def _request(self, holder: bytes, message: Request, isolation: Isolation) -> Any:
        address = OnionAddress.from_public_key(holder)
        asked = Deferred.fromCoroutine(
            _started(self.peers.request(address, message, isolation, ANSWER_SECONDS))
        )
        try:
            return await asked.addTimeout(CONNECT_SECONDS + ANSWER_SECONDS, self.clock)
        except ClientStopped:
            raise
        except Refused as error:
            raise HolderRefused(error) from error
        except TimeoutError as error:
            raise KeyHolderFault("The key holder took too long.") from error
        except (BitsError, OnionError) as error:
            raise KeyHolderFault(str(error)) from error


async def _started(reply: Awaitable[T]) -> T:
    return await reply
