"""Redemptions: the same message and call data as the contract's, and one spelling only."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

import contracts
from bitsnode.ledger.answers import Log
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.redemption import (
    MalformedRedemption,
    Redemption,
    Spend,
    message_of,
    read_redeem_data,
    redeem_data,
    scope_of,
)
from bitsnode.ledger.voucher_events import (
    GROUP_OPENED,
    MEMBER_ADDED,
    REDEEMED,
    MalformedEvent,
    read_group_opened,
    read_member_added,
    read_redeemed,
)

FIXTURE = json.loads(
    (Path(__file__).parents[2] / "contracts/test/fixtures/redemptions.json").read_text()
)


def number(text: str) -> int:
    """A hexadecimal word of the fixture."""
    return int(text, 16)


def data(text: str) -> bytes:
    """Hexadecimal bytes of the fixture."""
    return bytes.fromhex(text[2:])


def redemption(case: dict[str, Any]) -> Redemption:
    """The redemption of a case of the fixture."""
    return Redemption(
        data(case["payee"]),
        bytes([case["ephemeralKeyPrefix"]]) + data(case["ephemeralKeyX"]),
        data(case["viewTag"])[0],
        data(case["tag"]),
        data(case["relayer"]),
        number(case["fee"]),
        number(case["deadline"]),
    )


def spends(case: dict[str, Any]) -> list[Spend]:
    """Its proofs."""
    points = [number(point) for point in case["points"]]
    words = zip(case["groups"], case["nullifiers"], case["roots"], strict=True)
    return [
        Spend(number(group), number(nullifier), number(root), tuple(points[8 * at : 8 * at + 8]))
        for at, (group, nullifier, root) in enumerate(words)
    ]


@pytest.mark.parametrize("name", ["relayed", "pair", "twice"])
def test_the_message_is_the_contracts(name: str) -> None:
    """What the fixture's JS packages and Solidity sign is what is computed here."""
    case = FIXTURE[name]
    groups, nullifiers = (list(map(number, case[key])) for key in ("groups", "nullifiers"))
    found = message_of(
        FIXTURE["chainId"], FIXTURE["vouchers"], redemption(case), groups, nullifiers
    )
    assert "0x" + found.hex() == case["message"]


def test_the_scope_is_the_contracts() -> None:
    """The scope is what the contract's constructor computes."""
    assert scope_of(FIXTURE["chainId"], FIXTURE["vouchers"]) == number(FIXTURE["scope"])


def test_call_data_is_what_web3_makes_of_the_interface() -> None:
    """Call data written here equals web3's by the ABI of the contract, and is read back."""
    with tamed_imports():
        from web3 import Web3
    case = FIXTURE["pair"]
    fields, proofs = redemption(case), spends(case)
    contract = Web3().eth.contract(abi=contracts.load("Vouchers").abi)
    theirs = contract.encode_abi(
        "redeem",
        [
            (
                Web3.to_checksum_address(fields.payee),
                fields.ephemeral_public_key[0],
                fields.ephemeral_public_key[1:],
                bytes([fields.view_tag]),
                fields.tag,
                Web3.to_checksum_address(fields.relayer),
                fields.fee,
                fields.deadline,
            ),
            [(s.group, s.nullifier, s.root, list(s.points)) for s in proofs],
        ],
    )
    ours = redeem_data(fields, proofs)
    assert "0x" + ours.hex() == theirs
    assert read_redeem_data(ours) == (fields, tuple(proofs))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_changed_call_data_is_refused_or_means_something_else(at: int, change: int) -> None:
    """No byte of call data can be changed without being refused or changing a field."""
    fields, proofs = redemption(FIXTURE["pair"]), spends(FIXTURE["pair"])
    changed = bytearray(redeem_data(fields, proofs))
    changed[at % len(changed)] ^= change
    try:
        found = read_redeem_data(bytes(changed))
    except MalformedRedemption:
        return
    assert found != (fields, tuple(proofs))
    assert redeem_data(*found) == changed


