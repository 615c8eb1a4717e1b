"""A buyer's side of relays: who would submit, for how much, and handing a redemption over."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, gatherResults

from bitsnode.errors import BitsError
from bitsnode.ledger.redemption import Redemption, Spend, redeem_data
from bitsnode.market.purchase_needs import RelayFound
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode, Request
from bitsnode.wire.relay_messages import AskRelay, RelayTerms, SubmitRedeem, Submitted
from onion.address import OnionAddress
from onion.isolation import Isolation

MOST_ASKED: Final = 8  # relays that are asked their terms for one purchase


class NoRelay(BitsError):
    """No relay submits this payment for such a fee: try later, or send it yourself."""


class RelayRefused(BitsError):
    """The relay does not submit this payment; another one may."""


class RelaySaysSpent(RelayRefused):
    """The relay says that this voucher is spent, or that another payment with it is on its way."""


class RelayFeeRisen(RelayRefused):
    """Gas has become dearer, so the relay wants a higher fee."""


class RelayTooLate(RelayRefused):
    """The time of this payment is nearly over, so the relay does not take it."""


class RelaySaysInvalid(RelayRefused):
    """The relay says that the contract would refuse this payment."""


_BY_CODE: Final = {
    FailureCode.SPENT: RelaySaysSpent,
    FailureCode.FEE_TOO_LOW: RelayFeeRisen,
    FailureCode.STALE: RelayTooLate,
    FailureCode.WOULD_REVERT: RelaySaysInvalid,
}


class Peers(Protocol):
    """Asks other nodes; see `bitsnode.peer.client.PeerClient`."""

    async def request(self, address: OnionAddress, message: Request, isolation: Isolation) -> Any:
        """Return the reply."""


class RelayClient:
    """Finds relays and hands redemptions to them; `bitsnode.market.purchase_needs.Relays`.

    Args:
        peers: asks.
        known: returns the onion keys (32 bytes) of the nodes that say they are relays.
        chain_id: as in EIP-155.
        vouchers: contract, 20 bytes.
    """

    def __init__(
        self, peers: Peers, known: Callable[[], Sequence[bytes]], chain_id: int, vouchers: bytes
    ) -> None:
        self._peers = peers
        self._known = known
        self._chain_id = chain_id
        self._vouchers = vouchers

    async def find(self, fee_limit: int, isolation: Isolation) -> list[RelayFound]:
        """Ask a few relays, drawn by lot, and return the cheap ones first; equal ones by lot.

        Raises:
            NoRelay: none does it for at most so many wei.
        """
        known = list(self._known())
        secrets.SystemRandom().shuffle(known)
        asked = [
            Deferred.fromCoroutine(self._terms(relay, isolation)) for relay in known[:MOST_ASKED]
        ]
        found = [each for each in await gatherResults(asked) if each is not None]
        fitting = [each for each in found if each.fee <= fee_limit]
        if not fitting:
            raise NoRelay
        return sorted(fitting, key=lambda each: each.fee)

    async def submit(
        self, relay: bytes, redemption: Redemption, spends: Sequence[Spend], isolation: Isolation
    ) -> None:
        """Hand a redemption to a relay; that it was taken is no promise.

        Raises:
            RelayRefused: it was not taken; one class per reason that a buyer can act on.
            bitsnode.peer.errors.PeerError: the relay could not be asked.
        """
        call = redeem_data(redemption, spends)
        message = SubmitRedeem(self._chain_id, self._vouchers, call)
        try:
            reply = await self._peers.request(OnionAddress(relay), message, isolation)
        except Refused as refused:
            raise _BY_CODE.get(refused.code, RelayRefused)() from refused
        if not isinstance(reply, Submitted):
            raise RelayRefused

    async def _terms(self, relay: bytes, isolation: Isolation) -> RelayFound | None:
        """Ask one; None if it does not answer, or serves another chain or contract."""
        try:
            terms = await self._peers.request(OnionAddress(relay), AskRelay(), isolation)
        except BitsError:
            return None
        if not isinstance(terms, RelayTerms):
            return None
        if (terms.chain_id, terms.vouchers) != (self._chain_id, self._vouchers):
            return None
        return RelayFound(relay, min(int.from_bytes(fee, "big") for fee in terms.fees))
