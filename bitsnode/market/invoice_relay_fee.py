"""What relays ask for a sweep, kept from one question to the next."""

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bitsnode.market.invoice_errors import InvoicePriceTooLow
from bitsnode.market.invoice_fees import is_covered, tier_of, usual_fee
from bitsnode.market.invoice_needs import TROUBLES, SweepRelays
from onion.isolation import Isolation

FEE_SECONDS: Final = 600.0  # between two times that relays are asked

_log = Logger()


class RelayFee:
    """The fee of new invoices.

    Args:
        clock: the time.
        relays: name their fees.
    """

    def __init__(self, clock: IReactorTime, relays: SweepRelays) -> None:
        self._clock = clock
        self._relays = relays
        self._fee: int | None = None  # wei that relays named last
        self._asked = -FEE_SECONDS  # when

    async def of(self, price: int) -> int:
        """Return the fee to write into an invoice: what relays wanted last, or a usual part.

        Raises:
            InvoicePriceTooLow: it is more than a tenth of the price (wei).
        """
        if self._fee is None:
            await self.ask()
        if self._fee is None:
            return usual_fee(price)
        if not is_covered(price, self._fee):
            raise InvoicePriceTooLow
        return self._fee

    async def ask(self) -> None:
        """Ask relays, unless that was done a while ago: by the clock, not by visitors."""
        now = self._clock.seconds()
        if now < self._asked + FEE_SECONDS:
            return
        self._asked = now
        try:
            self._fee = tier_of(await self._relays.fee(Isolation.fresh("relay-terms")))
        except TROUBLES as error:
            _log.info("No relay says its fee: {reason}", reason=str(error))
