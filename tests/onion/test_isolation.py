"""Isolation keys."""

import pytest

from onion.errors import IsolationError
from onion.isolation import Isolation


def test_equal_isolations_are_the_same_identity() -> None:
    """Two equal isolations may share circuits, so they are equal and hash alike."""
    assert Isolation("peer", "a") == Isolation("peer", "a")
    assert len({Isolation("peer", "a"), Isolation("peer", "a"), Isolation("probe", "a")}) == 2


def test_fresh_isolations_never_meet() -> None:
    """Each fresh isolation has SOCKS credentials of its own."""
    many = {Isolation.fresh("lookup").password for _ in range(100)}
    assert len(many) == 100


def test_credentials_fit_socks() -> None:
    """The user name carries our prefix, and both fields fit into one length byte."""
    isolation = Isolation("a" * 64, "k" * 255)
    assert isolation.username.startswith(b"bits-")
    assert len(isolation.username) <= 255
    assert len(isolation.password) == 255


@pytest.mark.parametrize(
    ("purpose", "key"),
    [
        ("", "a"),
        ("a b", "a"),
        ("A", "a"),
        ("a" * 65, "a"),
        ("a\n", "a"),
        ("a", ""),
        ("a", "k" * 256),
        ("a", "k\n"),
        ("a", "é"),
    ],
)
def test_what_does_not_fit_is_refused(purpose: str, key: str) -> None:
    """A field that SOCKS cannot carry raises, as cutting it short could merge two identities."""
    with pytest.raises(IsolationError):
        Isolation(purpose, key)


def test_the_key_stays_out_of_logs() -> None:
    """Printing an isolation shows its purpose only."""
    assert repr(Isolation("peer", "linkable")) == "Isolation(purpose='peer')"
