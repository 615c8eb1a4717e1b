"""``bitsnode offer``: what this node has on sale, at which price, and for how long."""

from typing import Any

import click

from bitsnode.cli.amount import BadAmount, coins, wei_of
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import day
from bitsnode.cli.remote import content_name, run_command


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List what this node has on sale, change a price, or withdraw an offer."""
    if ctx.invoked_subcommand is None:
        run_command(ctx.obj, "offers", {}, _show_all)


@command.command("list")
@json_option
@click.pass_obj
def list_offers(line: CommandLine) -> None:
    """List what this node has on sale, as does 'bitsnode offer' alone."""
    run_command(line, "offers", {}, _show_all)


@command.command()
@click.argument("content_id")
@json_option
@click.pass_obj
def withdraw(line: CommandLine, content_id: str) -> None:
    """Make no further offer for CONTENT_ID.

    What you signed can be paid until it ends, and whoever pays gets the content.
    """
    run_command(line, "offer-withdraw", {"content_id": content_name(content_id)}, _show_withdrawn)


@command.command()
@click.argument("content_id")
@click.argument("price", metavar="COINS")
@json_option
@click.pass_obj
def price(line: CommandLine, content_id: str, price: str) -> None:
    """Offer CONTENT_ID for COINS, without publishing it again.

    Its key is split anew. Buyers are shown the newest price; who kept an older offer can pay that
    until it ends.
    """
    try:
        wanted = wei_of(price)
    except BadAmount as error:
        line.fail(error)
    arguments = {"content_id": content_name(content_id), "price": wanted}
    run_command(line, "offer-price", arguments, _show_price)


def _show_all(result: dict[str, Any]) -> str:
    rows = [
        f"  {each['content_id']}  {coins(each['wanted'])}{_state(each)}"
        for each in result["offers"]
    ]
    return "\n".join(rows) or "Nothing is on sale."


def _state(sale: dict[str, Any]) -> str:
    if sale["withdrawn"]:
        return "  withdrawn"
    return "" if sale["announced"] else "  not announced yet"


def _show_withdrawn(result: dict[str, Any]) -> str:
    until = result["payable_until"]
    if not until:
        return f"{result['content_id']} is withdrawn."
    return (
        f"{result['content_id']} is withdrawn; offers made before can be paid until {day(until)}."
    )


def _show_price(result: dict[str, Any]) -> str:
    return (
        f"On sale for {coins(result['price'])} coins; any {result['threshold']} of"
        f" {result['holders']} key holders open it to who has paid.\n"
        f"Older offers can be paid until they end, the last one on {day(result['payable_until'])}."
    )
