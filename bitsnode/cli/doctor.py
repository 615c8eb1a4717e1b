"""``bitsnode doctor``: what is wrong with this machine or the running node, and what to do."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import click

from bitsnode.cli.client import NodeNotRunning, call
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.errors import BitsError

LOW_DISK = 1 << 30  # bytes


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        what: a few words.
        good: whether it is as it should be.
        text: one sentence; for what is not good it says what to do.
    """

    what: str
    good: bool
    text: str


@click.command()
@json_option
@click.pass_obj
def command(line: CommandLine) -> None:
    """Check this machine and the running node. Exits with 1 when something is wrong."""
    findings = [*_machine(line.home), *_node(line)]
    for finding in findings:
        mark = "ok " if finding.good else "BAD"
        line.emit({"event": "finding", **attrs.asdict(finding)}, f"{mark}  {finding.text}")
    good = all(finding.good for finding in findings)
    line.emit({"good": good, "findings": [attrs.asdict(finding) for finding in findings]})
    if not good:
        raise SystemExit(1)


def _machine(home: Path) -> Iterator[Finding]:
    tor = shutil.which("tor", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if tor is None:
        yield Finding("tor", False, "tor is not installed; run bin/setup or install it.")
    else:
        done = subprocess.run([tor, "--version"], capture_output=True, text=True)  # noqa: S603 -- asks the program found for its version
        yield Finding("tor", True, (done.stdout.splitlines() or ["tor"])[0])
    if not home.exists():
        yield Finding("home", True, f"The home {home} will be made when the node first runs.")
        return
    mode = stat.S_IMODE(home.stat().st_mode)
    private = not mode & 0o077
    sentence = "is private" if private else f"is open to other users: run chmod 700 {home}"
    yield Finding("home", private, f"The home {home} {sentence}.")
    for key in sorted((home / "keys").glob("*")):
        if stat.S_IMODE(key.stat().st_mode) & 0o077:
            yield Finding("keys", False, f"The key {key} is open to others: run chmod 600 {key}.")
    free = shutil.disk_usage(home).free
    yield Finding("disk", free >= LOW_DISK, f"{free / (1 << 30):.1f} GiB of disk are free.")


def _node(line: CommandLine) -> Iterator[Finding]:
    try:
        found = call(line.home, "doctor")
    except NodeNotRunning as error:
        yield Finding("node", False, str(error))
    except BitsError as error:
        yield Finding("node", False, str(error))
    else:
        for finding in found["findings"]:
            yield Finding(**finding)
