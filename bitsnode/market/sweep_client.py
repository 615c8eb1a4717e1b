"""A creator's side of relays: for how much they sweep invoices, and asking one to."""

from typing import Final

from bitsnode.ledger.invoice import InvoiceFields, sweep_data
from bitsnode.market.relay import REDEEM_GAS
from bitsnode.market.relay_client import Peers, RelayClient, RelayRefused
from bitsnode.market.relay_sweeps import SWEEP_GAS
from bitsnode.wire.exchange import Refused
from bitsnode.wire.relay_messages import AMOUNT_SIZE, SubmitSweep, Submitted
from onion.address import OnionAddress
from onion.isolation import Isolation

WANTED: Final = 3  # relays that a fee should be enough for
ANY_FEE: Final = (1 << 8 * AMOUNT_SIZE) - 1


class SweepClient:
    """Finds relays and asks them to sweep; `bitsnode.market.invoice_needs.SweepRelays`.

    Args:
        relays: finds relays and their fees for redemptions.
        peers: asks.
        chain_id: as in EIP-155.
        factory: of the invoices, 20 bytes.
    """

    def __init__(self, relays: RelayClient, peers: Peers, chain_id: int, factory: bytes) -> None:
        self._relays = relays
        self._peers = peers
        self._chain_id = chain_id
        self._factory = factory

    async def fee(self, isolation: Isolation) -> int:
        """Return the fee that a few relays name for a redemption, wei.

        A sweep takes two fifths of that gas, so gas may rise until the invoice is paid.

        Raises:
            NoRelay: none answers.
        """
        found = await self._relays.find(ANY_FEE, isolation)
        return found[min(WANTED, len(found)) - 1].fee

    async def find(self, fee: int, isolation: Isolation) -> list[bytes]:
        """Return the onion keys of relays that would sweep for a fee (wei).

        Raises:
            NoRelay: none would.
        """
        found = await self._relays.find(min(fee * REDEEM_GAS // SWEEP_GAS, ANY_FEE), isolation)
        return [each.onion_key for each in found]

    async def submit(self, relay: bytes, fields: InvoiceFields, isolation: Isolation) -> None:
        """Ask a relay to sweep an invoice; that it was taken is no promise.

        Raises:
            RelayRefused: it was not taken.
            bitsnode.peer.errors.PeerError: the relay could not be asked.
        """
        message = SubmitSweep(self._chain_id, self._factory, sweep_data(fields))
        try:
            reply = await self._peers.request(OnionAddress(relay), message, isolation)
        except Refused as refused:
            raise RelayRefused from refused
        if not isinstance(reply, Submitted):
            raise RelayRefused
