"""``bitsnode localnet``: a private Tor network with nodes on this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click

from bitsnode.cli.chain import as_text, describe
from bitsnode.cli.client import call
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.ipc import ChainAnswered
from bitsnode.cli.localnet_state import (
    LocalnetNode,
    LocalnetState,
    Profile,
    StateFile,
    python_command,
)
from bitsnode.cli.remote import ProgressLine
from bitsnode.errors import BitsError

POLL = 0.1  # seconds between two looks at the supervisor's state file


class LocalnetDown(BitsError):
    """No localnet is running here; start one with 'bitsnode localnet up'."""


class SupervisorEnded(BitsError):
    """The localnet stopped while it was starting."""


@click.group()
def command() -> None:
    """Run a private Tor network with bits nodes on this machine, for trying things out."""


def dir_option(function: click.decorators.FC) -> click.decorators.FC:
    """Add ``--dir``."""
    return click.option(
        "--dir",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the localnet.",
    )(function)


def _state_file(line: CommandLine, directory: Path | None) -> StateFile:
    return StateFile((directory or line.settings.localnet).absolute())


@command.command()
@click.option("--nodes", type=click.IntRange(1, 100), help="Number of nodes.  [default: 6]")
@click.option("--browse", is_flag=True, help="Add a SOCKS proxy, for a browser.")
@click.option(
    "--profile",
    type=click.Choice(["default", "fast"]),
    default="default",
    help="Pace of its tors; 'fast' is for benchmarks.",
)
@dir_option
@json_option
@click.pass_obj
def up(
    line: CommandLine, nodes: int | None, browse: bool, profile: Profile, directory: Path | None
) -> None:
    """Start the localnet and return when every node is reachable.

    Where it runs already, nodes that were stopped are started again, and more are added if NODES
    is higher.
    """
    file = _state_file(line, directory)
    progress = ProgressLine(line)
    try:
        state = _up(
            file,
            nodes,
            browse,
            profile,
            lambda text: progress.event({"event": "localnet", "text": text}),
        )
    except BitsError as error:
        progress.end()
        line.fail(error)
    except KeyboardInterrupt:
        progress.end()
        line.fail("Stopped; 'bitsnode localnet down' ends what was started.")
    progress.end()
    homes = "\n".join(f"  {node.peer_onion}  {node.home}" for node in state.nodes)
    result = _as_json(file, state)
    proxy = f"\nProxy for a browser: {state.browse}" if state.browse else ""
    line.emit(result, f"The localnet is up:\n{homes}\n{as_text(result['chain'])}{proxy}")


def _up(
    file: StateFile,
    nodes: int | None,
    browse: bool,
    profile: Profile,
    say: Callable[[str], None],
) -> LocalnetState:
    pid = file.running_pid()
    if pid is None:
        file.write_wanted(nodes or 6, browse, profile)
        file.clear()
        with open(file.directory / "supervisor.log", "ab") as log:
            subprocess.Popen(
                [*python_command("bitsnode.cli.supervisor"), str(file.directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
    else:
        more = max(nodes or 0, file.read_wanted())
        file.write_wanted(more, browse or file.browse_wanted(), file.profile_wanted())
        file.request_revival(pid)
    return _wait_until_ready(file, say)


def _wait_until_ready(file: StateFile, say: Callable[[str], None]) -> LocalnetState:
    grace = 100  # polls until the supervisor must have shown itself
    while True:
        state = file.read()
        if state is not None:
            if state.error:
                raise SupervisorEnded(state.error)
            if state.ready and not file.revival_requested():
                return state
            say(state.text)
        if file.running_pid() is None:
            grace -= 1
            if grace == 0:
                raise SupervisorEnded(
                    f"The localnet did not start; see {file.directory / 'supervisor.log'}."
                )
        time.sleep(POLL)


@command.command()
@dir_option
@json_option
@click.pass_obj
def down(line: CommandLine, directory: Path | None) -> None:
    """Stop all nodes and the private Tor network. The nodes' homes stay."""
    file = _state_file(line, directory)
    pid = file.running_pid()
    if pid is None:
        line.emit({"dir": str(file.directory), "stopped": False}, "No localnet is running here.")
        return
    os.kill(pid, signal.SIGTERM)
    while file.running_pid() is not None:
        time.sleep(POLL)
    line.emit({"dir": str(file.directory), "stopped": True}, "The localnet is down.")


@command.command()
@dir_option
@json_option
@click.pass_obj
def status(line: CommandLine, directory: Path | None) -> None:
    """Show the nodes of the localnet."""
    file = _state_file(line, directory)
    state = file.read()
    if file.running_pid() is None or state is None:
        line.fail(LocalnetDown())
    result = _as_json(file, state)
    for node in result["nodes"]:
        try:
            found = call(Path(node["home"]), "status")
            node["state"], node["pid"] = found["state"], found["pid"]
            if found["shop_onion"]:
                node["shop_onion"] = found["shop_onion"]
        except BitsError:
            node["state"] = "stopped"
    rows = [
        f"  {node['state']:<10} {node['peer_onion']}  {node['home']}" for node in result["nodes"]
    ]
    line.emit(result, "\n".join([state.text, *rows, as_text(result["chain"])]))


def _as_json(file: StateFile, state: LocalnetState) -> dict[str, Any]:
    chain: dict[str, Any] = attrs.asdict(state.chain) if state.chain else {}
    if state.chain:
        try:
            chain |= describe(Path(state.chain.directory))
        except (BitsError, ChainAnswered):
            chain["state"] = "stopped"
    return {
        "dir": str(file.directory),
        "tor": state.tor_version,
        "nodes": [_described(node) for node in state.nodes],
        "chain": chain,
    } | ({"browse": state.browse} if state.browse else {})


def _described(node: LocalnetNode) -> dict[str, Any]:
    """Return what is known of a node; what it has not, has no key."""
    return {name: value for name, value in attrs.asdict(node).items() if value}
