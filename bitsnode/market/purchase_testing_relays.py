"""For tests: relays, and an account of one's own, in a world in memory."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import attrs

from bitsnode.errors import BitsError
from bitsnode.ledger.redeem import Prepared
from bitsnode.ledger.redemption import Redemption, Spend, address_text, message_of
from bitsnode.market.purchase_errors import RelayFault
from bitsnode.market.purchase_facts import Sent
from bitsnode.market.purchase_needs import RelayFound
from bitsnode.market.purchase_testing import FEE, PASSWORD, Fate, Landed, World
from bitsnode.market.testing import CHAIN_ID, VOUCHERS
from onion.isolation import Isolation


@attrs.frozen
class Relaying:
    """Relays in a world in memory; see `bitsnode.market.purchase_needs.Relays`.

    Attributes:
        world: says what each of them does.
        fate: of the buyer's node.
        isolations: by which they were asked.
        written: sees that a fact about a tag is on the disk.
    """

    world: World
    fate: Fate
    isolations: set[Isolation]
    written: Callable[[bytes, type[Any]], None]

    async def find(self, fee_limit: int, isolation: Isolation) -> list[RelayFound]:
        """See `Relays`."""
        self.isolations.add(isolation)
        self.fate.point("looked for relays")
        fees = self.world.fees
        found = [RelayFound(relay, fees.get(relay, FEE)) for relay in self.world.relays]
        if not found:
            raise RelayFault("There are no relays.")
        return [relay for relay in found if relay.fee <= fee_limit]

    async def submit(
        self,
        relay: bytes,
        redemption: Redemption,
        spends: Sequence[Spend],
        isolation: Isolation,
    ) -> None:
        """See `Relays`."""
        self.isolations.add(isolation)
        self.fate.point("before a relay is asked")
        self.written(redemption.tag, Sent)
        does = self.world.relays.get(relay, "refuses")
        if does == "refuses":
            raise RelayFault("The relay takes no payments now.")
        if does == "honest":
            groups, nullifiers = [s.group for s in spends], [s.nullifier for s in spends]
            contract = address_text(VOUCHERS)
            message = message_of(CHAIN_ID, contract, redemption, groups, nullifiers)
            prepared = Prepared(message, redemption, tuple(spends))
            self.world.submitted.append(Landed(prepared, self.world.clock.seconds()))
        self.fate.point("after a relay was asked")


@attrs.frozen
class OwnAccount:
    """The buyer's own account; see `bitsnode.market.purchase_needs.OwnRelay`.

    Attributes:
        world, fate, written: as for `Relaying`.
    """

    world: World
    fate: Fate
    written: Callable[[bytes, type[Any]], None]

    async def submit(
        self, prepared: Prepared, *, password: str, accept: Collection[Literal["link"]] = ()
    ) -> None:
        """See `OwnRelay`."""
        if password != PASSWORD or "link" not in accept:
            raise BitsError("Not allowed.")
        self.fate.point("before it is sent from an own account")
        self.written(prepared.redemption.tag, Sent)
        world = self.world
        world.submitted.append(Landed(prepared, world.clock.seconds()))
