"""For tests: vouchers on the chain in a file, with proofs that are none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth_hash.auto import keccak

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.errors import WouldRevert
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.index_store import Reach
from bitsnode.ledger.redemption import (
    MalformedRedemption,
    deposit_data,
    message_of,
    read_redeem_data,
    words_of,
)
from bitsnode.ledger.refusals import selector
from bitsnode.ledger.standing import Call
from bitsnode.ledger.transactions import Mined, Sent, Signer
from bitsnode.ledger.voucher_events import GROUP_OPENED, MEMBER_ADDED, REDEEMED
from bitsnode.ledger.wallet.testing import FileChain
from onion.isolation import Isolation
from zk.circuit import Witness
from zk.lean_imt import LeanIMT
from zk.proof import SemaphoreProof

TABLE: Final = (10**15, 2 * 10**15, 5 * 10**15)  # wei of each denomination
SHARES: Final = (300, 200)  # treasury and pool, in 1/10,000
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS calls (intent TEXT PRIMARY KEY, sender TEXT, data BLOB,
    outcome INTEGER);
CREATE TABLE IF NOT EXISTS logs (block INTEGER PRIMARY KEY, contract TEXT, topics BLOB, data BLOB);
"""


class FakeProver:
    """Proves nothing, but refuses what the circuit would refuse; see `VoucherChain`.

    Attributes:
        asked: witnesses, in order.
    """

    def __init__(self) -> None:
        self.asked: list[Witness] = []

    async def prove(self, witness: Witness) -> SemaphoreProof:
        """As `bitsnode.ledger.redeem.Prover` wants it."""
        self.asked.append(witness)
        return witness.proves((witness.message >> 8, *range(1, 8)))


