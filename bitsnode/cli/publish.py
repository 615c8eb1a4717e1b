"""``bitsnode publish``: encrypt a file and spread it over the nodes."""

from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import BadAmount, coins, wei_of
from bitsnode.cli.client import call
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import run_command
from bitsnode.cli.shop import item_arguments, show_added
from bitsnode.errors import BitsError


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--free", is_flag=True, help="For everyone who has the link, without payment.")
@click.option("--price", metavar="COINS", help="For everyone who pays; one of the denominations.")
@click.option("--title", help="What it is called in your shop.  [default: the file's name]")
@click.option("--tags", metavar="TAG,TAG", help="Words to find it by in your shop.")
@click.option("--no-shop", is_flag=True, help="Leave your shop out of it.")
@json_option
@click.pass_obj
def command(
    line: CommandLine,
    path: Path,
    free: bool,
    price: str | None,
    title: str | None,
    tags: str | None,
    no_shop: bool,
) -> None:
    """Encrypt the file PATH and spread it over the nodes, for free or for a price.

    For free: prints its link. Who has the link can read the content and pass the link on.

    For a price: its key is split among nodes that give it to whoever has paid, and the content's
    name is printed, which is no secret. You need a wallet; what is paid is found by 'bitsnode
    earnings'. If this node has a shop, it is put there, too, as 'bitsnode shop add' does.
    """
    if free == (price is not None):
        raise click.UsageError("Give either --free or --price COINS.")
    if (title or tags) and (free or no_shop):
        raise click.UsageError("--title and --tags are for what is sold in your shop.")
    arguments: dict[str, object] = {"path": str(path.absolute())}
    if price is None:
        run_command(line, "publish", arguments, _show)
        return
    if no_shop or not _has_shop(line):
        if title or tags:
            line.fail("This node has no shop to put it in: leave out --title and --tags.")
        try:
            arguments["price"] = wei_of(price)
        except BadAmount as error:
            line.fail(error)
        run_command(line, "sell", arguments, _show_sale)
    else:
        described = {"title": title or path.name, "price": price, "tags": tags, "description": None}
        item = item_arguments(line, described)
        run_command(line, "shop-add", {"paths": [arguments["path"]], **item}, show_added)


def _has_shop(line: CommandLine) -> bool:
    """Whether the node has a shop; if it does not answer, the command itself will say so."""
    try:
        return bool(call(line.home, "status")["shop_onion"])
    except BitsError:
        return False


def _show(result: dict[str, Any]) -> str:
    return (
        f"{result['link']}\n\n"
        f"{_spread(result)}"
        "Keep the link: whoever has it can read the content, and without it nobody can."
    )


def _spread(result: dict[str, Any]) -> str:
    k, nodes = (int(part) for part in result["code"].split("/"))
    enough = "any one of them is" if k == 1 else f"any {k} of them are"
    return f"{size(result['bytes'])} on {nodes} nodes: {enough} enough to read it.\n"


def _show_sale(result: dict[str, Any]) -> str:
    return (
        f"{result['content_id']}\n\n"
        f"{_spread(result)}"
        f"On sale for {coins(result['price'])} coins; any {result['threshold']} of"
        f" {result['holders']} key holders open it to who has paid.\n"
        f"Buyers say: bitsnode buy {result['content_id']}"
    )
