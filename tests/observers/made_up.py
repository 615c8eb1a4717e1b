"""Views that a test makes up: a chain with buyers and creators, to which it adds what it likes."""

import secrets
from typing import Final

from bitsnode.ledger.redemption import (
    NOBODY,
    Redemption,
    Spend,
    deposit_data,
    message_of,
    redeem_data,
)
from bitsnode.ledger.voucher_events import GROUP_OPENED, MEMBER_ADDED, REDEEMED
from tests.observers.facts import word
from tests.observers.views import Entry, Log, Question, Transaction, View, Work

PRICE: Final = 5 * 10**16  # wei
GROUP: Final = 3
START: Final = 1_795_400_000.0  # Unix seconds
CONTRACTS: Final = {name: secrets.token_bytes(20) for name in ("Vouchers", "Semaphore", "Treasury")}
RELAY: Final = secrets.token_bytes(20)
FAUCET: Final = secrets.token_bytes(20)
CURVE_POINT: Final = bytes.fromhex(  # a compressed public key: the generator of secp256k1
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
)


class World:
    """A chain that grows, and what is noted beside it.

    Attributes:
        works: of two creators, at one price.
        questions: the RPC server's log.
        entries: states of nodes.
    """

    def __init__(self) -> None:
        self._transactions: list[Transaction] = []
        self._roots: list[bytes] = []
        self.questions: list[Question] = []
        self.entries: list[Entry] = []
        self.works = [
            Work(
                f"work {number}",
                secrets.token_bytes(32),
                PRICE,
                secrets.token_bytes(32),
                (secrets.token_bytes(32), secrets.token_bytes(32)),
                (secrets.token_bytes(32), secrets.token_bytes(20)),
            )
            for number in range(2)
        ]
        opened = Log(CONTRACTS["Vouchers"], (GROUP_OPENED, word(1), word(GROUP)), bytes(64))
        self._add(FAUCET, CONTRACTS["Vouchers"], data=b"open", logs=(opened,), at=0)

    def view(self) -> View:
        """All of it."""
        return View(
            tuple(self._transactions),
            CONTRACTS,
            tuple(self.works),
            tuple(self.questions),
            tuple(self.entries),
            frozenset({RELAY}),
        )

    def deposit(self, account: bytes, at: float) -> Transaction:
        """A voucher is bought, so many seconds after the start."""
        commitment, root = secrets.randbits(250), secrets.token_bytes(31)
        self._roots.append(word(int.from_bytes(root, "big")))
        data = word(len(self._roots) - 1) + word(commitment) + self._roots[-1]
        log = Log(CONTRACTS["Semaphore"], (MEMBER_ADDED, word(GROUP)), data)
        call = deposit_data(1, commitment)
        return self._add(account, CONTRACTS["Vouchers"], PRICE, call, (log,), at)

    def pay(self, at: float, sender: bytes = RELAY) -> Transaction:
        """A voucher is spent."""
        redemption = Redemption(
            secrets.token_bytes(20), CURVE_POINT, 7, secrets.token_bytes(32), NOBODY, 0, 1 << 40
        )
        nullifier, root = secrets.randbits(250), int.from_bytes(self._roots[-1], "big")
        points = tuple(secrets.randbits(250) for _ in range(8))
        spend = Spend(GROUP, nullifier, root, points)
        contract = "0x" + CONTRACTS["Vouchers"].hex()
        message = message_of(1, contract, redemption, [GROUP], [nullifier])
        head = [bytes(12) + redemption.payee, word(PRICE), word(0), word(160), word(224)]
        data = b"".join([*head, word(1), word(GROUP), word(1), word(nullifier)])
        log = Log(CONTRACTS["Vouchers"], (REDEEMED, message, redemption.tag), data)
        call = redeem_data(redemption, [spend])
        return self._add(sender, CONTRACTS["Vouchers"], 0, call, (log,), at)

    def transfer(self, sender: bytes, to: bytes, value: int, at: float) -> Transaction:
        """Money changes hands in plain sight."""
        return self._add(sender, to, value, at=at)

    def call(self, sender: bytes, to: bytes, data: bytes, log: Log, at: float) -> Transaction:
        """A contract is called, and says so."""
        return self._add(sender, to, 0, data, (log,), at)

    def ask(
        self,
        circuit: str,
        at: float,
        method: str = "eth_blockNumber",
        *params: object,
        answered: float | None = None,
    ) -> None:
        """The RPC server is asked something."""
        end = None if answered is None else START + answered
        self.questions.append(Question(START + at, circuit, method, params, end))

    def read_logs(self, circuit: str, at: float, first: int, last: int) -> None:
        """The RPC server is asked for all logs of a range, as everybody asks."""
        addresses = ["0x" + address.hex() for address in CONTRACTS.values()]
        asked = {"fromBlock": hex(first), "toBlock": hex(last), "address": addresses}
        self.ask(circuit, at, "eth_getLogs", asked)

    def note(self, node: str, *values: object, at: float | None = None) -> None:
        """A node has a row with these values."""
        time = None if at is None else START + at
        self.entries.append(Entry(node, "a row", values, time))

    def _add(
        self,
        sender: bytes,
        to: bytes,
        value: int = 0,
        data: bytes = b"",
        logs: tuple[Log, ...] = (),
        at: float = 0.0,
    ) -> Transaction:
        number = len(self._transactions) + 1
        added = Transaction(
            secrets.token_bytes(32), number, START + at, sender, to, value, data, logs
        )
        self._transactions.append(added)
        return added


def two_buyers() -> tuple[World, bytes, bytes, Transaction]:
    """A world in which two accounts bought two vouchers each, and one of them was spent."""
    world, anna, bert = World(), secrets.token_bytes(20), secrets.token_bytes(20)
    for account, begins in ((anna, 100), (bert, 200)):
        world.transfer(FAUCET, account, 10 * PRICE, begins - 20)
        for number in range(2):
            world.deposit(account, begins + number)
    return world, anna, bert, world.pay(400)
