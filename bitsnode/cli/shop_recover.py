"""``bitsnode shop recover``: invoices that a backup did not know."""

from typing import Any, Final

import click

from bitsnode.cli.amount import coins
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import run_command

GAP: Final = 100
MAX_GAP: Final = 10_000
_NOT_ASKED: Final = (
    "Looked only at sweeps, which this node has already, so nobody learned anything.\n"
    "To find money that was not swept, a server must be asked for balances: --ask-servers.\n"
    "It then sees somebody ask for hundreds of addresses that are new to it, each over another\n"
    "circuit, and can guess that those with money are invoices of one shop. A server of your own\n"
    "(own_rpc) tells nobody."
)


@click.command()
@click.option("--ask-servers", "ask", is_flag=True, help="Ask servers of others for balances, too.")
@click.option("--all-fees", is_flag=True, help="Ask for every fee that an invoice may have.")
@click.option(
    "--gap",
    type=click.IntRange(1, MAX_GAP),
    default=GAP,
    show_default=True,
    help="Invoices beyond the last one found whose balances are asked for.",
)
@json_option
@click.pass_obj
def recover(line: CommandLine, ask: bool, all_fees: bool, gap: int) -> None:
    """After a restore: find invoices issued since the backup, and what was paid to them.

    They are swept and counted from then on; what they were for is lost. Looks first at sweeps that
    this node knows, then, if the servers are yours or with --ask-servers, at balances.
    """
    arguments = {"ask": ask, "all_fees": all_fees, "gap": gap}
    run_command(line, "shop-recover", arguments, _show)


def _show(done: dict[str, Any]) -> str:
    rows = [
        f"  {found['address']}  {coins(found['wei'])} coins"
        + (", swept" if found["swept"] >= found["wei"] else ", to be swept")
        + "  (content unknown)"
        for found in done["found"]
    ]
    count = len(rows)
    rows.insert(0, f"{count} invoice{'s' * (count != 1)} found" + (":" if count else "."))
    if done["balances"]:
        rows.append(f"{done['asked']} balances were asked for.")
    else:
        rows.append(_NOT_ASKED)
    return "\n".join(rows)
