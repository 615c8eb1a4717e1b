"""Offers: what a content costs, who is paid, and who keeps its key. Pure.

FORMATS.md in this folder is the specification.
"""

from typing import Final, Self

import attrs
import nacl.exceptions
import nacl.signing

from bitsnode.codec.keys import SECRET_SIZE
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context, sha256
from bitsnode.market.errors import (
    BadOffer,
    OfferExpired,
    OfferNotSigned,
    OfferNotYetValid,
    OtherContent,
    OtherMarket,
    OtherPublisher,
    UnknownDenomination,
)
from bitsnode.market.signed import signed_parts
from bitsnode.wire import cbor
from bitsnode.wire.market_messages import MAX_HOLDERS, MAX_SIGNED_OFFER
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.schema import BigUint, Bytes, ListOf, Nested, Uint, field, from_list, to_list
from onion.address import OnionAddress
from onion.errors import AddressError
from zk.stealth import MetaAddress, StealthError

OFFER_VERSION: Final = 1
MAX_VALIDITY: Final = 400 * 24 * 3600  # seconds
MAX_DENOMINATIONS: Final = 32  # of the contract
FEE_DIVISOR: Final = 10  # the contract takes no fee above a tenth
AMOUNT_SIZE: Final = 12  # bytes: the contract's uint96
PAYING_SECONDS: Final = 600  # left of an offer's validity for it to be quoted
_DIGEST: Final = Bytes(32, 32)


@attrs.frozen
class KeyHolder:
    """A node that keeps one share of the content's key.

    Attributes:
        onion_key: of its onion address, 32 bytes.
        custody_key: X25519 key that its share is sealed to, from its card, 32 bytes.
        commitment: to its share; see `bitsnode.market.shares.share_commitment`, 32 bytes.
    """

    onion_key: bytes = field(1, _DIGEST)
    custody_key: bytes = field(2, _DIGEST)
    commitment: bytes = field(3, _DIGEST)


@attrs.frozen
class Offer:
    """What a publisher asks for the key of one content.

    Attributes:
        version: of this format, 1.
        content: digest of the content id, 32 bytes.
        publisher: Ed25519 key of the content's manifest, 32 bytes; it signs the offer.
        chain_id: as in EIP-155.
        vouchers: address of the contract, 20 bytes.
        denomination: row of the contract's table.
        price: what vouchers must be worth before fee and shares, wei; that row's amount.
        valid_from: first second in which it may be paid, Unix time of the block.
        valid_until: last second in which it may be paid.
        spending_public_key: of the creator's meta-address (ERC-5564), 33 bytes.
        viewing_public_key: likewise.
        threshold: shares that make the key, t.
        holders: the nodes with the shares 1 to m, in this order.
        secret_commitment: to the content secret, 32 bytes.
        sealed_whitening: W under a key from the content secret, 32 bytes.
        fee_limit: the most that a relay may get, wei.
        custody_fee: of version 1 always 0.
    """

    version: int = field(1, Uint(OFFER_VERSION, OFFER_VERSION))
    content: bytes = field(2, _DIGEST)
    publisher: bytes = field(3, _DIGEST)
    chain_id: int = field(4, Uint((1 << 64) - 1, 1))
    vouchers: bytes = field(5, Bytes(20, 20))
    denomination: int = field(6, Uint(MAX_DENOMINATIONS - 1))
    price: int = field(7, BigUint(AMOUNT_SIZE))
    valid_from: int = field(8, Uint(MAX_TIME))
    valid_until: int = field(9, Uint(MAX_TIME))
    spending_public_key: bytes = field(10, Bytes(33, 33))
    viewing_public_key: bytes = field(11, Bytes(33, 33))
    threshold: int = field(12, Uint(MAX_HOLDERS, 1))
    holders: tuple[KeyHolder, ...] = field(13, ListOf(Nested(KeyHolder), MAX_HOLDERS, 1))
    secret_commitment: bytes = field(14, _DIGEST)
    sealed_whitening: bytes = field(15, Bytes(SECRET_SIZE + 16, SECRET_SIZE + 16))
    fee_limit: int = field(16, BigUint(AMOUNT_SIZE))
    custody_fee: int = field(17, BigUint(AMOUNT_SIZE))

    @property
    def meta_address(self) -> MetaAddress:
        """Whom it pays."""
        return MetaAddress(self.spending_public_key, self.viewing_public_key)

    def check(self) -> None:
        """See that its terms fit together.

        Raises:
            BadOffer: they do not; the text says which.
        """
        if not self.price:
            raise BadOffer("An offer asks for nothing.")
        if not self.valid_from < self.valid_until <= self.valid_from + MAX_VALIDITY:
            raise BadOffer("An offer ends before it begins, or is valid for more than 400 days.")
        if self.threshold > len(self.holders):
            raise BadOffer("An offer needs more key shares than it has holders.")
        for keys in (
            {holder.onion_key for holder in self.holders},
            {holder.custody_key for holder in self.holders},
        ):
            if len(keys) < len(self.holders):
                raise BadOffer("An offer names one key holder twice.")
        if self.fee_limit > self.price // FEE_DIVISOR:
            raise BadOffer("An offer allows a relay more than a tenth of the price.")
        if self.custody_fee:
            raise BadOffer("An offer has a custody fee, which version 1 does not know.")
        try:
            self.meta_address  # noqa: B018 — a check of both points
            for holder in self.holders:
                OnionAddress.from_public_key(holder.onion_key)
        except (StealthError, AddressError) as error:
            raise BadOffer("An offer has a key that is none.") from error


