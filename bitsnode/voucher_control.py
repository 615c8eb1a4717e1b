"""What the control API can do with the vouchers of a node's wallet: one method a command."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

import attrs

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.control import event_line
from bitsnode.ledger.wallet.earnings import CSV_HEADER
from bitsnode.ledger.wallet.errors import UnknownDenomination
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.voucher_values import Kit, Voucher
from bitsnode.ledger.wallet.vouchers import Vouchers

CASH_OUT: Final = "cash-out"
ACCEPTED: Final[tuple[Literal["link"], ...]] = ("link",)  # the terms were shown before


class VoucherControl:
    """The commands.

    Args:
        wallet: returns the wallet.
        vouchers: returns its vouchers.
        redeeming: returns what spends them.
        invoiced: returns content ids of what was sold by invoices, by the invoices' addresses.
    """

    def __init__(
        self,
        wallet: Callable[[], Wallet],
        vouchers: Callable[[], Vouchers],
        redeeming: Callable[[], Redeeming],
        invoiced: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._wallet = wallet
        self._vouchers = vouchers
        self._redeeming = redeeming
        self._invoiced = invoiced

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {
            "wallet-topup": self.top_up,
            "wallet-vouchers": self.vouchers,
            "wallet-cash-out": self.cash_out,
            "earnings": self.earnings,
        }

    async def top_up(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Buy the standard set for ``amount`` wei, or vouchers of exactly the ``denominations``."""
        vouchers, exact = self._vouchers(), arguments.get("exact")
        if exact is None:
            kit = await vouchers.suggest(_wei(arguments, "amount"))
        else:
            row = await self._row(_wei(arguments, "exact"))
            kit = Kit((row,), arguments["exact"])
        bought = await vouchers.top_up(
            kit,
            password=_password(arguments),
            on_event=lambda event: report(event_line(event)),
        )
        return {
            "amount": kit.amount,
            "standard": kit.standard,
            "vouchers": [_shown(voucher) for voucher in bought],
        }

    async def vouchers(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return all vouchers; with ``password``, after a search for those of a restored wallet."""
        vouchers = self._vouchers()
        found = 0
        if arguments.get("password") is not None:
            found = await vouchers.find(_password(arguments))
        listed = [_shown(voucher) for voucher in await vouchers.all()]
        return {"vouchers": listed, "found": found, "denominations": await vouchers.denominations()}

    async def cash_out(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Redeem a voucher of ``amount`` wei to a fresh stealth address of this wallet.

        Without ``accept`` it only says what that would cost and show, and does nothing.
        """
        password = _password(arguments)
        vouchers, redeeming = self._vouchers(), self._redeeming()
        row = await self._row(_wei(arguments, "amount"))
        await vouchers.sync()
        ticket = await vouchers.reserve(row, CASH_OUT)
        cost = await redeeming.cash_out_cost(ticket)
        terms = {"net": cost.split.net, "gross": cost.split.gross, "gas": cost.gas}
        if not arguments.get("accept"):
            await vouchers.release(ticket)
            return {"done": False, "reveals": cost.reveals, **terms}
        report({"event": "proving"})
        prepared = await redeeming.prepare(
            ticket, await redeeming.own_redemption(), password=password
        )
        done = await redeeming.submit(
            prepared,
            password=password,
            accept=ACCEPTED,
            on_event=lambda event: report(event_line(event)),
        )
        return {"done": True, "transaction": done.transaction_hash, "fee": done.fee, **terms}

    async def earnings(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Return what was paid to the meta-address; ``password`` opens the wallet first."""
        wallet = self._wallet()
        if arguments.get("password") is not None:
            await wallet.unlock(_password(arguments))
        found = await wallet.earnings(self._vouchers(), lambda event: report(event_line(event)))
        contents = await self._invoiced()
        return {
            "net": sum(earning.split.net for earning in found),
            "scanned": not wallet.locked,
            "header": list(CSV_HEADER),
            "rows": [list(earning.csv_row(contents)) for earning in found],
        }

    async def _row(self, amount: int) -> int:
        table = await self._vouchers().denominations()
        if amount not in table:
            raise UnknownDenomination
        return table.index(amount)


def _wei(arguments: Mapping[str, Any], name: str) -> int:
    found = arguments.get(name)
    if type(found) is not int or not 0 < found < 1 << 96:
        raise BadArguments
    return found


def _password(arguments: Mapping[str, Any]) -> str:
    found = arguments.get("password")
    if not isinstance(found, str) or not 0 < len(found) <= 2_000:
        raise BadArguments
    return found


def _shown(voucher: Voucher) -> dict[str, object]:
    shown: dict[str, object] = {
        "index": voucher.index,
        "amount": voucher.amount,
        "state": voucher.state.value,
        "block": voucher.block,
        "age": voucher.age,
        "spendable": voucher.spendable,
    }
    if voucher.crowd is not None:
        shown["crowd"] = attrs.asdict(voucher.crowd)
    return shown
