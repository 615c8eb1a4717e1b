"""Receipts: what proves to a key holder that an offer was paid. Pure.

A receipt opens the tag of one redemption: to the offer, the receipt's key and a salt. It also
shows r, with which the holder sees that the payee is the creator's; so a receipt links the
redemption to the content for everyone who reads it, and is shown to key holders only.

Sources: `contracts/src/interfaces/IVouchers.sol`, ERC-5564; FORMATS.md in this folder.
"""

import struct
from typing import Final, Self

import attrs
import nacl.exceptions
import nacl.signing
from eth_hash.auto import keccak

from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context, sha256
from bitsnode.ledger.redemption import (
    MAX_SPENDS,
    MAX_UINT64,
    MalformedRedemption,
    Redemption,
    message_of,
)
from bitsnode.ledger.voucher_events import Redeemed
from bitsnode.market.errors import (
    BadReceipt,
    BadRequestSignature,
    FeeAboveLimit,
    ForOtherOffer,
    OtherRedemption,
    OutsideValidity,
    PaidTooLittle,
    TagNotOpened,
    WrongPayee,
)
from bitsnode.market.offer import Offer, SignedOffer
from bitsnode.wire import cbor
from bitsnode.wire.market_messages import MAX_RECEIPT
from bitsnode.wire.schema import BigUint, Bytes, ListOf, Uint, field, from_list, to_list
from zk.stealth import StealthError, generate

RECEIPT_VERSION: Final = 1
SALT_SIZE: Final = 32  # bytes
_DIGEST: Final = Bytes(32, 32)
_WORDS: Final = ListOf(BigUint(32), MAX_SPENDS, 1)


def tag_of(offer_hash: bytes, public_key: bytes, salt: bytes) -> bytes:
    """Return the tag of a redemption, 32 bytes: keccak256(abi.encode(the three bytes32)).

    Args:
        offer_hash: of the offer that is paid, 32 bytes.
        public_key: Ed25519 key of the receipt, 32 bytes, fresh for each purchase.
        salt: 32 random bytes, so that nobody can look for the offer's tags on the chain.
    """
    return bytes(keccak(offer_hash + public_key + salt))


