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
        "nodes known": f"{status['contacts']} of about {max(status['nodes'], status['contacts'])}",
        **_warm(status["warm"]),
        "storage": f"{size(store['used'])} of {size(store['cap'])} in {store['shares']} shares",
        "served": size(status["counters"]["served_share"]),
    }
    lines = [f"{name:<12} {value}" for name, value in rows.items()]
    if status["alarms"] or status["clock_hours"]:
        lines.append("Something is wrong with the network or the clock: see 'bitsnode doctor'.")
    return "\n".join(lines)


def _warm(warm: dict[str, Any] | None) -> dict[str, str]:
    if warm is None:
        return {}
    index = f"{warm['records']} records, {size(warm['bytes'])}"
    return {
        "warm links": f"{warm['links']} of {warm['wanted']}, {size(round(warm['upkeep']))}/s",
        "index": index,
    }
