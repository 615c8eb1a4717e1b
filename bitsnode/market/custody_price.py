"""The price of custody: a puzzle for each key share that a holder is asked to keep.

Publisher keys cost nothing, so without a price anybody could take all the places of a holder. The
work names the holder, the offer and the sealed share, so none of it serves twice.
"""

import struct
from functools import partial
from typing import Final

import attrs

from bitsnode.codec.errors import UnpaidShare
from bitsnode.codec.share_puzzle import NONCE_SIZE, SLICE, check, solve
from bitsnode.ids import Context, sha256
from bitsnode.market.errors import UnpaidCustody
from bitsnode.market.purchase_needs import Run
from bitsnode.wire.market_messages import PutKeyShare

UNPAID: Final = bytes(NONCE_SIZE)  # in a request that is still to be paid for


@attrs.frozen
class CustodyPuzzle:
    """What is to be solved for one share at one holder.

    proof = SHA-256(context ‖ holder's onion key ‖ SHA-256 of the signed offer ‖ u16 BE index ‖
    sealed share ‖ nonce), read as a big-endian integer, must be less than 2^256 / 2^bits.

    Attributes:
        holder: its onion key, 32 bytes.
        request: that is paid for.
        bits: difficulty: 2**bits tries on average.
    """

    holder: bytes
    request: PutKeyShare
    bits: int

    @property
    def bound(self) -> int:
        """What the proof must be less than."""
        return (1 << 256) >> self.bits

    @property
    def prefix(self) -> bytes:
        """What is hashed before the nonce; needs nothing of the offer but its bytes."""
        asked = self.request
        index = struct.pack(">H", asked.index)
        parts = (self.holder, sha256(asked.offer), index, asked.sealed)
        return Context.CUSTODY_PUZZLE + b"".join(parts)


def check_paid(request: PutKeyShare, holder: bytes, bits: int) -> None:
    """See that a request is paid for, at the price of two hashes.

    Raises:
        UnpaidCustody: it is not.
    """
    try:
        check(CustodyPuzzle(holder, request, bits), request.nonce)
    except UnpaidShare as error:
        raise UnpaidCustody from error


@attrs.frozen
class Payer:
    """Pays for requests.

    Attributes:
        bits: that holders ask for; see `bitsnode.config.Network.share_bits`.
        run: carries out in a thread what takes long.
    """

    bits: int
    run: Run

    async def pay(self, holder: bytes, request: PutKeyShare) -> PutKeyShare:
        """Return a request to a holder (onion key, 32 bytes) with its nonce."""
        puzzle, start = CustodyPuzzle(holder, request, self.bits), 0
        while (nonce := await self.run(partial(solve, puzzle, start))) is None:
            start += SLICE
        return attrs.evolve(request, nonce=nonce)
