"""``bitsnode library``: what was bought and is being bought, and what to do about it."""

import os
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import coins
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import answer, content_name, run_command


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List what was bought; 'bitsnode get CONTENT_ID -o PATH' fetches it."""
    if ctx.invoked_subcommand is None:
        run_command(ctx.obj, "library", {}, _show)


@command.command()
@click.argument("content_id")
@json_option
@click.pass_obj
def cancel(line: CommandLine, content_id: str) -> None:
    """Give the purchase of CONTENT_ID up, as long as its payment was not sent.

    The voucher is given back: at once, or when no proof of it can be used any more.
    """
    arguments = {"content_id": content_name(content_id)}
    run_command(line, "purchase-cancel", arguments, lambda _result: "Cancelled; nothing was paid.")


@command.command()
@click.argument("content_id")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write."
)
@click.option("--text", default="", help="What you have to say, at most 1024 bytes.")
@json_option
@click.pass_obj
def receipt(line: CommandLine, content_id: str, output: Path, text: str) -> None:
    """Write a complaint about CONTENT_ID that everybody can check against the chain.

    It proves that its author paid, and, if the publisher sold a wrong key, that too. Whoever reads
    it learns which payment on the chain was for this content. It shows neither who you are, nor
    your voucher's deposit, nor what else you bought; and nobody can open the content with it.
    """
    arguments: dict[str, object] = {"content_id": content_name(content_id), "text": text}
    made = answer(line, "complain", arguments)
    try:
        # private until its author decides otherwise
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes.fromhex(made["complaint"]))
    except OSError as error:
        line.fail(f"The file {output} cannot be written: {error.strerror}.")
    line.emit({"content_id": made["content_id"], "path": str(output.absolute())}, _WRITTEN)


_WRITTEN = (
    "Written. Whoever reads this file learns which payment on the chain was for this content, so"
    " give it away only if you want that known.\n"
    "Others check it with: bitsnode receipt check FILE"
)

# the words bring vouchers and earnings back from the chain, but no purchase
_NOTHING = (
    "Nothing was bought with this home yet. What was bought with another home of this wallet is not"
    " on the chain: its receipts come back from a backup only, see 'bitsnode restore'."
)


def _show(result: dict[str, Any]) -> str:
    rows = [f"  {each['content_id']}  {coins(each['price'])}" for each in result["bought"]]
    rows += [
        f"  {each['content_id']}  {coins(each['price'])}  under way: {each['step']}"
        for each in result["under_way"]
    ]
    rows += [
        f"  {each['content_id']}  {coins(each['price'])}  paid, and its publisher sold a wrong key:"
        " see 'bitsnode library receipt'"
        for each in result["in_vain"]
    ]
    return "\n".join(rows) or _NOTHING