@attrs.frozen
class SignedOffer:
    """An offer that was checked, and the very bytes that were signed.

    Attributes:
        offer: the parsed offer.
        data: canonical CBOR of ``[offer bytes, signature]``, at most `MAX_SIGNED_OFFER` bytes.
        hash: SHA-256 of the context and the offer bytes, 32 bytes: its name.
    """

    offer: Offer
    data: bytes = attrs.field(repr=False)
    hash: bytes

    @classmethod
    def sign(cls, offer: Offer, publisher_seed: bytes) -> Self:
        """Sign an offer with the 32-byte seed whose public key it names.

        Raises:
            BadOffer: its terms do not fit together.
            OfferNotSigned: it names another publisher.
        """
        offer.check()
        key = nacl.signing.SigningKey(publisher_seed)
        if bytes(key.verify_key) != offer.publisher:
            raise OfferNotSigned
        payload = cbor.encode(to_list(offer))
        signature = key.sign(Context.OFFER + payload).signature
        return cls(offer, cbor.encode([payload, signature]), sha256(Context.OFFER, payload))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Check an offer from outside: size, form, terms, and at last the signature.

        Whether it is valid now, and for what, is for `quote` and `check_market`.

        Raises:
            BadOffer: it is malformed or its terms do not fit together.
            OfferNotSigned: its publisher did not sign it.
        """
        try:
            payload, signature = signed_parts(data, MAX_SIGNED_OFFER)
            offer = from_list(Offer, cbor.decode(payload, MAX_SIGNED_OFFER))
        except RemoteProtocolError as error:
            raise BadOffer from error
        offer.check()
        try:
            nacl.signing.VerifyKey(offer.publisher).verify(Context.OFFER + payload, signature)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise OfferNotSigned from error
        return cls(offer, data, sha256(Context.OFFER, payload))


@attrs.frozen
class Market:
    """Where this node pays.

    Attributes:
        chain_id: as in EIP-155.
        vouchers: address of the contract, 20 bytes.
        denominations: amounts of the contract's table, wei, in its order.
    """

    chain_id: int
    vouchers: bytes
    denominations: tuple[int, ...]

    def check(self, offer: Offer) -> None:
        """See that an offer is for this market.

        Raises:
            OtherMarket: it is for another chain or contract.
            UnknownDenomination: its price is not that row of the table.
        """
        if (offer.chain_id, offer.vouchers) != (self.chain_id, self.vouchers):
            raise OtherMarket
        if offer.price not in self.denominations[offer.denomination : offer.denomination + 1]:
            raise UnknownDenomination


@attrs.frozen
class Quote:
    """An offer that can be paid now, fixed: what is changed later is another offer.

    Attributes:
        signed: the offer.
        deadline: the latest deadline that a redemption for it may have, Unix time: with it, the
            contract itself refuses a payment that would come too late to count.
    """

    signed: SignedOffer
    deadline: int


def quote(
    signed: SignedOffer,
    content: bytes,
    publisher: bytes,
    market: Market,
    now: float,
    paying_seconds: float = PAYING_SECONDS,
) -> Quote:
    """See that an offer can be paid now, for this very content.

    Args:
        signed: the offer.
        content: digest of the content id wanted, 32 bytes.
        publisher: Ed25519 key in the content's manifest, 32 bytes.
        market: where this node pays.
        now: Unix time in seconds.
        paying_seconds: that must be left.

    Raises:
        OfferError: it cannot; one class per cause.
    """
    offer = signed.offer
    if offer.content != content:
        raise OtherContent
    if offer.publisher != publisher:
        raise OtherPublisher
    market.check(offer)
    if now < offer.valid_from:
        raise OfferNotYetValid
    if now + paying_seconds > offer.valid_until:
        raise OfferExpired
    return Quote(signed, offer.valid_until)
