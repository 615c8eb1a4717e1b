"""``bitsnode peers``: the nodes that this node knows."""

from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import run_command


@click.command()
@click.argument("which", type=click.Choice(["all", "warm"]), default="all")
@json_option
@click.pass_obj
def command(line: CommandLine, which: str) -> None:
    """List the nodes that this node knows and has reached itself.

    "peers warm" lists those to which it keeps links open, and how quickly they answer.
    """
    if which == "warm":
        run_command(line, "warm", {}, _show_warm)
    else:
        run_command(line, "peers", {}, _show)


def _show_warm(result: dict[str, Any]) -> str:
    if not result["links"]:
        return "No warm links are open yet."
    return "\n".join(
        f"{link['onion']}  group {link['group']}/{1 << link['bits']}  {link['rtt']:.3f} s"
        for link in result["links"]
    )


def _show(result: dict[str, Any]) -> str:
    if not result["peers"]:
        return "This node knows no other nodes yet."
    return "\n".join(
        f"{peer['onion']}  {', '.join(peer['capabilities']) or 'no duties'}"
        for peer in result["peers"]
    )
