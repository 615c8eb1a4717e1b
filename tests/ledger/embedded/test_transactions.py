"""What the chain lets in, what it refuses and in which words, and what it keeps."""

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.errors import RpcFault

ETHER = 10**18
BOB = b"\xbb" * 20


def refusal(chain: EmbeddedChain, raw: bytes) -> str:
    """Send what must be refused with -32000; return the words."""
    height = chain.height
    with pytest.raises(RpcFault) as caught:
        chain.send_raw_transaction(raw)
    assert caught.value.code == -32000
    assert chain.height == height
    return caught.value.message


@pytest.mark.parametrize(
    "kind",
    [
        {"gasPrice": 2 * 10**9},
        {"gasPrice": 2 * 10**9, "accessList": [{"address": "0x" + "aa" * 20, "storageKeys": []}]},
        {},
    ],
    ids=["legacy", "access list", "dynamic fee"],
)
def test_all_three_kinds_of_transactions_are_mined(hand: Any, kind: dict[str, Any]) -> None:
    """Types 0, 1 and 2 move money and pay what they should, to the wei."""
    before = hand.chain.state(hand.chain.head).get_balance(hand.sender)
    mined = hand.send(to=BOB, value=ETHER, **kind)
    state = hand.chain.state(hand.chain.head)
    assert mined.status == 1
    assert state.get_balance(BOB) == ETHER
    assert state.get_balance(hand.sender) == before - ETHER - mined.gas_used * mined.gas_price


def test_transactions_of_another_chain_are_refused(hand: Any) -> None:
    """A transaction signed for another chain id is not mined here (py-evm would)."""
    assert refusal(hand.chain, hand.sign(to=BOB, chainId=1)) == (
        "invalid chain id for signer: have 1 want 13370042"
    )


def test_transactions_without_a_chain_id_are_refused(hand: Any) -> None:
    """A transaction that could be replayed on any chain is refused."""
    raw = hand.sign(to=BOB, gasPrice=2 * 10**9, chainId=None)
    assert "only replay-protected" in refusal(hand.chain, raw)


def test_the_same_transaction_again_is_already_known(hand: Any) -> None:
    """Sending the same bytes twice says so in geth's words, and nothing is done twice."""
    raw = hand.sign(to=BOB, value=1)
    hand.chain.send_raw_transaction(raw)
    assert refusal(hand.chain, raw) == "already known"
    assert hand.chain.state(hand.chain.head).get_balance(BOB) == 1


def test_nonces_must_follow_each_other(hand: Any) -> None:
    """A nonce that was used, and one that leaves a gap, are refused."""
    nonce = hand.send(to=BOB).position
    assert refusal(hand.chain, hand.sign(to=BOB, nonce=nonce)).startswith("nonce too low")
    assert refusal(hand.chain, hand.sign(to=BOB, nonce=7)).startswith("nonce too high")


def test_fees_and_funds(hand: Any) -> None:
    """Low fees, tips above the fee, and empty accounts are refused in geth's words."""
    low = hand.sign(to=BOB, maxFeePerGas=1, maxPriorityFeePerGas=1)
    assert refusal(hand.chain, low).startswith("max fee per gas less than block base fee")
    high = hand.sign(to=BOB, maxFeePerGas=10**10, maxPriorityFeePerGas=10**11)
    assert refusal(hand.chain, high).startswith(
        "max priority fee per gas higher than max fee per gas"
    )
    much = hand.sign(to=BOB, value=100 * ETHER)
    assert refusal(hand.chain, much).startswith("insufficient funds for gas * price + value")


def test_gas_limits(hand: Any) -> None:
    """Too little gas for the transaction itself, and more than a block holds, are refused."""
    little = hand.sign(to=BOB, gas=20_999)
    assert refusal(hand.chain, little) == "intrinsic gas too low: gas 20999, minimum needed 21000"
    assert refusal(hand.chain, hand.sign(to=BOB, gas=30_000_001)) == "exceeds block gas limit"
    huge = hand.sign(data=b"\0" * 49_153, gas=10_000_000)
    assert refusal(hand.chain, huge).startswith("max initcode size exceeded")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "typed transaction too short"),
        (b"\x03" + b"\xc0", "transaction type not supported"),
        (b"\x04" + b"\xc0", "transaction type not supported"),
        (b"\x7f" * 40, "transaction type not supported"),
        (b"\xc0", "rlp: the transaction cannot be decoded"),
        (b"\x02\xc0", "rlp: the transaction cannot be decoded"),
        (b"\xf8\xff" + b"\x01" * 30, "rlp: the transaction cannot be decoded"),
        (b"\xc1" * 131_073, "oversized data: transaction size 131073, limit 131072"),
    ],
)
def test_what_is_no_transaction(chain: EmbeddedChain, raw: bytes, words: str) -> None:
    """Blobs, set-code, rubbish and giants are refused with a word each."""
    assert refusal(chain, raw) == words


