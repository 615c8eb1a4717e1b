"""A publisher's side of custody: who shall keep the key, and that they do.

An offer names its key holders, so it can be signed only when they are chosen, and is worth
something only when they have their shares. So: choose, split, sign, give; whoever does not take
its share is replaced, and all is split anew. Shares of an offer that was never announced are of no
use to anybody: no receipt can be for it.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs
import nacl.signing
from twisted.internet.defer import Deferred, gatherResults

from bitsnode.market.asking import KeyHolderClient
from bitsnode.market.custody_price import UNPAID, Payer
from bitsnode.market.errors import TooFewHolders
from bitsnode.market.offer import KeyHolder, Offer, SignedOffer
from bitsnode.market.purchase_errors import KeyHolderFault
from bitsnode.market.sealing import seal_for_custody
from bitsnode.market.shares import (
    USUAL_HOLDERS,
    seal_whitening,
    secret_commitment,
    share_commitment,
    split,
    threshold,
)
from bitsnode.peer.errors import ClientStopped
from bitsnode.wire.card import Capability, NodeCard
from bitsnode.wire.market_messages import PutKeyShare
from zk.stealth import MetaAddress

ROUNDS: Final = 4  # splits before a publisher is content with what it has
HAPPY: Final = (4, 5)  # of the holders named, so many must have their share


@attrs.frozen
class Terms:
    """What a publisher decides of an offer, and the keys that it is about.

    Attributes:
        content: digest of the content id, 32 bytes.
        chain_id: as in EIP-155.
        vouchers: address of the contract, 20 bytes.
        denomination: row of the contract's table.
        price: that row's amount, wei.
        valid_from: first second in which it may be paid.
        valid_until: last second.
        payee: the creator's meta-address.
        fee_limit: the most that a relay may get, wei.
        publisher_seed: of the key in the content's manifest, 32 bytes.
        secret: the content secret, 16 bytes.
        whitening: W, 16 bytes.
    """

    content: bytes
    chain_id: int
    vouchers: bytes
    denomination: int
    price: int
    valid_from: int
    valid_until: int
    payee: MetaAddress
    fee_limit: int
    publisher_seed: bytes = attrs.field(repr=False)
    secret: bytes = attrs.field(repr=False)
    whitening: bytes = attrs.field(repr=False)


@attrs.frozen
class Entrusted:
    """An offer whose key is in custody.

    Attributes:
        signed: the offer.
        taken: indexes of the holders that have their share.
    """

    signed: SignedOffer
    taken: tuple[int, ...]


def happiness(holders: int) -> int:
    """Return how many of m holders must have their shares before an offer is announced."""
    part, whole = HAPPY
    return max(threshold(holders), -(-holders * part // whole))


def suitable(cards: Iterable[NodeCard], own_key: bytes | None) -> list[NodeCard]:
    """Return the nodes that may keep a share, in an order drawn by lot.

    They offer custody and differ in onion and sealing key. The publisher's own node is not among
    them: it would be the one name that all its offers share.

    Args:
        cards: checked ones.
        own_key: onion key of the publisher's node, 32 bytes.
    """
    found: dict[bytes, NodeCard] = {}
    sealing: set[bytes] = set()
    for card in cards:
        if not card.can(Capability.CUSTODY) or card.onion_key == own_key:
            continue
        if card.onion_key not in found and card.sealing_key not in sealing:
            found[card.onion_key] = card
            sealing.add(card.sealing_key)
    drawn = list(found.values())
    secrets.SystemRandom().shuffle(drawn)
    return drawn


def draw_up(terms: Terms, holders: Sequence[NodeCard]) -> tuple[SignedOffer, list[PutKeyShare]]:
    """Split the secret, sign the offer, and return what each holder is to be given, in order.

    What is given is not paid for yet.

    Raises:
        BadOffer: the terms do not fit together, or a holder's key is none.
    """
    needed = threshold(len(holders))
    shares = split(terms.secret, needed, len(holders))
    named = tuple(
        KeyHolder(card.onion_key, card.sealing_key, share_commitment(index, share))
        for index, (card, share) in enumerate(zip(holders, shares, strict=True), 1)
    )
    offer = Offer(
        version=1,
        content=terms.content,
        publisher=bytes(nacl.signing.SigningKey(terms.publisher_seed).verify_key),
        chain_id=terms.chain_id,
        vouchers=terms.vouchers,
        denomination=terms.denomination,
        price=terms.price,
        valid_from=terms.valid_from,
        valid_until=terms.valid_until,
        spending_public_key=terms.payee.spending_public_key,
        viewing_public_key=terms.payee.viewing_public_key,
        threshold=needed,
        holders=named,
        secret_commitment=secret_commitment(terms.secret),
        sealed_whitening=seal_whitening(terms.secret, terms.whitening),
        fee_limit=terms.fee_limit,
        custody_fee=0,
    )
    signed = SignedOffer.sign(offer, terms.publisher_seed)
    return signed, [
        PutKeyShare(
            signed.data,
            index,
            seal_for_custody(holder.custody_key, signed.hash, index, share),
            UNPAID,
        )
        for index, (holder, share) in enumerate(zip(named, shares, strict=True), 1)
    ]


async def entrust(
    client: KeyHolderClient,
    terms: Terms,
    candidates: Sequence[NodeCard],
    payer: Payer,
    *,
    wanted: int = USUAL_HOLDERS,
    on_fault: Callable[[str], None] = lambda _reason: None,
) -> Entrusted:
    """Put a content's key into custody; on return the shares are on the holders' disks.

    Args:
        client: asks nodes.
        terms: of the offer.
        candidates: of `suitable`; those beyond `wanted` replace such as fail.
        payer: pays each holder for its custody.
        wanted: holders, at most 32.
        on_fault: told why a node did not take its share.

    Raises:
        TooFewHolders: fewer took a share than the offer needs.
        BadOffer: the terms do not fit together.
        ClientStopped: this node is shutting down.
    """
    spares = deque(candidates)
    chosen: list[NodeCard] = []
    best: Entrusted | None = None
    for _ in range(ROUNDS):
        while spares and len(chosen) < wanted:
            chosen.append(spares.popleft())
        if not chosen:
            raise TooFewHolders(0, 1)
        signed, requests = draw_up(terms, chosen)
        faults = await _give(client, payer, signed, requests)
        for fault in faults.values():
            on_fault(str(fault))
        taken = tuple(index for index in range(1, len(chosen) + 1) if index not in faults)
        if not faults:
            return Entrusted(signed, taken)
        if len(taken) >= happiness(len(chosen)):
            best = Entrusted(signed, taken)
        chosen = [card for index, card in enumerate(chosen, 1) if index not in faults]
    if best is None:
        raise TooFewHolders(len(chosen), happiness(len(requests)))
    return best


async def _give(
    client: KeyHolderClient,
    payer: Payer,
    signed: SignedOffer,
    requests: Sequence[PutKeyShare],
) -> dict[int, KeyHolderFault]:
    """Give all holders their shares side by side; return what went wrong, by index."""
    faults: dict[int, KeyHolderFault] = {}
    stopped: list[ClientStopped] = []

    async def one(request: PutKeyShare) -> None:
        holder = signed.offer.holders[request.index - 1]
        try:
            paid = await payer.pay(holder.onion_key, request)
            await client.entrust(holder.onion_key, paid)
        except KeyHolderFault as fault:
            faults[request.index] = fault
        except ClientStopped as error:
            stopped.append(error)

    await gatherResults([Deferred.fromCoroutine(one(request)) for request in requests])
    if stopped:
        raise stopped[0]
    return faults
