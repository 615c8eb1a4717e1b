"""``bitsnode shop``: a shop on an onion of its own, run from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import BadAmount, coins, wei_of
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import day, size
from bitsnode.cli.remote import run_command
from bitsnode.cli.shop_recover import recover


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run a shop on its own onion address, which anyone can browse and buy from.

    Visitors need Tor Browser and any wallet. You need a running node and a wallet.
    """
    if ctx.invoked_subcommand is None:
        run_command(ctx.obj, "shop-status", {}, _show_status)


command.add_command(recover)


@command.command()
@click.option("--name", required=True, help="What the shop is called, for everyone to read.")
@click.option("--about", default="", help="A few words about it.")
@click.option("--no-tips", is_flag=True, help="Show no address for tips.")
@json_option
@click.pass_obj
def create(line: CommandLine, name: str, about: str, no_tips: bool) -> None:
    """Make a shop and open it; returns when it is reached through Tor."""
    arguments = {"name": name, "about": about, "tips": not no_tips}
    run_command(line, "shop-create", arguments, _show_created)


@command.command()
@click.option("--name", help="What the shop is called.")
@click.option("--about", help="A few words about it.")
@click.option("--tips/--no-tips", default=None, help="Show an address for tips, or none.")
@json_option
@click.pass_obj
def edit(line: CommandLine, name: str | None, about: str | None, tips: bool | None) -> None:
    """Change what the shop says of itself; what is not given stays."""
    arguments = _given(name=name, about=about, tips=tips)
    if not arguments:
        raise click.UsageError("Give what is to be changed: --name, --about, --tips or --no-tips.")
    run_command(line, "shop-edit", arguments, lambda done: f"{done['name']}: {_url(done)}")


def item_options(title_required: bool) -> Callable[[Any], Any]:
    """Add the options that describe an item."""

    def add(function: Any) -> Any:
        options = (
            click.option("--title", required=title_required, help="What it is called."),
            click.option(
                "--price",
                metavar="COINS",
                required=title_required,
                help="What it costs; one of the denominations.",
            ),
            click.option("--about", "description", help="A few words about it."),
            click.option("--tags", metavar="TAG,TAG", help="Words to find it by."),
        )
        for option in reversed(options):
            function = option(function)
        return function

    return add


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@item_options(title_required=True)
@click.option("--as-is", is_flag=True, help="Change nothing, not even metadata: a download.")
@json_option
@click.pass_obj
def add(
    line: CommandLine, /, files: tuple[Path, ...], as_is: bool, **described: str | None
) -> None:
    """Publish FILES as one item and put it on sale, in the shop and for buyers with a node.

    Several files are a set of pictures. Pictures, films and sounds lose their metadata (place,
    camera, time) before they are published; for films and sounds PyAV must be installed. Anything
    else is sold as it is.
    """
    arguments = {"paths": [str(path.absolute()) for path in files], "as_is": as_is}
    arguments |= item_arguments(line, described)
    run_command(line, "shop-add", arguments, show_added)


@command.command()
@click.argument("item_id", metavar="ITEM")
@item_options(title_required=False)
@json_option
@click.pass_obj
def change(line: CommandLine, /, item_id: str, **described: str | None) -> None:
    """Change what is said of ITEM, or its price; what is not given stays."""
    arguments = item_arguments(line, described)
    if not arguments:
        raise click.UsageError("Give what is to be changed: --title, --about, --tags or --price.")
    run_command(line, "shop-change", {"item": item_id, **arguments}, _show_item)


@command.command()
@click.argument("item_id", metavar="ITEM")
@json_option
@click.pass_obj
def withdraw(line: CommandLine, item_id: str) -> None:
    """Sell ITEM no more; who has paid for it still gets it."""
    run_command(
        line, "shop-withdraw", {"item": item_id}, lambda done: f'"{done["title"]}" is withdrawn.'
    )


@command.command("list")
@json_option
@click.pass_obj
def list_items(line: CommandLine) -> None:
    """List the items, newest first."""
    run_command(line, "shop-items", {}, _show_items)


