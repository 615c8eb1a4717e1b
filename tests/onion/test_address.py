"""The checked onion address."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onion.address import OnionAddress
from onion.errors import AddressError
from onion.keys import OnionKey

# The address of the Tor Project's own site, published on its pages.
TOR_PROJECT = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"


def _write_address(key: bytes, version: int = 3) -> str:
    tail = bytes([version])
    checksum = hashlib.sha3_256(b".onion checksum" + key + tail).digest()[:2]
    return base64.b32encode(key + checksum + tail).decode().lower()


@pytest.mark.parametrize(
    "text", [TOR_PROJECT, TOR_PROJECT.upper(), TOR_PROJECT.removesuffix(".onion")]
)
def test_reads_a_real_address(text: str) -> None:
    """An address in the wild is read in each of its usual spellings and written in one."""
    address = OnionAddress.parse(text)
    assert address.host == str(address) == TOR_PROJECT
    assert OnionAddress.from_public_key(address.public_key) == address


@given(st.binary(min_size=32, max_size=32))
def test_every_key_has_an_address_that_reads_back(seed: bytes) -> None:
    """Writing and reading an address gives the same key."""
    key = OnionKey(seed)
    assert OnionAddress.parse(key.address.host).public_key == key.public_key


@given(st.integers(min_value=0, max_value=55), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_typing_error_is_refused(index: int, letter: str) -> None:
    """One wrong character never gives another valid address."""
    label = TOR_PROJECT.removesuffix(".onion")
    typed = label[:index] + letter + label[index + 1 :]
    if typed == label:
        return
    with pytest.raises(AddressError):
        OnionAddress.parse(typed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".onion",
        "example.com",
        TOR_PROJECT + "\n",
        "www." + TOR_PROJECT,
        TOR_PROJECT + ".onion",
        "expyuzz4wqqyqhjn.onion",
        "\u0131" * 56,
        _write_address(OnionAddress.parse(TOR_PROJECT).public_key, version=4),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Names, version 2 and 4 addresses, subdomains and stray characters are not addresses."""
    with pytest.raises(AddressError):
        OnionAddress.parse(text)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_a_weak_key_is_refused(key: bytes) -> None:
    """A key of small order, or not canonical, has no address: anybody could sign for it."""
    with pytest.raises(AddressError):
        OnionAddress.from_public_key(key)
    with pytest.raises(AddressError):
        OnionAddress.parse(_write_address(key))


def test_the_error_is_one_sentence() -> None:
    """A person who mistypes an address reads one sentence."""
    with pytest.raises(AddressError) as caught:
        OnionAddress.parse("hello.onion")
    assert str(caught.value).startswith("This is not a valid v3 onion address. (")
