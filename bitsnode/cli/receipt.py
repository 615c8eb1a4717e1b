"""``bitsnode receipt``: what others say of their purchases."""

from pathlib import Path
from typing import Any, Final

import click

from bitsnode.cli.amount import coins
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import day
from bitsnode.cli.remote import run_command

MAX_FILE: Final = 16 * 1024  # bytes


@click.group()
def command() -> None:
    """Check what a buyer says of a purchase."""


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def check(line: CommandLine, file: Path) -> None:
    """See whether the complaint in FILE was written by somebody who paid.

    The node looks its payment up among all that the chain recorded.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
    except OSError as error:
        line.fail(f"The file {file} cannot be read: {error.strerror}.")
    if len(data) > MAX_FILE:
        line.fail("This file is no complaint, or is damaged.")
    run_command(line, "complaint-check", {"complaint": data.hex()}, _show)


def _show(result: dict[str, Any]) -> str:
    rows = [
        f"Whoever wrote this paid {coins(result['price'])} coins in block {result['block']},"
        f" on {day(result['paid_at'])}, for {result['content_id']}."
    ]
    if result["fraud"]:
        rows.append("It proves that the publisher sold another key than the content's.")
    else:
        rows.append("That the payment was made is proved; what is said of it is not.")
    if not result["published"]:
        rows.append(
            "No manifest of the content was found: the offer may be a stranger's, made to speak"
            " ill of it."
        )
    if result["text"]:
        rows += [f"Written on {day(result['written'])}:", printable(result["text"])]
    return "\n".join(rows)


def printable(text: str) -> str:
    """Return a stranger's text as it may be shown on a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
