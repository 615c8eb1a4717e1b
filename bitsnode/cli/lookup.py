"""``bitsnode lookup``: who knows the records of a content, and how quickly they are found."""

import re
from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import content_name, run_command


@click.command()
@click.argument("name")
@click.option("--others", is_flag=True, help="Count only what other nodes say.")
@click.option("--no-walk", is_flag=True, help="Ask over warm links only.")
@json_option
@click.pass_obj
def command(line: CommandLine, name: str, others: bool, no_walk: bool) -> None:
    """Look up the records of NAME: a link, a content's name, or a key of 64 hex digits."""
    what = {"key": name} if re.fullmatch("[0-9a-f]{64}", name) else {"content": content_name(name)}
    run_command(line, "lookup", what | {"others": others, "walk": not no_walk}, _show)


def _show(found: dict[str, Any]) -> str:
    how = {
        "here": "here",
        "group": "over warm links",
        "handed on": "by nodes that were asked in turn",
        "walk": "by a walk",
    }[found["tier_name"]]
    if not found["records"]:
        return f"No records were found in {found['seconds']:.2f} s."
    return f"{found['records']} records were found {how} in {found['seconds']:.2f} s."
