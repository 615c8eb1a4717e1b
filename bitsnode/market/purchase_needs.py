"""What buying and selling need of the other rooms."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from bitsnode.codec.manifest import Manifest
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.ledger.redeem import Prepared
from bitsnode.ledger.redemption import Redemption, Spend
from bitsnode.ledger.wallet.voucher_values import Ticket, Voucher
from bitsnode.market.offer import Market, SignedOffer
from bitsnode.market.receipt import Receipt
from bitsnode.wire.record import SignedRecord
from onion.errors import OnionError
from onion.isolation import Isolation

T = TypeVar("T")
Trouble: TypeAlias = BitsError | OnionError
TROUBLES: Final = (BitsError, OnionError)  # what a room below may raise that is not a bug


class Run(Protocol):
    """Carries out a call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what will be the call's result."""


class Records(Protocol):
    """Finds and puts records; see `bitsnode.dht.service.DhtService`."""

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """Return the verified records of a key."""

    async def put_records(self, records: Sequence[SignedRecord], isolation: Isolation) -> list[int]:
        """Put records of one key; return of each how many nodes took it."""


class Manifests(Protocol):
    """Finds out what a content is made of, and whose it is, from its name alone."""

    async def manifest(self, content: ContentId, isolation: Isolation) -> Manifest:
        """Return the content's manifest, checked against its name and its publisher's signature.

        Raises:
            bitsnode.errors.BitsError: it was not found.
        """


class Vouchers(Protocol):
    """The wallet's vouchers; see `bitsnode.ledger.wallet.vouchers.Vouchers`."""

    async def reserve(self, denomination: int, purpose: str) -> Ticket:
        """Give a free voucher to a purpose; asked again for the same purpose, the same one."""

    async def release(self, ticket: Ticket) -> None:
        """Take a voucher back that was not spent; again and again, if need be.

        Raises:
            VoucherHandedOut: a proof of it may still be redeemed.
        """

    async def voucher(self, ticket: Ticket) -> Voucher:
        """Return how the voucher of a ticket stands."""


class Proofs(Protocol):
    """Makes the proof that spends a voucher; see `bitsnode.ledger.wallet.redeeming.Redeeming`."""

    async def prepare(self, ticket: Ticket, redemption: Redemption, *, password: str) -> Prepared:
        """Return a redemption with a proof that was verified; the same message each time.

        Raises:
            bitsnode.errors.BitsError: the password is wrong, the prover failed, …
        """


@attrs.frozen
class RelayFound:
    """A relay that would submit a redemption.

    Attributes:
        onion_key: of the relay, 32 bytes.
        fee: the least that it does it for, wei.
    """

    onion_key: bytes
    fee: int


class Relays(Protocol):
    """Nodes that submit redemptions for a fee; none is named in one, so any of them may.

    See `bitsnode.market.relay_client.RelayClient`.
    """

    async def find(self, fee_limit: int, isolation: Isolation) -> list[RelayFound]:
        """Return relays that do it for at most so many wei, in the order to try them.

        Raises:
            bitsnode.errors.BitsError: none was found, or nobody could be asked.
        """

    async def submit(
        self,
        relay: bytes,
        redemption: Redemption,
        spends: Sequence[Spend],
        isolation: Isolation,
    ) -> None:
        """Hand a redemption to a relay; that it was taken is no promise.

        Raises:
            bitsnode.errors.BitsError: it was not taken.
        """


class OwnRelay(Protocol):
    """Submits a redemption from an account of one's own; see `Proofs`."""

    async def submit(
        self, prepared: Prepared, *, password: str, accept: Collection[Literal["link"]] = ()
    ) -> Any:
        """Submit it, once and for all; the account shows on the chain, which is to be accepted.

        Raises:
            bitsnode.errors.BitsError: it was not sent.
        """


@attrs.frozen
class Sighting:
    """A redemption of a voucher in the chain.

    Attributes:
        message: of the redemption, 32 bytes.
        block: its number.
        transaction: hash, 32 bytes.
        final: no reorganisation can take it out any more.
    """

    message: bytes
    block: int
    transaction: bytes
    final: bool


class Chain(Protocol):
    """What one's own index says."""

    async def look(self, group: int, nullifier: int) -> Sighting | None:
        """Bring the index up to date and return by what a voucher was spent.

        Raises:
            bitsnode.errors.BitsError: the chain does not answer.
        """

    async def settled_until(self) -> int:
        """Return the time of the newest final block that is in the index, Unix seconds.

        A call of `look` after this one knows all redemptions until then.

        Raises:
            bitsnode.errors.BitsError: the chain does not answer, or is not certain.
        """


class KeyHolders(Protocol):
    """Asks the holders of key shares, each on circuits of its own."""

    async def ask(
        self, signed: SignedOffer, index: int, receipt: Receipt, receipt_seed: bytes
    ) -> bytes:
        """Return what holder ``index`` gave as its share, 16 bytes.

        Raises:
            WrongShare, NotOpened: it gave something else than its share.
            KeyHolderFault: it gave nothing.
        """


@attrs.frozen
class Tools:
    """What a purchase works with.

    Attributes:
        clock: the reactor's time; its seconds are Unix time.
        run: carries out in a thread what waits for the disk.
        market: where this node pays.
        records, manifests, vouchers, proofs, relays, chain, holders: see their classes.
        own_relay: None if there is no account that could pay for gas.
    """

    clock: IReactorTime
    run: Run
    market: Market
    records: Records
    manifests: Manifests
    vouchers: Vouchers
    proofs: Proofs
    relays: Relays
    chain: Chain
    holders: KeyHolders
    own_relay: OwnRelay | None = None


def pause(clock: IReactorTime, seconds: float) -> "Deferred[None]":
    """Return a Deferred that fires in so many seconds."""
    waiting: Deferred[None] = Deferred(lambda _waiting: timer.cancel())
    timer: Any = clock.callLater(seconds, lambda: waiting.callback(None))
    return waiting
