"""Answers of servers, whatever they are, are read or refused with one kind of error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bitsnode.ledger import answers
from bitsnode.ledger.announcements import read_announcement
from bitsnode.ledger.answers import Log
from bitsnode.ledger.bloom import bloom_of, may_hold, surely_holds
from bitsnode.ledger.errors import RpcAnswerInvalid, RpcRefused
from bitsnode.ledger.jsonrpc import read_answer, read_batch, result

ADDRESS, TOPIC = b"\x01" * 20, b"\x02" * 32
words = st.sampled_from(
    ["0x", "0x0", "0x1", "0x00", "0x" + "11" * 20, "0x" + "22" * 32, "0x" + "33" * 256, "", "x"]
)
NAMES = """
    jsonrpc id result error code message data number hash parentHash timestamp logsBloom
    baseFeePerGas topics address blockNumber blockHash logIndex transactionHash status gasUsed
    effectiveGasPrice removed
"""
keys = st.sampled_from(NAMES.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.just("2.0") | st.floats(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=12),
    max_leaves=30,
)
# close to what is right, so that the later checks are reached
nearly = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.integers(0, 3) | values},
    optional={
        "result": values,
        "error": values | st.fixed_dictionaries({"code": values, "message": values}),
    },
)
READERS: list[Callable[[Any], Any]] = [
    answers.quantity,
    answers.data,
    answers.header,
    answers.receipt,
    lambda value: answers.logs(value, 3),
]


@given(values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """No answer makes a reader raise anything but that the answer is invalid."""
    for read in READERS:
        try:
            read(value)
        except RpcAnswerInvalid:
            continue


@example({"jsonrpc": "2.0", "id": 0, "result": None, "error": None})
@given(values | nearly | st.lists(nearly, min_size=2, max_size=2) | st.binary())
def test_any_bytes_are_an_answer_or_refused(value: Any) -> None:
    """Neither a single answer nor a batch fails in any other way."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    for read in (lambda: [read_answer(body, 1)], lambda: read_batch(body, 1, 2)):
        try:
            for answer in read():
                result(answer)
        except (RpcAnswerInvalid, RpcRefused):
            continue


def test_unhashable_numbers_in_a_batch_are_refused() -> None:
    """A batch whose answers are numbered with lists is nonsense like others."""
    body = json.dumps([{"jsonrpc": "2.0", "id": [1], "result": 1}]).encode()
    with pytest.raises(RpcAnswerInvalid):
        read_batch(body, 1, 1)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=4), st.binary(max_size=300))
def test_any_log_is_an_announcement_or_none(topics: list[bytes], data: bytes) -> None:
    """Reading an announcement never fails."""
    read_announcement(Log(1, bytes(32), 0, bytes(32), ADDRESS, tuple(topics), data))


def test_a_bloom_filter_shows_what_is_in_it() -> None:
    """What was put in is found, other things are not, and the empty filter holds nothing."""
    bloom = bloom_of([ADDRESS, TOPIC])
    assert may_hold(bloom, ADDRESS)
    assert surely_holds(bloom, ADDRESS, [TOPIC])
    assert not surely_holds(bloom, ADDRESS, [b"\x03" * 32])
    assert not surely_holds(bloom, b"\x04" * 20, [TOPIC])
    assert not may_hold(bytes(256), ADDRESS)


def test_a_full_bloom_filter_proves_nothing() -> None:
    """In a busy block everything seems to be there, so nothing is held against a server."""
    full = bytes([255]) * 256
    assert may_hold(full, ADDRESS)
    assert not surely_holds(full, ADDRESS, [TOPIC])


def test_the_bloom_filter_is_that_of_the_chain() -> None:
    """Ours equals py-evm's for the same logs."""
    from bitsnode.ledger.imports import tamed_imports

    with tamed_imports():
        from eth_bloom import BloomFilter
    theirs = BloomFilter()
    for number in range(50):
        theirs.add(bytes([number]) * 32)
    ours = bloom_of(bytes([number]) * 32 for number in range(50))
    assert int(theirs) == int.from_bytes(ours, "big")