def test_a_twisted_signature_is_refused(hand: Any) -> None:
    """The malleated twin of a signature (s above half the order) is no transaction."""
    import rlp

    raw = hand.sign(to=BOB)
    fields = rlp.decode(raw[1:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(fields[11], "big")
    parity = b"" if fields[9] else b"\x01"
    twin = raw[:1] + rlp.encode([*fields[:9], parity, fields[10], s.to_bytes(32, "big")])
    assert refusal(hand.chain, twin) == "invalid transaction v, r, s values"


def test_random_changes_of_a_transaction_never_raise_anything_else(hand: Any) -> None:
    """Every single-byte change of a signed transaction is refused properly or mined."""
    raw = hand.sign(to=BOB, data=b"\1\2")
    for index in range(len(raw)):
        for change in (1, 0x80):
            twisted = bytearray(raw)
            twisted[index] ^= change
            with pytest.raises(RpcFault):
                hand.chain.send_raw_transaction(bytes(twisted))


def test_failed_transactions_are_mined_and_paid(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A reverted transaction is in a block with status 0, without logs, and costs gas."""
    probe = hand.deploy()
    mined = hand.send(to=probe, data=encoded("refuse(uint256)", 5), gas=100_000)
    assert mined.status == 0
    assert 21_000 < mined.gas_used < 30_000
    burned = hand.send(to=probe, data=encoded("spin()"), gas=100_000)
    assert (burned.status, burned.gas_used) == (0, 100_000)
    assert hand.logs() == []


def test_blocks_follow_the_clock_and_never_stand_still(hand: Any, now: list[int]) -> None:
    """Timestamps rise strictly, follow the clock, and carry what time was moved on."""
    first = hand.chain.head.timestamp
    hand.send(to=BOB)
    assert hand.chain.head.timestamp == first + 1
    now[0] += 100
    hand.send(to=BOB)
    assert hand.chain.head.timestamp == now[0]
    assert hand.chain.increase_time(3600) == 3600
    hand.chain.mine()
    assert hand.chain.head.timestamp == now[0] + 3600
    last = hand.chain.head.timestamp
    now[0] -= 50_000
    hand.chain.mine()
    assert hand.chain.head.timestamp == last + 1


def test_contracts_see_the_block_that_they_are_in(
    hand: Any, encoded: Callable[..., bytes], now: list[int]
) -> None:
    """Number, time, chain id and base fee in a call are those of the block asked about."""
    from eth_abi.abi import decode

    probe = hand.deploy()
    now[0] += 777
    hand.chain.mine()
    head = hand.chain.head
    seen = decode(
        ["uint256", "uint256", "uint256", "uint256", "address"],
        hand.call(probe, encoded("context()")),
    )
    assert seen == (
        head.block_number,
        now[0],
        13370042,
        head.base_fee_per_gas,
        "0x" + "00" * 20,
    )


def test_the_base_fee_follows_the_use_of_blocks(hand: Any, encoded: Callable[..., bytes]) -> None:
    """EIP-1559: more than half full raises the base fee by up to an eighth, less lowers it."""
    probe = hand.deploy()
    lost = encoded("precompile(uint160,bytes,uint256)", 8, b"!", 24_000_000)
    low = hand.chain.next_header().base_fee_per_gas
    mined = hand.send(to=probe, data=lost, gas=30_000_000)
    high = hand.chain.next_header().base_fee_per_gas
    assert mined.gas_used > 24_000_000
    assert high == low + low * (mined.gas_used - 15_000_000) // 15_000_000 // 8
    hand.chain.mine()
    assert hand.chain.next_header().base_fee_per_gas == high - high // 8
    assert hand.chain.head.gas_limit == 30_000_000


def test_strangers_have_nothing(chain: EmbeddedChain) -> None:
    """An account that nobody paid cannot pay for a transaction."""
    account = Account.from_key(b"\x05" * 32)
    fields = {"to": BOB, "value": 0, "gas": 21_000, "gasPrice": 10**9, "nonce": 0}
    raw = account.sign_transaction({**fields, "chainId": chain.chain_id}).raw_transaction
    assert refusal(chain, bytes(raw)).startswith("insufficient funds for gas * price + value")