class VoucherChain(FileChain):
    """The chain in a file with a group for each denomination.

    Every event has a block of its own, and is final at once unless `unconfirmed` says otherwise.

    Attributes:
        unconfirmed: newest blocks that are not final.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._db.executescript(_TABLES)
        self.unconfirmed = 0
        if not self._height():
            for row in range(len(TABLE)):
                data = b"".join(map(_word, SHARES))
                self._emit("Vouchers", [GROUP_OPENED, _word(row), _word(row)], data)

    # Index

    @property
    def reach(self) -> Reach:
        """As `bitsnode.ledger.trees.Events` wants it."""
        height = self._height()
        return Reach(height, height - self.unconfirmed)

    def events(self, contract: str, event: bytes, after: Cursor | None, limit: int) -> list[Log]:
        """As `bitsnode.ledger.trees.Events` wants it."""
        rows = self._db.execute(
            "SELECT block, topics, data FROM logs WHERE contract = ? AND substr(topics, 1, 32) = ?"
            " AND block > ? AND block <= ? ORDER BY block LIMIT ?",
            [contract, event, after.block if after else -1, self.reach.confirmed, limit],
        ).fetchall()
        return [
            Log(block, bytes(32), 0, keccak(_word(block)), bytes(20), _topics(topics), data)
            for block, topics, data in rows
        ]

    # Ledger

    async def call(
        self, contract: str, function: str, args: Sequence[Any], isolation: Isolation
    ) -> Any:
        """As `bitsnode.ledger.wallet.chain.VoucherLedger` wants it."""
        self.asked.append((function, isolation))
        if function == "denominations":
            return [("0x" + "00" * 20, amount) for amount in TABLE]
        if function == "groupOf":
            return (TABLE[args[0]], *SHARES, args[0])
        if function == "spentBy":
            return self._spent().get((args[0], args[1]), bytes(32))
        raise NotImplementedError(function)

    async def block_number(self, tag: str, isolation: Isolation) -> int:
        """As `bitsnode.market.relay.RelayLedger` wants it."""
        return self.reach.confirmed

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        self._simulate(call.data)
        return await super().quote(source, call, isolation)

    async def send(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Sent:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        if not await self.knows(intent):
            self._simulate(call.data)
            row = (intent, signer.address, call.data)
            self._db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, NULL)", row)
        return await super().send(signer, intent, call, isolation, fee_limit)

    async def wait(self, intent: str, isolation: Isolation, timeout: float = 600.0) -> Mined:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        mined = await super().wait(intent, isolation)
        row = self._db.execute("SELECT outcome FROM calls WHERE intent = ?", [intent]).fetchone()
        outcome = row[0] if row else 1
        return Mined(mined.transaction_hash, self._height(), mined.fee, bool(outcome))

    # What tests do to it

    def deposit(self, denomination: int, commitment: int) -> None:
        """Buy a voucher as somebody else."""
        self._carry_out(deposit_data(denomination, commitment), "0x" + "99" * 20)

    def commitments(self, denomination: int) -> list[int]:
        """Return the members of a group."""
        members = self.events("Semaphore", MEMBER_ADDED, None, 1 << 30)
        return [
            words_of(log.data)[1]
            for log in members
            if int.from_bytes(log.topics[1], "big") == denomination
        ]

    # Inside

    def _fields(self, to: str, value: int, fee_limit: int) -> dict[str, Any]:
        (count,) = self._db.execute("SELECT count(*) FROM journal").fetchone()
        return super()._fields(to, value, fee_limit) | {"nonce": count}

    def _send(self, intent: str) -> bytes:
        raw = super()._send(intent)
        row = self._db.execute("SELECT * FROM calls WHERE intent = ?", [intent]).fetchone()
        if row and row[3] is None:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._simulate(row[2])
                self._carry_out(row[2], row[1])
                outcome = 1
            except WouldRevert:
                outcome = 0
            self._db.execute("UPDATE calls SET outcome = ? WHERE intent = ?", [outcome, intent])
            self._db.execute("COMMIT")
        return raw

    def _simulate(self, data: bytes) -> None:
        if data[:4] == deposit_data(0, 0)[:4]:
            denomination, commitment = words_of(data[4:])
            if commitment in self.commitments(denomination):
                raise _revert("LeafAlreadyExists()")
            return
        try:
            redemption, spends = read_redeem_data(data)
        except MalformedRedemption:
            return
        groups, nullifiers = [s.group for s in spends], [s.nullifier for s in spends]
        contract = self.deployment.address("Vouchers")
        message = message_of(self.chain_id, contract, redemption, groups, nullifiers)
        for spend in spends:
            if (spend.group, spend.nullifier) in self._spent():
                raise _revert("VouchersSpent(uint256,uint256)")
            if spend.points[0] != int.from_bytes(message, "big") >> 8:
                raise _revert("VouchersInvalidProof(uint256)")

    def _carry_out(self, data: bytes, sender: str) -> None:
        if data[:4] == deposit_data(0, 0)[:4]:
            denomination, commitment = words_of(data[4:])
            tree = LeanIMT()
            for leaf in [*self.commitments(denomination), commitment]:
                tree.append(leaf)
            body = _word(len(tree) - 1) + _word(commitment) + _word(tree.root())
            self._emit("Semaphore", [MEMBER_ADDED, _word(denomination)], body)
            return
        try:
            redemption, spends = read_redeem_data(data)
        except MalformedRedemption:
            return
        groups, nullifiers = [s.group for s in spends], [s.nullifier for s in spends]
        contract = self.deployment.address("Vouchers")
        message = message_of(self.chain_id, contract, redemption, groups, nullifiers)
        gross = sum(TABLE[group] for group in groups)
        net = gross - redemption.fee
        count = len(groups)
        words = [gross, redemption.fee, 160, 192 + 32 * count, count, *groups, count, *nullifiers]
        body = redemption.payee.rjust(32, b"\0") + b"".join(map(_word, words))
        self._emit("Vouchers", [REDEEMED, message, redemption.tag], body)
        payee = "0x" + redemption.payee.hex()
        self.give(payee, net - sum(net * share // 10_000 for share in SHARES))
        relayer = "0x" + redemption.relayer.hex() if any(redemption.relayer) else sender
        self.give(relayer, redemption.fee)
        self.announce(payee, redemption.ephemeral_public_key, bytes([redemption.view_tag]))

    def _spent(self) -> dict[tuple[int, int], bytes]:
        rows = self._db.execute(
            "SELECT topics, data FROM logs WHERE substr(topics, 1, 32) = ?", [REDEEMED]
        ).fetchall()
        found = {}
        for topics, data in rows:
            words = words_of(data)
            count = words[5]
            pairs = zip(words[6 : 6 + count], words[7 + count :], strict=True)
            found.update(dict.fromkeys(pairs, topics[32:64]))
        return found

    def _height(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(block), 0) FROM logs").fetchone()[0])

    def _emit(self, contract: str, topics: Sequence[bytes], data: bytes) -> None:
        row = (self._height() + 1, contract, b"".join(topics), data)
        self._db.execute("INSERT INTO logs VALUES (?, ?, ?, ?)", row)


def _revert(signature: str) -> WouldRevert:
    return WouldRevert("execution reverted", "0x" + selector(signature).hex())


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _topics(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[at : at + 32] for at in range(0, len(joined), 32))
