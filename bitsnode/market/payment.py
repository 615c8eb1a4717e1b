"""The payment of a purchase, made of its facts: the same one whenever it is asked for. Pure."""

import secrets

import nacl.signing

from bitsnode.ledger.redeem import Prepared
from bitsnode.ledger.redemption import NOBODY, Redemption, address_text, message_of
from bitsnode.market.complaint import write_complaint
from bitsnode.market.offer import SignedOffer
from bitsnode.market.purchase import Story
from bitsnode.market.purchase_facts import Fraud, Reserved
from bitsnode.market.receipt import Receipt, tag_of
from zk.stealth import DegenerateKeys, InvalidPrivateKey, generate


def draw_ephemeral(signed: SignedOffer) -> bytes:
    """Draw r (32 bytes), for a one-time address of the offer's creator."""
    while True:
        ephemeral = secrets.token_bytes(32)
        try:
            generate(signed.offer.meta_address, ephemeral)
        except (DegenerateKeys, InvalidPrivateKey):
            continue
        return ephemeral


def redemption_of(signed: SignedOffer, reserved: Reserved) -> Redemption:
    """Return where the voucher's value goes."""
    payment = generate(signed.offer.meta_address, reserved.ephemeral)
    return Redemption(
        payee=bytes.fromhex(payment.stealth_address.removeprefix("0x")),
        ephemeral_public_key=payment.ephemeral_public_key,
        view_tag=payment.view_tag,
        tag=tag_of(signed.hash, _public_key(reserved), reserved.salt),
        relayer=NOBODY,  # whoever submits it, so that another one may after the first
        fee=reserved.fee,
        deadline=reserved.deadline,
    )


def prepared_of(story: Story) -> Prepared:
    """Return what is submitted, for a story that has a proof."""
    offer, spends = story.signed.offer, story.spends
    redemption = redemption_of(story.signed, story.agreed)
    groups, nullifiers = [each.group for each in spends], [each.nullifier for each in spends]
    contract = address_text(offer.vouchers)
    message = message_of(offer.chain_id, contract, redemption, groups, nullifiers)
    return Prepared(message, redemption, spends)


def receipt_of(story: Story) -> Receipt:
    """Return what proves the payment to a key holder, for a story that has a proof."""
    return Receipt.of(
        redemption_of(story.signed, story.agreed),
        tuple(spend.group for spend in story.spends),
        tuple(spend.nullifier for spend in story.spends),
        ephemeral_private_key=story.agreed.ephemeral,
        offer_hash=story.signed.hash,
        public_key=_public_key(story.agreed),
        salt=story.agreed.salt,
    )


def complaint_of(story: Story, text: str, now: float) -> bytes:
    """Return a complaint about a payment, for a story that is settled.

    Key shares are shown only where they make another key than the offer promises; others would
    open the content for everybody.

    Raises:
        ComplaintTooLong: the text is.
    """
    signed, cheated = story.signed, story.cheated
    shares: dict[int, bytes] = {}
    if cheated is not None and cheated.fraud == Fraud.WRONG_SECRET:
        shares = dict(list(story.shares.items())[: signed.offer.threshold])
    seed = story.agreed.receipt_seed
    return write_complaint(signed, receipt_of(story), seed, text, now, shares)


def _public_key(reserved: Reserved) -> bytes:
    return bytes(nacl.signing.SigningKey(reserved.receipt_seed).verify_key)
