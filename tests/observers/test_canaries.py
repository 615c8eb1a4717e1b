"""Secrets are found in every dress."""

import base64
import secrets
from pathlib import Path

import pytest

from tests.observers.canaries import leaks


@pytest.mark.parametrize("before", range(6))
def test_m1_a_secret_is_found_in_every_dress(tmp_path: Path, before: int) -> None:
    """In bytes, hex, base32 and base64, with anything before and after it."""
    secret = secrets.token_bytes(16)
    longer = secrets.token_bytes(before) + secret + secrets.token_bytes(7)
    home = tmp_path / "home"
    home.mkdir()
    for write in (bytes, base64.b32encode, base64.b64encode, base64.urlsafe_b64encode):
        (home / "file").write_bytes(b"text " + write(longer) + b" text")
        assert list(leaks([home], {"it": secret})) == ["it is in home/file"]
    (home / "file").write_text(f"x={longer.hex()}, y")
    assert list(leaks([home], {"it": secret})) == ["it is in home/file"]


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Random bytes are not taken for it."""
    (tmp_path / "file").write_bytes(secrets.token_bytes(1 << 16))
    assert list(leaks([tmp_path], {"it": secrets.token_bytes(16)})) == []
