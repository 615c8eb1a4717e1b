"""What has to be known of an account and the chain around a transaction: blocking questions."""

from collections.abc import Sequence
from typing import Any, Final

import attrs
from eth_hash.auto import keccak

from bitsnode.ledger import answers, errors
from bitsnode.ledger.answers import Header, MinedReceipt
from bitsnode.ledger.fees import Fee, Prices, in_coins
from bitsnode.ledger.jsonrpc import Request
from bitsnode.ledger.ranges import read_tag
from bitsnode.ledger.rpc import Asker

GAS_MARGIN: Final = 10  # one tenth more gas than estimated: state may change until it is mined
TRANSFER_GAS: Final = 21_000  # of a transaction without data; Yellow Paper appendix G
MAX_GAS: Final = 1 << 40


@attrs.frozen
class Call:
    """What a transaction does.

    Attributes:
        to: hex with 0x; "" creates a contract.
        value: wei.
        data: of the call.
        spare_gas: beyond what is estimated, for a call whose cost others may raise meanwhile.
    """

    to: str
    value: int = 0
    data: bytes = attrs.field(default=b"", repr=False)
    spare_gas: int = 0


@attrs.frozen
class Standing:
    """What has to be known before signing.

    Attributes:
        prices: of gas.
        balance: wei.
        nonce: of the next transaction, those that wait counted.
        gas: that may be used.
    """

    prices: Prices
    balance: int
    nonce: int
    gas: int


@attrs.frozen
class Outcome:
    """What the chain says of the transactions for an intent.

    Attributes:
        receipt: of the one that was mined.
        final: number of the newest final block.
        used: nonces of the account that are used.
    """

    receipt: MinedReceipt | None
    final: int
    used: int


def ask_standing(asker: Asker, source: str, call: Call) -> Standing:
    """See what a transaction needs.

    Raises:
        InsufficientFunds: not even the value is there.
        WouldRevert: the contract refuses it.
        RpcError: as in `Asker.ask`.
    """
    block, price, balance, nonce = asker.batch(
        [
            *_PRICES,
            Request("eth_getBalance", [source, "latest"]),
            Request("eth_getTransactionCount", [source, "pending"]),
        ]
    )
    prices = _prices(answers.header(block), price)
    has = answers.quantity(balance)
    if has < call.value:
        raise errors.InsufficientFunds(f"{in_coins(has)} of {in_coins(call.value)} and the fee")
    gas = _estimate(asker, source, call)
    return Standing(prices, has, answers.quantity(nonce, 1 << 63), gas)


def ask_prices(asker: Asker) -> Prices:
    """See what gas costs.

    Raises:
        RpcError: as in `Asker.ask`.
    """
    block, price = asker.batch(_PRICES)
    return _prices(answers.header(block), price)


def ask_outcome(asker: Asker, hashes: Sequence[bytes], account: str) -> Outcome:
    """See what became of transactions of an account, of which one at most is mined.

    Raises:
        RpcError: as in `Asker.ask`.
    """
    final = read_tag(asker, "finalized").number
    found = asker.batch(
        [
            Request("eth_getTransactionCount", [account, "latest"]),
            *(Request("eth_getTransactionReceipt", ["0x" + h.hex()]) for h in hashes),
        ]
    )
    receipts = [answers.receipt(each) for each in found[1:]]
    for receipt, asked in zip(receipts, hashes, strict=True):
        if receipt is not None and receipt.transaction != asked:
            raise errors.RpcAnswerInvalid("the receipt of another transaction")
    mined = next((receipt for receipt in receipts if receipt is not None), None)
    return Outcome(mined, final, answers.quantity(found[0], 1 << 63))


def ask_used_for_good(asker: Asker, account: str) -> int:
    """How many nonces of an account are used in final blocks.

    Raises:
        RpcError: as in `Asker.ask`.
    """
    found = asker.ask("eth_getTransactionCount", account, "finalized")
    return answers.quantity(found, 1 << 63)


def check_funds(standing: Standing, call: Call, fee: Fee) -> None:
    """See that the account can pay.

    Raises:
        InsufficientFunds: it cannot; both amounts are in the sentence.
    """
    needed = call.value + fee.most
    if standing.balance < needed:
        raise errors.InsufficientFunds(f"{in_coins(standing.balance)} of {in_coins(needed)}")


def checksummed(address: str) -> str:
    """An address in hex with the checksum of EIP-55."""
    text = address.lower().removeprefix("0x")
    digest = keccak(text.encode()).hex()
    letters = (c.upper() if int(d, 16) >= 8 else c for c, d in zip(text, digest, strict=False))
    return "0x" + "".join(letters)


_PRICES: Final = (Request("eth_getBlockByNumber", ("latest", False)), Request("eth_gasPrice"))


def _prices(newest: Header, price: Any) -> Prices:
    # eth_gasPrice is base fee and tip in one; it is answered by more servers than
    # eth_maxPriorityFeePerGas is
    tip = max(0, answers.quantity(price) - newest.base_fee)
    return Prices(newest.number, newest.base_fee, tip)


def _estimate(asker: Asker, source: str, call: Call) -> int:
    fields = {"from": source, "value": hex(call.value)}
    if call.to:
        fields["to"] = call.to
    if call.data:
        fields["data"] = "0x" + call.data.hex()
    try:
        gas = answers.quantity(asker.ask("eth_estimateGas", fields), MAX_GAS)
    except errors.RpcRefused as refused:
        raise errors.WouldRevert(refused.message, refused.data) from refused
    # a transfer to an account without code costs the same whatever happens meanwhile, and
    # sending all that there is needs the exact sum
    return gas if gas == TRANSFER_GAS else gas + gas // GAS_MARGIN + call.spare_gas
