"""The chain: one block per transaction, durable before anybody is told."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from eth.abc import BlockHeaderAPI, StateAPI
from eth.exceptions import HeaderNotFound
from eth_keys.datatypes import PrivateKey
from eth_typing import BlockNumber, Hash32
from eth_utils.exceptions import ValidationError

from bitsnode.ledger.create2 import PROXY, PROXY_CODE
from bitsnode.ledger.embedded.admission import Admitted, admit, check_state
from bitsnode.ledger.embedded.database import ChainDatabase
from bitsnode.ledger.embedded.directory import (
    DATABASE,
    DirectoryLock,
    make_faucet_key,
    read_faucet_key,
)
from bitsnode.ledger.embedded.errors import refused
from bitsnode.ledger.embedded.execution import GAS_CAP, Call, Tried, attempt, estimate, output_of
from bitsnode.ledger.embedded.records import Log, Mined, Records
from bitsnode.ledger.embedded.vm import Deadline, chain_class

CHAIN_ID: Final = 13_370_042
GAS_LIMIT: Final = 30_000_000  # of every block
FIRST_BASE_FEE: Final = 10**9  # wei per gas of the first block; falls to 7 while blocks are empty
FAUCET_FUNDS: Final = 10**9 * 10**18  # wei
COINBASE: Final = b"\0" * 20  # tips go to nobody
TRANSFER_GAS: Final = 21_000
TIP: Final = 10**6  # wei per gas proposed: enough, as every transaction has a block to itself
CALL_SECONDS: Final = 5.0  # longest that a call may keep the chain busy
MAX_TIME_STEP: Final = 10 * 365 * 86_400  # seconds that time may be moved on at once
# part of the genesis block: who deploys by it finds the same addresses here as elsewhere
_PROXY: Final = {
    bytes.fromhex(PROXY[2:]): {"balance": 0, "nonce": 1, "code": PROXY_CODE, "storage": {}}
}
_CANCUN_EMPTY: Final = {"parent_beacon_block_root": b"\0" * 32}


class EmbeddedChain:
    """A chain in a directory. For one thread; every method may take as long as a transaction.

    Args:
        directory: private; made if it is not there.
        chain_id: of a new chain; an existing one must have it.
        clock: Unix time in seconds.

    Raises:
        ChainInUse, ChainOpen, ChainUnusable, ChainDamaged, ChainTooNew, ChainIsAnother: as their
            sentences say.
    """

    def __init__(
        self, directory: Path, chain_id: int = CHAIN_ID, *, clock: Callable[[], int]
    ) -> None:
        self.chain_id = chain_id
        self._clock = clock
        self._lock = DirectoryLock(directory)
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            self._database = ChainDatabase(directory / DATABASE, chain_id)
            undo.callback(self._database.close)
            self._class = chain_class(chain_id)
            self.records = Records(self._database)
            if self._database.is_new:
                self._create(make_faucet_key(directory))
            self._faucet = read_faucet_key(directory)
            self._start()
            undo.pop_all()

    def _create(self, faucet: bytes) -> None:
        address = PrivateKey(faucet).public_key.to_canonical_address()
        account = {"balance": FAUCET_FUNDS, "nonce": 0, "code": b"", "storage": {}}
        params = {
            "difficulty": 0,
            "gas_limit": GAS_LIMIT,
            "timestamp": self._clock(),
            "base_fee_per_gas": FIRST_BASE_FEE,
            "coinbase": COINBASE,
            "extra_data": b"bits",
            **_CANCUN_EMPTY,
        }
        with self._database.transaction():
            self._database.create(self.chain_id)
            self._class.from_genesis(self._database, params, {address: account, **_PROXY})

    def _start(self) -> None:
        self._chain: Any = self._class(self._database)
        self._head: BlockHeaderAPI = self._chain.get_canonical_head()

    def close(self) -> None:
        """Close the database and give the directory free."""
        self._database.close()
        self._lock.release()

    @property
    def height(self) -> int:
        """The number of the last block."""
        return self._head.block_number

    @property
    def head(self) -> BlockHeaderAPI:
        """The header of the last block."""
        return self._head

    @property
    def faucet(self) -> bytes | None:
        """The address that `fund` pays from (20 bytes); None if its key is gone."""
        if self._faucet is None:
            return None
        return PrivateKey(self._faucet).public_key.to_canonical_address()

    def next_header(self) -> BlockHeaderAPI:
        """Return the header of the block that would be mined now, before any transaction."""
        now = self._clock() + self._database.meta("time_offset")
        header: BlockHeaderAPI = self._chain.create_header_from_parent(
            self._head,
            timestamp=max(now, self._head.timestamp + 1),
            gas_limit=GAS_LIMIT,
            coinbase=COINBASE,
            extra_data=b"",
            mix_hash=secrets.token_bytes(32),  # what PREVRANDAO gives (EIP-4399)
            **_CANCUN_EMPTY,
        )
        return header

    def header(self, number: int) -> BlockHeaderAPI | None:
        """Return the header of a block, if there is one with this number."""
        if not 0 <= number <= self.height:
            return None
        found: BlockHeaderAPI
        found = self._chain.get_canonical_block_header_by_number(BlockNumber(number))
        return found

    def header_by_hash(self, block: bytes) -> BlockHeaderAPI | None:
        """Return the header of the block with this hash (32 bytes), if there is one."""
        try:
            header: BlockHeaderAPI = self._chain.get_block_header_by_hash(Hash32(block))
        except HeaderNotFound:
            return None
        return header

    def state(self, header: BlockHeaderAPI) -> StateAPI:
        """Return the accounts as they were after a block."""
        state: StateAPI = self._chain.get_vm(header).state
        return state

    def transaction(self, raw: bytes) -> Any:
        """Return py-evm's form of a transaction that is in a block."""
        return self._chain.get_vm(self._head).get_transaction_builder().decode(raw)

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Mine a signed transaction into a block of its own; return its hash (32 bytes).

        Raises:
            RpcFault: it is refused, in go-ethereum's words; nothing changed.
        """
        builder = self._chain.get_vm(self._head).get_transaction_builder()
        admitted = admit(builder, raw, self.chain_id, GAS_LIMIT)
        if self.records.by_hash(admitted.hash) is not None:
            raise refused("already known")
        header = self.next_header()
        check_state(admitted, self.state(header), header)
        try:
            self._mine(header, admitted)
        except ValidationError:
            raise refused("invalid transaction") from None
        return admitted.hash

    def mine(self) -> None:
        """Add an empty block, so that time moves."""
        self._mine(self.next_header(), None)

    def _mine(self, header: BlockHeaderAPI, admitted: Admitted | None) -> None:
        try:
            with self._database.transaction():
                head = self._write(header, admitted)
        except BaseException:
            self._start()  # py-evm remembers what was rolled back
            raise
        self._head = head

    def _write(self, header: BlockHeaderAPI, admitted: Admitted | None) -> BlockHeaderAPI:
        vm = self._chain.get_vm(header)
        transactions = [admitted.transaction] if admitted else []
        filled, receipts, computations = vm.apply_all_transactions(transactions, header)
        block = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), filled, transactions, receipts
        )
        block = vm.mine_block(block).block
        self._chain.persist_block(block)
        if admitted:
            self._record(admitted, block.header, receipts[0], computations[0])
        mined: BlockHeaderAPI = block.header
        return mined

    def _record(self, admitted: Admitted, header: BlockHeaderAPI, receipt: Any, run: Any) -> None:
        number, transaction = header.block_number, admitted.transaction
        base_fee = header.base_fee_per_gas
        tip = min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - base_fee)
        made = bytes(run.msg.storage_address) if run.msg.is_create else None
        mined = Mined(
            hash=admitted.hash,
            block=number,
            position=0,
            raw=admitted.raw,
            sender=admitted.sender,
            contract=made,
            status=0 if run.is_error else 1,
            gas_used=receipt.gas_used,
            cumulative_gas=receipt.gas_used,
            gas_price=base_fee + tip,
        )
        logs = [
            Log(
                number,
                position,
                0,
                bytes(log.address),
                tuple(topic.to_bytes(32, "big") for topic in log.topics),
                bytes(log.data),
            )
            for position, log in enumerate(receipt.logs)
        ]
        self.records.add(mined, logs)

    def call(self, call: Call, header: BlockHeaderAPI, seconds: float = CALL_SECONDS) -> bytes:
        """Run a call on the state after a block; return what it gives.

        Raises:
            RpcFault: code 3 with data if it is reverted; -32000 if it fails or takes too long.
        """
        gas = min(call.gas or GAS_CAP, GAS_CAP)
        return output_of(attempt(self._chain, header, call, gas, Deadline(seconds)))

    def estimate_gas(
        self, call: Call, header: BlockHeaderAPI, seconds: float = CALL_SECONDS
    ) -> int:
        """Return the least gas limit with which a transaction would succeed.

        Raises:
            RpcFault: it fails with any limit, or trying takes too long.
        """
        deadline = Deadline(seconds)

        def run(gas: int) -> Tried:
            return attempt(self._chain, header, call, gas, deadline)

        highest = min(call.gas or GAS_CAP, GAS_CAP)
        if call.gas_price:
            balance = self.state(header).get_balance(call.sender)  # type: ignore[arg-type]
            highest = min(highest, max(balance - call.value, 0) // call.gas_price)
        return estimate(run, TRANSFER_GAS, highest)

    def increase_time(self, seconds: int) -> int:
        """Move the time of all later blocks on; return by how much it is moved in all.

        Raises:
            RpcFault: the step is out of bounds.
        """
        if not 0 <= seconds <= MAX_TIME_STEP:
            raise refused(f"time can be moved by 0 to {MAX_TIME_STEP} seconds")
        with self._database.transaction():
            offset = self._database.meta("time_offset") + seconds
            self._database.set_meta("time_offset", offset)
        return offset

    def fund(self, address: bytes, wei: int) -> bytes:
        """Pay from the faucet; return the transaction's hash.

        Raises:
            RpcFault: the faucet's key is gone, or its money.
        """
        if self._faucet is None or self.faucet is None:
            raise refused("the faucet's key is gone")
        header = self.next_header()
        vm = self._chain.get_vm(header)
        unsigned = vm.create_unsigned_transaction(
            nonce=vm.state.get_nonce(self.faucet),
            gas_price=2 * (header.base_fee_per_gas or 0),
            gas=TRANSFER_GAS * 5,  # the receiver may be a contract
            to=address,
            value=wei,
            data=b"",
        )
        signed = unsigned.as_signed_transaction(PrivateKey(self._faucet), chain_id=self.chain_id)
        return self.send_raw_transaction(signed.encode())
