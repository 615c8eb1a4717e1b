"""``bitsnode publish``: encrypt a file and spread it over the nodes."""

from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import BadAmount, coins, wei_of
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import run_command


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--free", is_flag=True, help="For everyone who has the link, without payment.")
@click.option("--price", metavar="COINS", help="For everyone who pays; one of the denominations.")
@json_option
@click.pass_obj
def command(line: CommandLine, path: Path, free: bool, price: str | None) -> None:
    """Encrypt the file PATH and spread it over the nodes, for free or for a price.

    For free: prints its link. Who has the link can read the content and pass the link on.

    For a price: its key is split among nodes that give it to whoever has paid, and the content's
    name is printed, which is no secret. You need a wallet; what is paid is found by 'bitsnode
    earnings'.
    """
    if free == (price is not None):
        raise click.UsageError("Give either --free or --price COINS.")
    arguments: dict[str, object] = {"path": str(path.absolute())}
    if price is None:
        run_command(line, "publish", arguments, _show)
        return
    try:
        arguments["price"] = wei_of(price)
    except BadAmount as error:
        line.fail(error)
    run_command(line, "sell", arguments, _show_sale)


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
