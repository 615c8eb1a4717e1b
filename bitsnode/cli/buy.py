"""``bitsnode buy``: pay for a content with a voucher."""

import sys
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import coins
from bitsnode.cli.client import CommandFailed, call
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import text_of
from bitsnode.cli.remote import ProgressLine, content_name, run_command
from bitsnode.cli.wallet import password_option, read_password
from bitsnode.errors import BitsError


@click.command()
@click.argument("content_id")
@click.option(
    "--yes", is_flag=True, help="Buy without asking; otherwise the terms are shown first."
)
@click.option(
    "--own-relay",
    is_flag=True,
    help="If no relay takes the payment, send it from your own account, which shows.",
)
@password_option
@json_option
@click.pass_obj
def command(
    line: CommandLine, content_id: str, yes: bool, own_relay: bool, password_file: Path | None
) -> None:
    """Buy the content CONTENT_ID with a voucher.

    Nobody learns who pays: neither the chain, nor the creator, nor the nodes that hold the key.
    A purchase that was cut short goes on when you repeat the command; nothing is paid twice.
    """
    arguments: dict[str, object] = {"content_id": content_name(content_id), "own_relay": own_relay}
    arguments["password"] = read_password(line, password_file)
    if not yes:
        if line.as_json or not sys.stdin.isatty():
            line.fail("Nobody is there to ask: give --yes to buy.")
        arguments["offer_hash"] = _show_terms(line, arguments)
        if not click.confirm("Buy it?"):
            line.fail("Nothing was paid.")
    run_command(line, "buy", arguments | {"yes": True}, _show_bought)


def _show_terms(line: CommandLine, arguments: dict[str, object]) -> str | None:
    """Have the node ask for the terms and stop there; return the hash of the offer."""
    terms: list[dict[str, Any]] = []
    progress = ProgressLine(line)

    def take(event: dict[str, Any]) -> None:
        progress.event(event)
        if event.get("event") == "terms":
            terms.append(event)

    try:
        call(line.home, "buy", arguments, take)
    except CommandFailed as error:
        progress.end()
        if not terms:
            line.fail(str(error), error.trace)
    except BitsError as error:
        progress.end()
        line.fail(error)
    for event in terms:
        click.echo(text_of(event))
    return terms[-1]["offer_hash"] if terms else None


def _show_bought(result: dict[str, Any]) -> str:
    return (
        f"Bought for {coins(result['price'])} coins, in block {result['block']}. Fetch it with:\n"
        f"  bitsnode get {result['content_id']} -o PATH"
    )
