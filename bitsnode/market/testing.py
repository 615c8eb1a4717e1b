"""For tests: a creator, its offers, buyers' receipts, and what the chain says of them."""

from typing import Any, Final

import attrs
import nacl.signing
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.redemption import Redemption
from bitsnode.ledger.voucher_events import REDEEMED, Redeemed
from bitsnode.market.offer import KeyHolder, Market, Offer, SignedOffer
from bitsnode.market.receipt import Receipt, tag_of
from bitsnode.market.shares import seal_whitening, secret_commitment, share_commitment, split
from onion.keys import OnionKey
from zk.stealth import MetaAddress, generate, public_key

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