@pytest.mark.parametrize("size", [0, 3, 4, 100, 324, 325, 675, 677, 4 + 320 + 9 * 352])
def test_call_data_of_a_wrong_size_is_refused(size: int) -> None:
    """Data that is cut or too long is refused."""
    with pytest.raises(MalformedRedemption):
        read_redeem_data(bytes(size))


def test_fields_out_of_range_are_refused() -> None:
    """No redemption exists that the contract would refuse for its form."""
    good = redemption(FIXTURE["relayed"])
    wrong: list[dict[str, Any]] = [
        {"payee": bytes(20)},
        {"payee": bytes(19)},
        {"ephemeral_public_key": b"\x04" + bytes(32)},
        {"view_tag": 256},
        {"tag": bytes(31)},
        {"relayer": bytes(21)},
        {"fee": 1 << 96},
        {"fee": -1},
        {"deadline": 1 << 64},
    ]
    for change in wrong:
        with pytest.raises(MalformedRedemption):
            attrs.evolve(good, **change)
    for groups, nullifiers in (([], []), ([1], []), ([1] * 9, [1] * 9)):
        with pytest.raises(MalformedRedemption):
            message_of(1, FIXTURE["vouchers"], good, groups, nullifiers)


def a_log(topics: list[bytes], body: bytes) -> Log:
    """A log with these topics and data."""
    return Log(7, bytes(32), 3, b"\x09" * 32, bytes(20), tuple(topics), body)


def word(value: int) -> bytes:
    """A number as the ABI encodes it."""
    return value.to_bytes(32, "big")


def test_events_are_read_as_the_abi_writes_them() -> None:
    """Each event's fields come out as they went in."""
    opened = read_group_opened(a_log([GROUP_OPENED, word(2), word(5)], word(300) + word(200)))
    assert (opened.denomination, opened.group) == (2, 5)
    assert (opened.treasury_share, opened.pool_share) == (300, 200)
    added = read_member_added(a_log([MEMBER_ADDED, word(5)], word(1) + word(22) + word(33)))
    assert (added.group, added.index, added.commitment, added.root) == (5, 1, 22, 33)
    body = encode(
        ["address", "uint256", "uint256", "uint256[]", "uint256[]"],
        ["0x" + "ab" * 20, 1000, 10, [1, 2], [77, 88]],
    )
    found = read_redeemed(a_log([REDEEMED, b"\x0a" * 32, b"\x0b" * 32], body))
    assert (found.message, found.tag, found.payee) == (b"\x0a" * 32, b"\x0b" * 32, b"\xab" * 20)
    assert (found.gross, found.fee, found.groups, found.nullifiers) == (1000, 10, (1, 2), (77, 88))


def test_events_of_another_form_are_refused() -> None:
    """A log with a topic too few, cut data or wrong lengths raises."""
    body = encode(
        ["address", "uint256", "uint256", "uint256[]", "uint256[]"],
        ["0x" + "ab" * 20, 1000, 10, [1, 2], [77, 88]],
    )
    topics = [REDEEMED, bytes(32), bytes(32)]
    for wrong in (body[:-1], body[:-32], body + bytes(32), b"\x01" + body[1:], body[:160], b""):
        with pytest.raises(MalformedEvent):
            read_redeemed(a_log(topics, wrong))
    moved = body[:96] + word(0) + body[128:]
    with pytest.raises(MalformedEvent):
        read_redeemed(a_log(topics, moved))
    with pytest.raises(MalformedEvent):
        read_redeemed(a_log(topics[:2], body))
    with pytest.raises(MalformedEvent):
        read_member_added(a_log([MEMBER_ADDED], bytes(96)))
    with pytest.raises(MalformedEvent):
        read_group_opened(a_log([GROUP_OPENED, word(1), word(1)], bytes(32)))
