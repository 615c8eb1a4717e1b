"""``bitsnode get``: fetch a content by its link."""

from pathlib import Path
from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import run_command


class ByteRange(click.ParamType[tuple[int, int]]):
    """``A-B``: the bytes from A to B, both included, counted from 0."""

    name = "A-B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read the text."""
        first, dash, last = str(value).partition("-")
        if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            self.fail("a range is two numbers such as 0-1023", param, ctx)
        if int(first) > int(last):
            self.fail("the first byte of a range comes before its last", param, ctx)
        return int(first), int(last)


@click.command()
@click.argument("link")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write."
)
@click.option("--range", "byte_range", type=ByteRange(), help="Fetch only the bytes A to B.")
@json_option
@click.pass_obj
def command(line: CommandLine, link: str, output: Path, byte_range: tuple[int, int] | None) -> None:
    """Fetch the content of LINK into a file. What was fetched before is not fetched again.

    Instead of a link, the name of a content that was bought will do.
    """
    name = link.removeprefix("bits:")
    if "#" in link or not name.startswith("bafy"):
        arguments = {"link": link, "output": str(output.absolute()), "range": byte_range}
        run_command(line, "get", arguments, _show)
    else:
        bought = {"content_id": name, "output": str(output.absolute())}
        run_command(line, "get-bought", bought | {"range": byte_range}, _show)


def _show(result: dict[str, Any]) -> str:
    return (
        f"{result['path']}: {size(result['bytes'])} in {result['seconds']:.1f} s"
        f" from {len(result['holders'])} nodes\nsha256 {result['sha256']}"
    )
