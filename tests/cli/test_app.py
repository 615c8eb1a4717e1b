"""The command line as a process: what it imports, prints and returns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BITSNODE = [sys.executable, "-m", "bitsnode"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line and wait for it."""
    return subprocess.run([*BITSNODE, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_imports_no_heavy_library(arguments: list[str]) -> None:
    """Asking for help must not pay for Twisted, nor for the libraries of the chain."""
    program = (
        "import sys\n"
        "from bitsnode.cli.app import cli\n"
        f"try: cli.main({arguments!r}, prog_name='bitsnode')\n"
        "except SystemExit: pass\n"
        "print(sorted({'twisted', 'web3', 'eth', 'txtorcon', 'cryptography'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_names_every_command() -> None:
    """The help lists commands without importing them, so its list must be the real one."""
    from bitsnode.cli.app import COMMANDS, cli

    done = run("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"  {name}  " in done.stdout
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None


def test_without_tor_it_explains_itself() -> None:
    """A person who just types the name learns that Tor is the only network there is."""
    done = run()
    assert done.returncode == 2
    assert "bits has no network but Tor" in done.stderr
    assert "bitsnode --tor" in done.stderr


def test_a_command_without_a_node_fails_with_one_sentence(tmp_path: Path) -> None:
    """A command needs a running node and says how to start one."""
    done = run("--home", str(tmp_path / "none"), "status", "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "bitsnode: No node is running on this home; start one with 'bitsnode --tor'."
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get", "bits:x", "-o", "y", "--range", "5"], "a range is two numbers"),
        (["get", "bits:x", "-o", "y", "--range", "9-5"], "comes before its last"),
        (["get", "bits:x"], "Missing option '-o'"),
        (["publish", "x"], "Give either --free or --price"),
        (["--storage", "lots", "status"], "A size is a number of bytes"),
        (["--tor", "status"], "--tor runs the node by itself"),
        (["--tor-control", "127.0.0.1:9051", "status"], "only through a unix socket"),
        (["no-such-command"], "No such command"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], words: str) -> None:
    """Usage errors say what is wrong and have an exit status of their own."""
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_bad_config_file_is_named(tmp_path: Path) -> None:
    """A misspelt setting must not be ignored: it might be the one that matters."""
    (tmp_path / "config.toml").write_text('netwrok = "public"\n')
    done = run("--home", str(tmp_path), "status")
    assert done.returncode == 2
    assert 'there is no setting "netwrok"' in done.stderr


def test_localnet_status_without_a_localnet(tmp_path: Path) -> None:
    """The status of nothing is an error with one sentence."""
    done = run("localnet", "status", "--dir", str(tmp_path / "net"))
    assert done.returncode == 1
    assert "No localnet is running here" in done.stderr


def test_doctor_json_ends_with_its_result(tmp_path: Path) -> None:
    """Doctor reports what it found line by line, and all of it in the last line."""
    done = run("--home", str(tmp_path / "none"), "doctor", "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["good"] is False  # no node is running
    assert done.returncode == 1
    assert {finding["what"] for finding in result["findings"]} >= {"tor", "home", "node"}
