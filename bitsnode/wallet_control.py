"""What the control API can do with the wallet of a running node: one method a command."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

import attrs

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.control import event_line
from bitsnode.ledger.index import OnProgress
from bitsnode.ledger.index_store import Reach
from bitsnode.ledger.wallet.history import Withdrawal
from bitsnode.ledger.wallet.results import Addresses, Balance, Held
from bitsnode.ledger.wallet.rules import Risk

MAX_TEXT = 2_000  # characters of a password or of words
RISKS: tuple[Risk, ...] = ("merge", "split")


class Wallet(Protocol):
    """See `bitsnode.ledger.wallet.service.Wallet`."""

    @property
    def exists(self) -> bool:
        """Whether there is a wallet."""

    @property
    def locked(self) -> bool:
        """Whether payments cannot be looked for."""

    async def create(self, password: str, words: int = 12) -> str:
        """Make a wallet and return its words."""

    async def restore(self, mnemonic: str, password: str) -> None:
        """Bring a wallet back from its words."""

    async def unlock(self, password: str) -> None:
        """Keep the viewing keys."""

    async def addresses(self) -> Addresses:
        """Return where money can be sent."""

    async def new_account(self, password: str) -> str:
        """Add an account and return its address."""

    async def find_accounts(self, password: str) -> int:
        """Look for accounts beyond those known; return how many were found."""

    async def balance(self, on_event: Callable[[Any], None]) -> Balance:
        """Ask what each address holds."""

    async def withdraw(
        self,
        to: str,
        amount: int | None = None,
        *,
        password: str,
        source: str | None = None,
        accept: Collection[Risk] = (),
        on_event: Callable[[Any], None],
    ) -> tuple[Withdrawal, ...]:
        """Send money out."""


class WalletControl:
    """The commands of one wallet.

    Args:
        find: returns the wallet; it opens with its first use.
        sync: brings what the node knows of the chain up to date.
    """

    def __init__(
        self, find: Callable[[], Wallet], sync: Callable[[OnProgress], Awaitable[None]]
    ) -> None:
        self._find = find
        self._sync = sync

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {
            "wallet-create": self.create,
            "wallet-restore": self.restore,
            "wallet-address": self.address,
            "wallet-balance": self.balance,
            "wallet-withdraw": self.withdraw,
        }

    async def create(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Make a wallet protected by ``password``, of ``words`` (12 or 24) words."""
        wallet, words = self._find(), arguments.get("words", 12)
        if words not in (12, 24):
            raise BadArguments
        mnemonic = await wallet.create(_text(arguments, "password"), words)
        return {"mnemonic": mnemonic, **_addresses(await wallet.addresses())}

    async def restore(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Bring the wallet of ``mnemonic`` back and protect it by ``password``."""
        wallet = self._find()
        await wallet.restore(_text(arguments, "mnemonic"), _text(arguments, "password"))
        return _addresses(await wallet.addresses())

    async def address(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return the addresses; with ``new``, after one more account was added."""
        wallet = self._find()
        if arguments.get("new"):
            await wallet.new_account(_text(arguments, "password"))
        return _addresses(await wallet.addresses())

    async def balance(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Return what each address holds; ``password`` opens the wallet so that it can scan."""
        wallet = self._find()
        found = 0
        if arguments.get("password") is not None:
            password = _text(arguments, "password")
            await wallet.unlock(password)
            if arguments.get("find"):
                found = await wallet.find_accounts(password)
        await self._sync(_shown(report))
        balance = await wallet.balance(lambda event: report(event_line(event)))
        return {
            "total": balance.total,
            "scanned": balance.scanned,
            "accounts_found": found,
            "accounts": [_held(held) for held in balance.accounts],
            "payments": [_held(held) for held in balance.payments],
        }

    async def withdraw(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Send ``amount`` wei (None for all) to ``to``, from ``source`` if given."""
        amount, source = arguments.get("amount"), arguments.get("source")
        accept = arguments.get("accept", [])
        if not (amount is None or (type(amount) is int and 0 < amount < 1 << 256)):
            raise BadArguments
        if not isinstance(accept, list) or not all(risk in RISKS for risk in accept):
            raise BadArguments
        wallet = self._find()
        await self._sync(_shown(report))
        done = await wallet.withdraw(
            _text(arguments, "to"),
            amount,
            password=_text(arguments, "password"),
            source=None if source is None else _text(arguments, "source"),
            accept=tuple(risk for risk in RISKS if risk in accept),
            on_event=lambda event: report(event_line(event)),
        )
        return {"withdrawals": [_withdrawal(each) for each in done]}


def _shown(report: Report) -> OnProgress:
    def show(reach: Reach, head: int) -> None:
        report({"event": "reading_chain", "block": reach.tip, "newest": head})

    return show


def _text(arguments: Mapping[str, Any], name: str) -> str:
    found = arguments.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_TEXT:
        raise BadArguments
    return found


def _addresses(found: Addresses) -> dict[str, object]:
    return {"meta_address": found.meta_address, "accounts": list(found.accounts)}


def _held(held: Held) -> dict[str, object]:
    return {name: value for name, value in attrs.asdict(held).items() if value is not None}


def _withdrawal(done: Withdrawal) -> dict[str, object]:
    return {
        name: value if isinstance(value, int | str | None) else getattr(value, "value", str(value))
        for name, value in attrs.asdict(done, recurse=False).items()
    }
