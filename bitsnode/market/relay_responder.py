"""Answers what peers ask of a relay. Knows neither Twisted nor the network."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bitsnode.errors import BitsError
from bitsnode.ledger.errors import LedgerError, WouldRevert
from bitsnode.ledger.invoice import MalformedInvoice
from bitsnode.ledger.redemption import MalformedRedemption
from bitsnode.ledger.refusals import RedemptionExpired, VoucherSpent, VouchersRefused
from bitsnode.market import relay as relays
from bitsnode.market.relay_sweeps import SweepRelay
from bitsnode.peer.budgets import Bucket
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import FailureCode, Request
from bitsnode.wire.relay_messages import AskRelay, SubmitRedeem, SubmitSweep

# What this responder answers, for the one who hands responders to the peer server.
REQUESTS: Final[tuple[type[Request], ...]] = (AskRelay, SubmitRedeem, SubmitSweep)
# A submission costs a simulation at an RPC server. Connections are cheap, so all together have a
# limit, too; it protects the server, and a buyer who meets it has other relays.
CONNECTION_RATE: Final = 1 / 15  # a second
CONNECTION_BURST: Final = 6
ALL_RATE: Final = 2.0  # a second
ALL_BURST: Final = 60
MAX_REMEMBERED: Final = 1024  # connections
POOR_SECONDS: Final = 3600  # after which to ask a relay again that has no money for gas
CHAIN_SECONDS: Final = 60  # after which to ask again while the chain does not answer

_CODES: Final[tuple[tuple[type[BitsError], int, int], ...]] = (
    # what was raised, of FailureCode, seconds after which to try again; the first that fits
    (MalformedRedemption, FailureCode.MALFORMED, 0),
    (MalformedInvoice, FailureCode.MALFORMED, 0),
    (relays.OtherRelay, FailureCode.REFUSED, 0),
    (relays.DeadlineNear, FailureCode.STALE, 0),
    (RedemptionExpired, FailureCode.STALE, 0),
    (relays.RelayFeeTooLow, FailureCode.FEE_TOO_LOW, 0),
    (relays.VoucherTaken, FailureCode.SPENT, 0),
    (VoucherSpent, FailureCode.SPENT, 0),
    (VouchersRefused, FailureCode.WOULD_REVERT, 0),
    (WouldRevert, FailureCode.WOULD_REVERT, 0),
    (relays.RelayPoor, FailureCode.FULL, POOR_SECONDS),
    (LedgerError, FailureCode.CHAIN_UNCERTAIN, CHAIN_SECONDS),
)


class RelayResponder:
    """A `bitsnode.wire.exchange.Responder`.

    Args:
        relay: submits redemptions.
        sweeps: sweeps invoices.
        seconds: returns the time in seconds.
    """

    def __init__(
        self, relay: relays.Relay, sweeps: SweepRelay, seconds: Callable[[], float]
    ) -> None:
        self._relay = relay
        self._sweeps = sweeps
        self._seconds = seconds
        self._all = Bucket(ALL_RATE, ALL_BURST, seconds())
        self._connections: OrderedDict[int, Bucket] = OrderedDict()

    async def handle(self, request: Request, caller: Caller) -> object:
        """Answer one request; see `bitsnode.wire.exchange.Responder`."""
        self._charge(caller.connection)
        try:
            if isinstance(request, AskRelay):
                return await self._relay.terms()
            if isinstance(request, SubmitRedeem):
                return await self._relay.submit(request)
            if isinstance(request, SubmitSweep):
                return await self._sweeps.submit(request)
        except (relays.RelayError, LedgerError, MalformedRedemption, MalformedInvoice) as error:
            raise _refusal(error) from error
        raise Refused(FailureCode.UNKNOWN_REQUEST)

    def _charge(self, connection: int) -> None:
        now = self._seconds()
        if connection not in self._connections:
            self._connections[connection] = Bucket(CONNECTION_RATE, CONNECTION_BURST, now)
            if len(self._connections) > MAX_REMEMBERED:
                self._connections.popitem(last=False)
        self._connections.move_to_end(connection)
        mine = self._connections[connection]
        wait = max(mine.wait(now), self._all.wait(now))
        if wait:
            raise Refused(FailureCode.BUSY, min(int(wait) + 1, POOR_SECONDS))
        mine.take(1)
        self._all.take(1)


def _refusal(error: BitsError) -> Refused:
    for kind, code, retry_after in _CODES:
        if isinstance(error, kind):
            return Refused(code, retry_after, str(error))
    return Refused(FailureCode.INTERNAL, 0, str(error))
