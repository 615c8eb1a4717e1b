"""What the wallet needs of the chain: the seam to the ledger, which knows nothing of wallets."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from bitsnode.ledger.announcements import Announcement, Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.standing import Call
from bitsnode.ledger.transactions import Mined, Sent, Signer
from onion.isolation import Isolation

T = TypeVar("T")


class RunInThread(Protocol):
    """Runs blocking work in a thread; what is returned is under way before it is awaited."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work."""


class Index(Protocol):
    """The events of the contracts of bits, asked locally; see `bitsnode.ledger.index`."""

    def announcements(self, after: Cursor | None, limit: int) -> Sequence[Announcement]:
        """Return at most ``limit`` confirmed announcements behind ``after``, in order."""

    def mentions(self, address: str) -> bool:
        """Whether an address has a part in any event."""


class Ledger(Protocol):
    """Asks the chain, and carries out each intent once and only once; `bitsnode.ledger.service`."""

    @property
    def deployment(self) -> Deployment:
        """Which chain it is, and where the contracts are."""

    @property
    def index(self) -> Index:
        """The events of the contracts."""

    async def sync(self, isolation: Isolation) -> object:
        """Bring the index up to date."""

    async def balance(self, address: str, isolation: Isolation) -> int:
        """Return wei."""

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """Return what a transaction may cost now."""

    async def send(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Sent:
        """Sign into the journal and send; for a known intent, send the same bytes again."""

    async def knows(self, intent: str) -> bool:
        """Whether anything was ever signed for this intent."""

    async def wait(self, intent: str, isolation: Isolation) -> Mined:
        """See to it that what was signed for an intent is sent, and wait for it."""


class EventIndex(Index, Protocol):
    """The same, with all events."""

    def events(self, contract: str, event: bytes, after: Cursor | None, limit: int) -> list[Log]:
        """Return confirmed events of a contract in order, from behind a cursor."""


class VoucherLedger(Ledger, Protocol):
    """The same, for what is sold."""

    @property
    def index(self) -> EventIndex:
        """The events of the contracts."""

    async def call(
        self, contract: str, function: str, args: Sequence[Any], isolation: Isolation
    ) -> Any:
        """Return what a view of a contract returns."""


def has_part(ledger: Ledger, address: str) -> bool:
    """Whether an address is one of the contracts or has a part in their events."""
    contracts = {each.address.lower() for each in ledger.deployment.contracts.values()}
    return address.lower() in contracts or ledger.index.mentions(address)
