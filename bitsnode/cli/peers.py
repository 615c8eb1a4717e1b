"""``bitsnode peers``: the nodes that this node knows."""

from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import run_command


@click.command()
@json_option
@click.pass_obj
def command(line: CommandLine) -> None:
    """List the nodes that this node knows and has reached itself."""
    run_command(line, "peers", {}, _show)


def _show(result: dict[str, Any]) -> str:
    if not result["peers"]:
        return "This node knows no other nodes yet."
    return "\n".join(
        f"{peer['onion']}  {', '.join(peer['capabilities']) or 'no duties'}"
        for peer in result["peers"]
    )
