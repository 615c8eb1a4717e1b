"""Answers what peers ask of a key holder. Knows neither Twisted nor the network."""

from typing import Final

from bitsnode.errors import BitsError
from bitsnode.ledger.errors import LedgerError
from bitsnode.market import errors
from bitsnode.market.gate import Gate
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.market_messages import AskChallenge, PutKeyShare, RequestKey
from bitsnode.wire.messages import Done, FailureCode, Request

# What this responder answers, for the one who hands responders to the peer server.
REQUESTS: Final[tuple[type[Request], ...]] = (PutKeyShare, AskChallenge, RequestKey)
FINAL_SECONDS: Final = 15  # after which to ask again whether a redemption is final
CHAIN_SECONDS: Final = 60  # after which to ask again a holder whose servers disagree

_CODES: Final[tuple[tuple[type[BitsError], int, int], ...]] = (
    # what was raised, of FailureCode, seconds after which to try again; the first that fits
    (errors.NotFinalYet, FailureCode.NOT_FINAL, FINAL_SECONDS),
    (errors.UnknownOffer, FailureCode.UNKNOWN_OFFER, 0),
    (errors.BadChallenge, FailureCode.BAD_CHALLENGE, 0),
    (errors.ReceiptError, FailureCode.BAD_RECEIPT, 0),
    (LedgerError, FailureCode.CHAIN_UNCERTAIN, CHAIN_SECONDS),
    (errors.UnpaidCustody, FailureCode.UNPAID, 0),
    (errors.CustodyFull, FailureCode.FULL, 0),
    (errors.NotNamed, FailureCode.REFUSED, 0),
    (errors.OtherMarket, FailureCode.REFUSED, 0),
    (errors.OfferExpired, FailureCode.STALE, 0),
    (errors.OfferError, FailureCode.MALFORMED, 0),
    (errors.BadKey, FailureCode.MALFORMED, 0),
    (errors.WrongShare, FailureCode.UNSTORED, 0),
    (errors.NotOpened, FailureCode.UNSTORED, 0),
)


class CustodyResponder:
    """A `bitsnode.wire.exchange.Responder`.

    Args:
        gate: does what is asked.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def handle(self, request: Request, caller: Caller) -> object:
        """Answer one request; see `bitsnode.wire.exchange.Responder`."""
        try:
            return await self._answer(request)
        except errors.ReceiptUsedTooOften as error:
            raise Refused(FailureCode.RATE_LIMITED, error.retry_after, str(error)) from error
        except (errors.MarketError, LedgerError) as error:
            raise _refusal(error) from error

    async def _answer(self, request: Request) -> object:
        if isinstance(request, PutKeyShare):
            await self._gate.keep(request)
            return Done()
        if isinstance(request, AskChallenge):
            return await self._gate.challenge(request.offer_hash)
        if isinstance(request, RequestKey):
            return await self._gate.release(request)
        raise Refused(FailureCode.UNKNOWN_REQUEST)


def _refusal(error: BitsError) -> Refused:
    for kind, code, retry_after in _CODES:
        if isinstance(error, kind):
            return Refused(code, retry_after, str(error))
    return Refused(FailureCode.INTERNAL, 0, str(error))