@attrs.frozen
class Receipt:
    """One redemption, and the opening of its tag.

    Attributes:
        version: of this format, 1.
        payee: of the redemption, 20 bytes; so are the next six.
        ephemeral_public_key: R, 33 bytes.
        view_tag: 0 to 255.
        tag: 32 bytes.
        relayer: 20 bytes; zeros for whoever submitted it.
        fee: wei.
        deadline: Unix time in seconds.
        groups: of the vouchers spent, 1 to 8.
        nullifiers: of the vouchers, in the same order.
        ephemeral_private_key: r, 32 bytes.
        offer_hash: of the offer that is paid, 32 bytes.
        public_key: Ed25519 key of the receipt, 32 bytes.
        salt: of the tag, 32 bytes.
    """

    version: int = field(1, Uint(RECEIPT_VERSION, RECEIPT_VERSION))
    payee: bytes = field(2, Bytes(20, 20), secret=True)
    ephemeral_public_key: bytes = field(3, Bytes(33, 33), secret=True)
    view_tag: int = field(4, Uint(255))
    tag: bytes = field(5, _DIGEST, secret=True)
    relayer: bytes = field(6, Bytes(20, 20))
    fee: int = field(7, BigUint(12))
    deadline: int = field(8, Uint(MAX_UINT64))
    groups: tuple[int, ...] = field(9, _WORDS)
    nullifiers: tuple[int, ...] = field(10, _WORDS, secret=True)
    ephemeral_private_key: bytes = field(11, _DIGEST, secret=True)
    offer_hash: bytes = field(12, _DIGEST, secret=True)
    public_key: bytes = field(13, _DIGEST, secret=True)
    salt: bytes = field(14, Bytes(SALT_SIZE, SALT_SIZE), secret=True)

    @classmethod
    def of(
        cls,
        redemption: Redemption,
        groups: tuple[int, ...],
        nullifiers: tuple[int, ...],
        *,
        ephemeral_private_key: bytes,
        offer_hash: bytes,
        public_key: bytes,
        salt: bytes,
    ) -> Self:
        """Return the receipt of a redemption; see the attributes."""
        fields = attrs.asdict(redemption)
        return cls(
            version=RECEIPT_VERSION,
            **fields,
            groups=groups,
            nullifiers=nullifiers,
            ephemeral_private_key=ephemeral_private_key,
            offer_hash=offer_hash,
            public_key=public_key,
            salt=salt,
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a receipt of at most `MAX_RECEIPT` bytes; there is one spelling of each.

        Raises:
            BadReceipt: it is malformed.
        """
        try:
            found = from_list(cls, cbor.decode(data, MAX_RECEIPT))
        except RemoteProtocolError as error:
            raise BadReceipt from error
        if len(found.groups) != len(found.nullifiers):
            raise BadReceipt
        found.redemption()
        return found

    def dump(self) -> bytes:
        """Return its canonical CBOR."""
        return cbor.encode(to_list(self))

    def redemption(self) -> Redemption:
        """Return the redemption that it is of.

        Raises:
            BadReceipt: the contract would refuse its fields.
        """
        try:
            return Redemption(
                self.payee,
                self.ephemeral_public_key,
                self.view_tag,
                self.tag,
                self.relayer,
                self.fee,
                self.deadline,
            )
        except MalformedRedemption as error:
            raise BadReceipt from error

    def message(self, chain_id: int, vouchers: bytes) -> bytes:
        """Return what the vouchers' proofs signed (`IVouchers.messageOf`), 32 bytes.

        Args:
            chain_id: as in EIP-155.
            vouchers: address of the contract, 20 bytes.
        """
        contract = "0x" + vouchers.hex()
        return message_of(chain_id, contract, self.redemption(), self.groups, self.nullifiers)

    def check_offer(self, signed: SignedOffer) -> None:
        """See all that can be seen of a receipt without the chain.

        Raises:
            ForOtherOffer: it names another offer.
            TagNotOpened: its opening gives another tag.
            WrongPayee: r, R, payee and view tag are not those of one payment to the creator.
            FeeAboveLimit: the relay got more than the offer allows.
        """
        if self.offer_hash != signed.hash:
            raise ForOtherOffer
        if tag_of(self.offer_hash, self.public_key, self.salt) != self.tag:
            raise TagNotOpened
        try:
            payment = generate(signed.offer.meta_address, self.ephemeral_private_key)
        except StealthError as error:
            raise WrongPayee from error
        if (
            payment.ephemeral_public_key != self.ephemeral_public_key
            or payment.view_tag != self.view_tag
            or payment.stealth_address.lower() != "0x" + self.payee.hex()
        ):
            raise WrongPayee
        if self.fee > signed.offer.fee_limit:
            raise FeeAboveLimit

    def check_record(self, recorded: Redeemed, time: int, offer: Offer) -> None:
        """See that what the chain recorded is this redemption, and pays the offer.

        Args:
            recorded: the event under the receipt's message, from a final block.
            time: of that block, Unix time in seconds.
            offer: that `check_offer` was called with.

        Raises:
            OtherRedemption: message, tag, payee, fee or vouchers differ.
            PaidTooLittle: gross below the price.
            OutsideValidity: before or after the offer was valid.
        """
        expected = (self.tag, self.payee, self.fee, self.groups, self.nullifiers)
        found = (recorded.tag, recorded.payee, recorded.fee)
        if (*found, recorded.groups, recorded.nullifiers) != expected:
            raise OtherRedemption
        if recorded.message != self.message(offer.chain_id, offer.vouchers):
            raise OtherRedemption
        if recorded.gross < offer.price:
            raise PaidTooLittle
        if not offer.valid_from <= time <= offer.valid_until:
            raise OutsideValidity


@attrs.frozen
class KeyQuestion:
    """What a buyer signs to one key holder: of no use elsewhere, for another key, or later.

    Attributes:
        holder: onion key of the key holder, 32 bytes.
        public_key: X25519 key made for this request, 32 bytes.
        challenge: of the holder, 32 bytes.
        expires: of the challenge, Unix time in seconds.
        receipt: the receipt's bytes.
    """

    holder: bytes
    public_key: bytes
    challenge: bytes
    expires: int
    receipt: bytes = attrs.field(repr=False)

    def sign(self, receipt_seed: bytes) -> bytes:
        """Return the signature (64 bytes) by the receipt's key, given as its 32-byte seed."""
        return nacl.signing.SigningKey(receipt_seed).sign(self._text()).signature

    def check(self, receipt_key: bytes, signature: bytes) -> None:
        """See that the receipt's key (32 bytes) made a signature.

        Raises:
            BadRequestSignature: it did not.
        """
        try:
            nacl.signing.VerifyKey(receipt_key).verify(self._text(), signature)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise BadRequestSignature from error

    def _text(self) -> bytes:
        parts = (self.holder, self.public_key, self.challenge, struct.pack(">Q", self.expires))
        return Context.KEY_REQUEST + b"".join(parts) + sha256(self.receipt)
