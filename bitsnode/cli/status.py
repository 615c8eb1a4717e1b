"""``bitsnode status``: what the running node is doing."""

from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import run_command


@click.command()
@json_option
@click.pass_obj
def command(line: CommandLine) -> None:
    """Show what the running node is doing."""
    run_command(line, "status", {}, _show)


def _show(status: dict[str, Any]) -> str:
    store = status["storage"]
    rows = {
        "state": status["state"],
        "network": status["network"],
        "peer onion": status["peer_onion"],
        **({"shop onion": status["shop_onion"]} if status["shop_onion"] else {}),
        "tor": status["tor"],
        "nodes known": status["contacts"],
        "storage": f"{size(store['used'])} of {size(store['cap'])} in {store['shares']} shares",
        "served": size(status["counters"]["served_share"]),
    }
    return "\n".join(f"{name:<12} {value}" for name, value in rows.items())