@command.command()
@json_option
@click.pass_obj
def orders(line: CommandLine) -> None:
    """List the orders, newest first, and what was paid."""
    run_command(line, "shop-orders", {}, _show_orders)


@command.command()
@json_option
@click.pass_obj
def status(line: CommandLine) -> None:
    """Show how the shop is: its onion, its items, its orders, its disk."""
    run_command(line, "shop-status", {}, _show_status)


def item_arguments(line: CommandLine, described: dict[str, str | None]) -> dict[str, object]:
    """Return the arguments that describe an item, of its options."""
    arguments = _given(title=described["title"], description=described["description"])
    if described["price"] is not None:
        try:
            arguments["price"] = wei_of(described["price"])
        except BadAmount as error:
            line.fail(error)
    if described["tags"] is not None:
        arguments["tags"] = [tag for tag in described["tags"].split(",") if tag.strip()]
    return arguments


def show_added(done: dict[str, Any]) -> str:
    """Return what a person is told of a new item."""
    node = (
        f"Buyers with a node say: bitsnode buy {done['content_id']}"
        if done["announced"]
        else "The offer to buyers with a node follows as soon as it can be made."
    )
    return (
        f'"{done["title"]}" is in the shop for {coins(done["price"])} coins'
        f" ({size(done['bytes'])}, item {done['item']}):\n"
        f"  {done['url']}\n{node}"
    )


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _url(done: dict[str, Any]) -> str:
    return f"http://{done['shop_onion']}"


def _show_created(done: dict[str, Any]) -> str:
    tips = "" if done["tips"] else "\nIt shows no address for tips."
    return (
        f"{done['name']} is open:\n  {_url(done)}\n"
        f"Anyone can browse it with Tor Browser.{tips}\n"
        "Put something in it: bitsnode shop add FILE --title TITLE --price COINS"
    )


def _show_item(done: dict[str, Any]) -> str:
    withdrawn = "  withdrawn" if done["withdrawn"] else ""
    kind = f"{done['pictures']} pictures" if done["pictures"] > 1 else done["kind"]
    return (
        f"  {done['item']}  {coins(done['price']):>8}  {done['title']}"
        f" ({kind}, {size(done['bytes'])}){withdrawn}"
    )


def _show_items(done: dict[str, Any]) -> str:
    return "\n".join(map(_show_item, done["items"])) or "The shop is empty."


def _show_orders(done: dict[str, Any]) -> str:
    return "\n".join(map(_show_order, done["orders"])) or "Nothing was ordered yet."


def _show_order(order: dict[str, Any]) -> str:
    remarks = [
        f"{coins(order[name])} {name}"
        for name in ("pending", "missing", "over")
        if order[name] and (name != "missing" or order["received"] or order["pending"])
    ]
    remarks += [name for name in ("late", "undone") if order[name]]
    return (
        f"  {day(order['day'])}  {order['state']:<8} {coins(order['received']):>8} of"
        f" {coins(order['amount'])}  {order['title']}" + "".join(f", {each}" for each in remarks)
    )


def _show_status(done: dict[str, Any]) -> str:
    orders = ", ".join(f"{count} {state}" for state, count in done["orders"].items()) or "none"
    disk = done["disk"]
    rows = [
        f"{done['name']}: {_url(done)}",
        f"  onion   {done['state']}" + (f": {done['fault']}" if done["fault"] else ""),
        f"  tor     {done['tor'] or 'not running'}, {done['tor_bootstrap']}% of its network",
        f"  items   {done['items']} on sale, {done['withdrawn']} withdrawn",
        f"  orders  {orders}",
        f"  chain   {_polled(done['polled_seconds_ago'], done['orders'])}",
        f"  disk    {size(disk['stock'])} of contents, {size(disk['free'])} free",
    ]
    if disk["missing"]:
        rows.append(f"  {disk['missing']} contents are missing: add them again from their files")
    return "\n".join(rows)


def _polled(seconds: int | None, orders: dict[str, int]) -> str:
    if seconds is not None:
        return f"asked for payments {seconds} s ago"
    return "not asked for payments yet" if orders else "not asked: nothing was ordered"
