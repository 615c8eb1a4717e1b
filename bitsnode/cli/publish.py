"""``bitsnode publish``: encrypt a file and spread it over the nodes."""

from pathlib import Path
from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import run_command


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--free", is_flag=True, required=True, help="For everyone who has the link, without payment."
)
@json_option
@click.pass_obj
def command(line: CommandLine, path: Path, free: bool) -> None:
    """Encrypt the file PATH, spread it over the nodes, and print its link.

    Who has the link can read the content and pass the link on.
    """
    run_command(line, "publish", {"path": str(path.absolute())}, _show)


def _show(result: dict[str, Any]) -> str:
    k, nodes = int(result["code"].split("/")[0]), len(result["holders"])
    enough = "any one of them is" if k == 1 else f"any {k} of them are"
    return (
        f"{result['link']}\n\n"
        f"{size(result['bytes'])} on {nodes} nodes: {enough} enough to read it.\n"
        "Keep the link: whoever has it can read the content, and without it nobody can."
    )
