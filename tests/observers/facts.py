"""Deposits, payments and plain transfers, read out of the chain. Pure."""

import attrs

from bitsnode.ledger.answers import Log as LedgerLog
from bitsnode.ledger.redemption import read_redeem_data
from bitsnode.ledger.voucher_events import (
    GROUP_OPENED,
    MEMBER_ADDED,
    REDEEMED,
    read_group_opened,
    read_member_added,
    read_redeemed,
)
from tests.observers.views import Log, Transaction, View

WORD = 32


def word(number: int) -> bytes:
    """A number as the chain shows it."""
    return number.to_bytes(WORD, "big")


@attrs.frozen
class Deposit:
    """A voucher that was bought.

    Attributes:
        transaction: that did it.
        group: in which it hides.
        place: of its leaf in the group.
        marks: what names it: transaction, commitment.
    """

    transaction: Transaction
    group: int
    place: int
    marks: tuple[bytes, ...]

    @property
    def account(self) -> bytes:
        """Who paid, 20 bytes."""
        return self.transaction.sender


@attrs.frozen
class Payment:
    """Money that came to a creator: a voucher that was redeemed, or a plain transfer.

    Attributes:
        transaction: that did it.
        payee: 20 bytes.
        gross: wei.
        group: of the voucher; None for a plain transfer.
        size: of the group's tree against which it was proved.
        marks: what names it: transaction, message, nullifier, payee, tag, ephemeral key.
    """

    transaction: Transaction
    payee: bytes
    gross: int
    marks: tuple[bytes, ...]
    group: int | None = None
    size: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return "payment " + self.transaction.hash.hex()[:8]


@attrs.frozen
class Facts:
    """What the chain tells.

    Attributes:
        deposits: of vouchers.
        payments: by vouchers.
        transfers: plain ones.
        roots: of the groups' trees; they say when, not who.
    """

    deposits: tuple[Deposit, ...]
    payments: tuple[Payment, ...]
    transfers: tuple[Payment, ...]
    roots: dict[bytes, int]

    def crowd(self, payment: Payment) -> set[bytes]:
        """The accounts that could have made it, by denomination and time alone."""
        return {
            deposit.account
            for deposit in self.deposits
            if deposit.group == payment.group and deposit.place < payment.size
        }


def read_facts(view: View) -> Facts:
    """Read the chain of a view."""
    vouchers, semaphore = view.contracts["Vouchers"], view.contracts["Semaphore"]
    deposits, payments, transfers = [], [], []
    roots: dict[bytes, int] = {}
    ours: set[int] = set()
    for transaction in view.transactions:
        for number, log in enumerate(transaction.logs):
            topic, told = log.topics[0] if log.topics else b"", event(transaction, log, number)
            if (log.address, topic) == (vouchers, GROUP_OPENED):
                ours.add(read_group_opened(told).group)
            elif (log.address, topic) == (semaphore, MEMBER_ADDED):
                added = read_member_added(told)
                roots[word(added.root)] = added.index + 1
                marks = (transaction.hash, word(added.commitment))
                deposits.append(Deposit(transaction, added.group, added.index, marks))
            elif (log.address, topic) == (vouchers, REDEEMED):
                payments.append(_payment(transaction, told, roots))
        if transaction.value and not transaction.data:
            marks = (transaction.hash, transaction.to)
            transfers.append(Payment(transaction, transaction.to, transaction.value, marks))
    known = tuple(deposit for deposit in deposits if deposit.group in ours)
    return Facts(known, tuple(payments), tuple(transfers), roots)


def _payment(transaction: Transaction, event: LedgerLog, roots: dict[bytes, int]) -> Payment:
    found = read_redeemed(event)
    redemption, spends = read_redeem_data(transaction.data)
    marks = [transaction.hash, found.message, found.payee, found.tag]
    marks += [redemption.ephemeral_public_key, *map(word, found.nullifiers)]
    size = roots.get(word(spends[0].root), 0)
    return Payment(transaction, found.payee, found.gross, tuple(marks), found.groups[0], size)


def event(transaction: Transaction, log: Log, number: int) -> LedgerLog:
    """A log as the ledger reads it; its number is within the transaction."""
    return LedgerLog(
        address=log.address,
        topics=log.topics,
        data=log.data,
        block=transaction.block,
        block_hash=bytes(WORD),
        transaction=transaction.hash,
        index=number,
    )
