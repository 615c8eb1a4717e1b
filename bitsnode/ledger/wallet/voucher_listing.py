"""How a voucher stands: what the wallet wrote down, held against what is final on the chain."""

from collections.abc import Sequence

import attrs

from bitsnode.ledger.trees import Trees
from bitsnode.ledger.trees_store import Member
from bitsnode.ledger.wallet.voucher_store import Row
from bitsnode.ledger.wallet.voucher_values import Deposit, Voucher, VoucherState


def member_of(trees: Trees, row: Row) -> Member | None:
    """Return where a voucher is in the chain.

    A copy may be in another group: what was meant counts first, then what is worth most.
    """
    groups = trees.groups()
    members = trees.members(row.identity.commitment)

    def worth(member: Member) -> tuple[bool, int]:
        denomination = groups[member.group].denomination
        return denomination == row.denomination, denomination

    return max(members, key=worth, default=None)


def describe(trees: Trees, row: Row, table: Sequence[int]) -> Voucher:
    """Return how a voucher stands; `table` has the wei of each denomination."""
    denomination = row.denomination
    voucher = Voucher(
        index=row.index,
        denomination=denomination,
        amount=table[denomination],
        state=_state_without_chain(row.deposit),
        block=row.block,
        bought_at=row.planned_at,
        purpose=row.purpose,
    )
    member = member_of(trees, row)
    if member is None:
        return voucher
    denomination = trees.groups()[member.group].denomination
    message = trees.messages(row.identity.nullifier).get(member.group)
    state = VoucherState.CONFIRMED
    if message is not None:
        state = VoucherState.SPENT
    elif row.ticket is not None:
        state = VoucherState.RESERVED
    epoch = trees.epoch()
    return attrs.evolve(
        voucher,
        denomination=denomination,
        amount=table[denomination],
        state=state,
        block=member.block,
        group=member.group,
        crowd=trees.crowd(member),
        age=max(0, epoch - member.block),
        spendable=state is VoucherState.CONFIRMED and member.block <= epoch,
        message=message,
    )


def _state_without_chain(deposit: Deposit) -> VoucherState:
    """Where a voucher stands that is not final yet."""
    return {
        Deposit.PLANNED: VoucherState.PLANNED,
        Deposit.DONE: VoucherState.DEPOSITED,
        Deposit.COPIED: VoucherState.DEPOSITED,
        Deposit.FAILED: VoucherState.FAILED,
        Deposit.FOUND: VoucherState.DEPOSITED,
    }[deposit]
