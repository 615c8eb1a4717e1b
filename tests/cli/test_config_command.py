"""``bitsnode config``: which settings are in effect, where they come from, what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KEY = "0123456789abcdef"


def run(home: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command on a home; return its exit status and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "bitsnode", "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def shown(home: Path, *options: str, **environment: str) -> dict[str, tuple[Any, str]]:
    """Return value and source of each setting."""
    status, text = run(home, *options, "config", "show", "--json", **environment)
    assert status == 0
    rows = json.loads(text)["settings"]
    return {row["name"]: (row["value"], row["source"]) for row in rows}


def test_every_setting_says_where_it_comes_from(tmp_path: Path) -> None:
    """An option before the environment, the environment before the file, and then defaults."""
    (tmp_path / "config.toml").write_text('storage = "5MB"\nnetwork = "local"\n')
    found = shown(tmp_path, "--storage", "7MB", BITSNODE_LOCALNET="/elsewhere")
    assert found["storage"] == (7_000_000, "option")
    assert found["network"] == ("local", "file")
    assert found["localnet"] == ("/elsewhere", "environment")
    assert found["own_rpc"] == ("", "default")


def test_what_may_be_a_key_is_not_shown(tmp_path: Path) -> None:
    """Providers put keys of their customers into paths of URLs."""
    url = f"https://rpc.example/v2/{KEY}"
    (tmp_path / "config.toml").write_text(f'rpc = ["{url}"]\nown_rpc = "{url}?{KEY}"\n')
    for form in ((), ("--json",)):
        _status, text = run(tmp_path, "config", "show", *form)
        assert KEY not in text
        assert "https://rpc.example" in text
    _status, text = run(tmp_path, "--rpc", f"{KEY}@nonsense", "config", "show")
    assert KEY not in text


@pytest.mark.parametrize("text", [None, "", 'storage = "5MB"\nrelay = true\n'])
def test_good_settings_are_called_good(tmp_path: Path, text: str | None) -> None:
    """So is a home without any."""
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
    status, said = run(tmp_path, "config", "check", "--json")
    assert (status, json.loads(said)) == (0, {"good": True, "faults": []})


def test_each_fault_is_named_with_its_line(tmp_path: Path) -> None:
    """All at once, where other commands stop at the first."""
    (tmp_path / "config.toml").write_text(
        '# settings\nnetwrok = "local"\nstorage = "5XB"\n\nrelay = "yes"\n'
        'bootstrap = [\n  "nobody.onion",\n]\nrpc = ["http://192.0.2.1/"]\ntor_control = "tcp:1"\n'
    )
    status, text = run(tmp_path, "config", "check", "--json")
    assert status == 1
    faults = json.loads(text.splitlines()[-1])["faults"]
    assert [fault["line"] for fault in faults] == [2, 3, 5, 6, 9, 10]
    words = ['"netwrok"', "storage", '"relay"', "bootstrap", "rpc", "tor_control"]
    for fault, word in zip(faults, words, strict=True):
        assert word in fault["text"]
    _status, text = run(tmp_path, "config", "check")
    assert text.splitlines()[0] == 'line 2: there is no setting "netwrok".'


def test_a_file_that_is_no_toml_is_a_fault_with_a_line(tmp_path: Path) -> None:
    """The line is where the reader stopped."""
    (tmp_path / "config.toml").write_text('storage = "5MB"\nrelay = maybe\n')
    status, text = run(tmp_path, "config", "check", "--json")
    assert status == 1
    (fault,) = json.loads(text.splitlines()[-1])["faults"]
    assert fault["line"] == 2
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    assert run(tmp_path, "config", "check")[0] == 1
