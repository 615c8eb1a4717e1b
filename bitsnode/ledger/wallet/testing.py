"""For tests: a chain in one SQLite file, with the ledger and the index that a wallet needs.

It survives the process, so that a wallet can be killed and started again on the same chain.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from eth_hash.auto import keccak

from bitsnode.ledger.announcements import Announcement, Cursor
from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.errors import InsufficientFunds
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.standing import Call
from bitsnode.ledger.transactions import Mined, Sent, Signer
from onion.isolation import Isolation
from zk.stealth import MetaAddress, checksum_address, generate

T = TypeVar("T")
CHAIN_ID: Final = 13370042
GAS: Final = 21_000
GAS_PRICE: Final = 10**9  # wei
FEE: Final = GAS * GAS_PRICE  # wei that a transfer costs
FEE_LIMIT: Final = 2 * FEE  # what it is said to cost at most
ETHER: Final = 10**18  # wei

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS balances (address TEXT PRIMARY KEY, wei TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS announcements (
    block INTEGER, log_index INTEGER, transaction_hash BLOB, address TEXT, ephemeral BLOB,
    metadata BLOB, PRIMARY KEY (block, log_index));
CREATE TABLE IF NOT EXISTS journal (intent TEXT PRIMARY KEY, raw BLOB, sender TEXT,
    recipient TEXT, value TEXT);
CREATE TABLE IF NOT EXISTS mined (raw BLOB PRIMARY KEY, block INTEGER);
"""


