"""``bitsnode buy``, ``library`` and ``offers``: the market from the command line."""

import sys
from typing import Any

import click

from bitsnode.cli.amount import coins
from bitsnode.cli.client import CommandFailed, call
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import text_of
from bitsnode.cli.remote import ProgressLine, run_command
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
def buy(line: CommandLine, content_id: str, yes: bool, own_relay: bool, password_file: Any) -> None:
    """Buy the content CONTENT_ID with a voucher.

    Nobody learns who pays: neither the chain, nor the creator, nor the nodes that hold the key.
    A purchase that was cut short goes on when you repeat the command; nothing is paid twice.
    """
    arguments: dict[str, object] = {"content_id": _id(content_id), "own_relay": own_relay}
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


@click.command()
@json_option
@click.pass_obj
def library(line: CommandLine) -> None:
    """List what was bought; 'bitsnode get CONTENT_ID -o PATH' fetches it."""
    run_command(line, "library", {}, _show_library)


@click.command()
@json_option
@click.pass_obj
def offers(line: CommandLine) -> None:
    """List what this node has on sale."""
    run_command(line, "offers", {}, _show_offers)


def _id(text: str) -> str:
    return text.removeprefix("bits:").split("#")[0]


def _show_bought(result: dict[str, Any]) -> str:
    return (
        f"Bought for {coins(result['price'])} coins, in block {result['block']}. Fetch it with:\n"
        f"  bitsnode get {result['content_id']} -o PATH"
    )


def _show_library(result: dict[str, Any]) -> str:
    rows = [f"  {each['content_id']}  {coins(each['price'])}" for each in result["bought"]]
    rows += [
        f"  {each['content_id']}  {coins(each['price'])}  under way: {each['step']}"
        for each in result["under_way"]
    ]
    return "\n".join(rows) or "Nothing was bought yet."


def _show_offers(result: dict[str, Any]) -> str:
    rows = [
        f"  {each['content_id']}  {coins(each['price'])}"
        + ("  withdrawn" if each["withdrawn"] else "")
        for each in result["offers"]
    ]
    return "\n".join(rows) or "Nothing is on sale."
