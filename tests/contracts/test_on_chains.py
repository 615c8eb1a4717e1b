"""The artifacts on the embedded chain and on anvil: real vouchers, and the same results."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.contracts.chain_tools import STRANGER, Hand, anvil, embedded

FIXTURE = Path(__file__).parents[2] / "contracts/test/fixtures/redemptions.json"
NOBODY = "0x" + "00" * 20
SMALL, MIDDLE, LARGE = 10**15, 2 * 10**15, 5 * 10**15  # wei
DELAY = 2 * 86_400  # seconds


def number(text: str) -> int:
    """A hexadecimal word of the fixture."""
    return int(text, 16)


def redemption(case: dict[str, Any]) -> tuple[Any, ...]:
    """The redemption's fields, in order."""
    return (
        to_checksum_address(case["payee"]),
        case["ephemeralKeyPrefix"],
        bytes.fromhex(case["ephemeralKeyX"][2:]),
        bytes.fromhex(case["viewTag"][2:]),
        bytes.fromhex(case["tag"][2:]),
        to_checksum_address(case["relayer"]),
        number(case["fee"]),
        number(case["deadline"]),
    )


def spends(case: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Its proofs."""
    points = [number(point) for point in case["points"]]
    words = zip(case["groups"], case["nullifiers"], case["roots"], strict=True)
    return [
        (*map(number, word), points[8 * index : 8 * index + 8]) for index, word in enumerate(words)
    ]


def selector(signature: str) -> str:
    """How an error's data begins."""
    return "0x" + keccak(signature.encode())[:4].hex()


def test_message_is_computed_alike_outside_the_chain() -> None:
    """Python, the JS of the fixture and Solidity agree on what a proof signs."""
    fixture = json.loads(FIXTURE.read_text())
    kinds = ["uint256", "address", "(address,uint8,bytes32,bytes1,bytes32,address,uint96,uint64)"]
    for name in ("relayed", "pair", "twice"):
        case = fixture[name]
        message = keccak(
            encode(
                [*kinds, "uint256[]", "uint256[]"],
                [
                    fixture["chainId"],
                    fixture["vouchers"],
                    redemption(case),
                    [number(group) for group in case["groups"]],
                    [number(nullifier) for nullifier in case["nullifiers"]],
                ],
            )
        )
        assert "0x" + message.hex() == case["message"]


def live(hand: Hand) -> None:
    """A life of the contracts, from deployment to a change of shares."""
    fixture = json.loads(FIXTURE.read_text())
    someone = hand.account(b"\x07" * 32)
    deployer = hand.account(bytes.fromhex(fixture["deployerKey"][2:]))
    poseidon = hand.deploy(someone, "PoseidonT3")
    verifier = hand.deploy(someone, "SemaphoreVerifier")
    semaphore = hand.deploy(someone, "Semaphore", verifier.address, PoseidonT3=poseidon.address)
    announcer = hand.deploy(someone, "ERC5564Announcer")
    hand.deploy(someone, "ERC6538Registry")
    timelock = hand.deploy(
        someone, "TimelockController", DELAY, [someone.address], [NOBODY], NOBODY
    )
    treasury = hand.deploy(someone, "Treasury", timelock.address)
    pool = hand.deploy(someone, "OperatorPool", timelock.address)
    known = (semaphore, announcer, timelock, treasury, pool)
    vouchers = hand.deploy(
        deployer,
        "Vouchers",
        *(contract.address for contract in known),
        300,
        200,
        [(NOBODY, SMALL), (NOBODY, MIDDLE), (NOBODY, LARGE)],
    )
    assert vouchers.address == fixture["vouchers"]
    functions = vouchers.functions

    commitments = [number(commitment) for commitment in fixture["commitments"]]
    for commitment in commitments[:3]:
        hand.send(someone, functions.deposit(0, commitment), SMALL)
    hand.send(someone, functions.deposit(1, commitments[3]), MIDDLE)

    # real proofs, and what is wrong with others
    relayed = fixture["relayed"]
    fields, proofs = redemption(relayed), spends(relayed)
    thief = (STRANGER, *fields[1:])
    wrong = hand.refused(functions.redeem(thief, proofs))
    assert wrong.startswith(selector("VouchersInvalidProof(uint256)"))
    hand.send(someone, functions.redeem(fields, proofs))
    net = SMALL - fields[6]
    assert hand.note("payee", hand.web3.eth.get_balance(fields[0])) == net * 95 // 100
    again = hand.refused(functions.redeem(fields, proofs))
    assert again.startswith(selector("VouchersSpent(uint256,uint256)"))
    twice = fixture["twice"]
    both = hand.refused(functions.redeem(redemption(twice), spends(twice)))
    assert both.startswith(selector("VouchersSpent(uint256,uint256)"))
    groups = [number(group) for group in relayed["groups"]]
    nullifiers = [number(nullifier) for nullifier in relayed["nullifiers"]]
    record = hand.note("record", functions.recordOf(fields, groups, nullifiers).call())
    assert tuple(record) == (SMALL, fields[6], fields[0], fields[4])

    # 80/15/5 is beyond the caps, 94/4/2 is not; vouchers bought before stay at 95/3/2
    change(hand, someone, timelock, vouchers, (400, 200))
    data = vouchers.encode_abi("setShares", [1500, 500])
    schedule(hand, someone, timelock, vouchers, data)
    capped = hand.refused(
        timelock.functions.execute(vouchers.address, 0, data, b"\0" * 32, b"\0" * 32)
    )
    assert capped.startswith(selector("VouchersShareTooHigh(uint256,uint256)"))
    direct = hand.refused(functions.setShares(300, 200))
    assert direct.startswith(selector("VouchersUnauthorized(address)"))
    before = functions.accrued().call()
    pair = fixture["pair"]
    hand.send(someone, functions.redeem(redemption(pair), spends(pair)))
    after = hand.note("accrued", functions.accrued().call())
    gross = SMALL + MIDDLE
    assert [after[i] - before[i] for i in (0, 1)] == [gross * 3 // 100, gross * 2 // 100]
    assert hand.note("group", functions.groupOf(functions.currentGroup(0).call()).call())[1] == 400
    hand.send(someone, functions.collect())
    assert hand.web3.eth.get_balance(treasury.address) == after[0]
    assert hand.web3.eth.get_balance(vouchers.address) == SMALL  # the third is unspent


def schedule(hand: Hand, account: Any, timelock: Any, target: Any, data: str) -> None:
    """Propose to the timelock, and wait."""
    zero = b"\0" * 32
    call = timelock.functions.schedule(target.address, 0, data, zero, zero, DELAY)
    hand.send(account, call)
    hand.wait(DELAY + 3600)  # blocks made in a hurry run ahead of the clock


def change(hand: Hand, account: Any, timelock: Any, target: Any, shares: tuple[int, int]) -> None:
    """Change the shares through the timelock."""
    data = target.encode_abi("setShares", list(shares))
    schedule(hand, account, timelock, target, data)
    zero = b"\0" * 32
    hand.send(account, timelock.functions.execute(target.address, 0, data, zero, zero))


@pytest.fixture(scope="module")
def transcripts(
    tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Any]]:
    """What happened on each of the two chains."""
    found: dict[str, list[Any]] = {}
    with embedded(tmp_path_factory.mktemp("embedded")) as web3:
        hand = Hand(web3, "bits_fund")
        live(hand)
        found["embedded"] = hand.transcript
    with anvil(tmp_path_factory.mktemp("anvil"), tools["PATH"]) as web3:
        hand = Hand(web3, "anvil_setBalance")
        live(hand)
        found["anvil"] = hand.transcript
    return found


def test_both_chains_give_the_same_results(transcripts: dict[str, list[Any]]) -> None:
    """Addresses, gas, logs, states and errors are the same on the embedded chain and on anvil."""
    for ours, theirs in zip(transcripts["embedded"], transcripts["anvil"], strict=True):
        assert ours == theirs
