"""What the wallet tells: addresses and balances."""

import attrs


@attrs.frozen
class Addresses:
    """Where money can be sent.

    Attributes:
        meta_address: ``st:eth:0x…``; what is paid to it cannot be linked to it.
        accounts: checksummed; what is paid there is public.
    """

    meta_address: str
    accounts: tuple[str, ...]


@attrs.frozen
class Held:
    """What one address holds.

    Attributes:
        address: checksummed.
        balance: wei.
        block: in which it was announced; None for an account.
        transaction_hash: of the announcement; None for an account.
    """

    address: str
    balance: int
    block: int | None = None
    transaction_hash: str | None = None


@attrs.frozen
class Balance:
    """What the wallet holds.

    Attributes:
        accounts: in their order.
        payments: to the meta-address that still hold something, in the order of the chain.
        scanned: whether all announcements so far were looked at; False while locked.
    """

    accounts: tuple[Held, ...]
    payments: tuple[Held, ...]
    scanned: bool

    @property
    def total(self) -> int:
        """Wei in all."""
        return sum(held.balance for held in self.accounts + self.payments)