class FileChain:
    """Ledger and index at once.

    Attributes:
        public: addresses that have a part in the contracts.
        asked: address and isolation of every question, in order.
        stop: called by name before each step of a transfer; tests fail or stop there.
        reverts: whether the chain refuses what is sent.
        chain_id: as in EIP-155.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_TABLES)
        self.public: set[str] = set()
        self.asked: list[tuple[str, Isolation]] = []
        self.stop: Callable[[str], None] = lambda _step: None
        self.reverts = False
        self.chain_id = CHAIN_ID

    @property
    def index(self) -> "FileChain":
        """The events."""
        return self

    @property
    def deployment(self) -> Deployment:
        """Contracts that are nowhere."""
        contracts = {
            name: Deployed(checksum_address(bytes([number]) * 20), 1, "0x" + "00" * 32)
            for number, name in enumerate(CONTRACTS, 0xC0)
        }
        return Deployment(self.chain_id, contracts)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # What tests do to it

    def wei(self, address: str) -> int:
        """Return what an address holds."""
        query = "SELECT wei FROM balances WHERE address = ?"
        row = self._db.execute(query, [address.lower()]).fetchone()
        return int(row[0]) if row else 0

    def give(self, address: str, wei: int) -> None:
        """Add to what an address holds."""
        row = (address.lower(), str(self.wei(address) + wei))
        self._db.execute("INSERT OR REPLACE INTO balances VALUES (?, ?)", row)

    def pay(self, meta: MetaAddress, ephemeral: bytes, wei: int) -> str:
        """Pay and announce a stealth payment in a block of its own; return its address."""
        payment = generate(meta, ephemeral)
        self.give(payment.stealth_address, wei)
        self.announce(
            payment.stealth_address, payment.ephemeral_public_key, bytes([payment.view_tag])
        )
        return payment.stealth_address

    def announce(self, address: str, ephemeral: bytes, metadata: bytes) -> None:
        """Announce anything in a block of its own."""
        (block,) = self._db.execute(
            "SELECT coalesce(max(block), 0) + 1 FROM announcements"
        ).fetchone()
        digest = keccak(f"{block}{address}".encode())
        row = (block, 0, digest, address.lower(), ephemeral, metadata)
        self._db.execute("INSERT INTO announcements VALUES (?, ?, ?, ?, ?, ?)", row)

    def reorganise(self, block: int) -> None:
        """Drop the announcements at a block and above."""
        self._db.execute("DELETE FROM announcements WHERE block >= ?", [block])

    def signed(self) -> list[tuple[str, str, int]]:
        """Return sender, recipient and wei of everything ever signed."""
        rows = self._db.execute("SELECT sender, recipient, value FROM journal")
        return [(sender, recipient, int(value)) for sender, recipient, value in rows]

    # Index

    def announcements(self, after: Cursor | None, limit: int) -> Sequence[Announcement]:
        """As `bitsnode.ledger.wallet.chain.Index` wants it."""
        place = (after.block, after.log_index) if after else (-1, -1)
        rows = self._db.execute(
            "SELECT * FROM announcements WHERE (block, log_index) > (?, ?)"
            " ORDER BY block, log_index LIMIT ?",
            (*place, limit),
        ).fetchall()
        return [
            Announcement(Cursor(block, index), digest, 1, address, "0x" + "00" * 20, key, metadata)
            for block, index, digest, address, key, metadata in rows
        ]

    def mentions(self, address: str) -> bool:
        """As `bitsnode.ledger.wallet.chain.Index` wants it."""
        return address in self.public

    # Ledger

    async def call(
        self, contract: str, function: str, args: Sequence[Any], isolation: Isolation
    ) -> Any:
        """As `bitsnode.ledger.wallet.chain.VoucherLedger` wants it; there are no views here."""
        raise NotImplementedError

    async def sync(self, isolation: Isolation) -> None:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        self.asked.append(("everything", isolation))

    async def balance(self, address: str, isolation: Isolation) -> int:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        self.asked.append((address, isolation))
        return self.wei(address)

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        self.asked.append((source, isolation))
        return Fee(GAS, FEE_LIMIT // GAS, 1)

    async def send(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Sent:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        self.asked.append((signer.address, isolation))
        self.stop("ask")
        if not await self.knows(intent):
            if self.wei(signer.address) < call.value + fee_limit:
                raise InsufficientFunds
            raw = signer.sign_transaction(self._fields(call.to, call.value, fee_limit))
            self.stop("journal")
            row = (intent, raw, signer.address, call.to, str(call.value))
            self._db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", row)
        self.stop("send")
        return Sent(intent, "0x" + keccak(self._send(intent)).hex(), 0, True)

    async def knows(self, intent: str) -> bool:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        query = "SELECT 1 FROM journal WHERE intent = ?"
        return self._db.execute(query, [intent]).fetchone() is not None

    async def wait(self, intent: str, isolation: Isolation, timeout: float = 600.0) -> Mined:
        """As `bitsnode.ledger.wallet.chain.Ledger` wants it."""
        self.stop("wait")
        raw = self._send(intent)
        (block,) = self._db.execute("SELECT block FROM mined WHERE raw = ?", [raw]).fetchone()
        return Mined("0x" + keccak(raw).hex(), block, FEE, not self.reverts)

    def _fields(self, to: str, value: int, fee_limit: int) -> dict[str, Any]:
        price = fee_limit // GAS
        return {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": 0,
            "to": to,
            "value": value,
            "gas": GAS,
            "maxFeePerGas": price,
            "maxPriorityFeePerGas": price,
        }

    def _send(self, intent: str) -> bytes:
        """Mine what the journal has, once, whoever signed it."""
        raw, recipient, value = self._db.execute(
            "SELECT raw, recipient, value FROM journal WHERE intent = ?", [intent]
        ).fetchone()
        from eth_account import Account

        sender = Account.recover_transaction(raw)
        self._db.execute("BEGIN IMMEDIATE")
        if not self._db.execute("SELECT 1 FROM mined WHERE raw = ?", [raw]).fetchone():
            self._db.execute("INSERT INTO mined SELECT ?, count(*) + 1 FROM mined", [raw])
            moved = 0 if self.reverts else int(value)
            self.give(sender, -moved - FEE)
            self.give(recipient, moved)
        self._db.execute("COMMIT")
        return bytes(raw)


async def at_once(work: Callable[[], T]) -> T:
    """Run blocking work here, instead of in a thread."""
    return work()
