"""``bitsnode earnings``: what buyers have paid."""

import csv
import io
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import coins
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import run_command
from bitsnode.cli.wallet import password_option, read_password


@click.command()
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for a spreadsheet, in wei.")
@click.option("--unlock", is_flag=True, help="Ask for the password, and look for new payments.")
@password_option
@json_option
@click.pass_obj
def command(line: CommandLine, as_csv: bool, unlock: bool, password_file: Path | None) -> None:
    """Show what was paid to this wallet's meta-address, with vouchers and by invoices."""
    arguments: dict[str, object] = {}
    if unlock or password_file is not None:
        arguments["password"] = read_password(line, password_file)
    run_command(line, "earnings", arguments, _as_csv if as_csv else _show)


def _as_csv(result: dict[str, Any]) -> str:
    table = io.StringIO()
    csv.writer(table).writerows([result["header"], *result["rows"]])
    return table.getvalue().rstrip()


def _show(result: dict[str, Any]) -> str:
    net, kind = (result["header"].index(name) for name in ("net_wei", "kind"))
    rows = [f"{coins(result['net'])} coins in {len(result['rows'])} payments"]
    rows += [f"  {coins(int(row[net])):>24}  {row[kind]}, block {row[0]}" for row in result["rows"]]
    if not result["scanned"]:
        rows.append("The wallet is locked: give --unlock to look for new payments.")
    return "\n".join(rows)
