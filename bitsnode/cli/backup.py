"""``bitsnode backup`` and ``restore``: a home in one sealed file, and back."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import run_command
from bitsnode.cli.wallet import password_option, read_password, read_secret
from bitsnode.errors import BitsError


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@password_option
@json_option
@click.pass_obj
def backup(line: CommandLine, file: Path, password_file: Path | None) -> None:
    """Write what cannot be had again to FILE, sealed with the wallet's words.

    In it are the node's keys, what was bought and sold, key shares kept for others, and settings;
    not the shares of others' contents, nor what the chain and the network give again. The words of
    the wallet open it, and nothing else does.
    """
    arguments: dict[str, object] = {"path": str(file.absolute())}
    arguments["password"] = read_password(line, password_file)
    run_command(line, "backup", arguments, _show_backup)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--words-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the wallet's words from the first line of this file (chmod 600) and do not ask.",
)
@password_option
@json_option
@click.pass_obj
def restore(
    line: CommandLine, file: Path, words_file: Path | None, password_file: Path | None
) -> None:
    """Bring a new home (--home) back from the backup FILE; no node may run on it.

    Asks for the wallet's words, and for a new password. Either everything is there afterwards, or
    nothing.

    Never run the old home and the restored one at the same time: they are one node with one
    purse, would contradict each other before the network, and could pay twice.
    """
    # these need the libraries of the chain, which 'bitsnode --help' does not
    from bitsnode.backup.restore import check_backup
    from bitsnode.backup.restore import restore as bring_back
    from bitsnode.ledger.wallet.memory import forbid_core_dumps

    forbid_core_dumps()
    try:
        check_backup(file)
        words = read_secret(line, words_file, "The words of the wallet: ")
        password = read_password(line, password_file, confirm=True)
        now = time.time()  # noqa: TID251 -- the edge of the process
        done = bring_back(line.home, file, words, password, now)
    except BitsError as error:
        line.fail(error)
    result = {
        "home": str(line.home),
        "made_at": done.made_at,
        "files": list(done.files),
        "kept": list(done.kept),
    }
    line.emit(result, _show_restored(result))


def _show_backup(result: dict[str, Any]) -> str:
    return (
        f"{result['path']}: {size(result['bytes'])}, {len(result['files'])} files.\n"
        "The wallet's words open it: keep them elsewhere. What happens from now on is not in it, so"
        "\nmake another after you have bought or sold something."
    )


def _show_restored(result: dict[str, Any]) -> str:
    made = datetime.fromtimestamp(result["made_at"], UTC)
    rows = [f"{result['home']} is back as it was on {made:%Y-%m-%d %H:%M} UTC."]
    if result["kept"]:
        rows.append(f"Its own {' and '.join(result['kept'])} stayed as before.")
    rows += [
        "Never run another copy of this home beside it: they are one node with one purse.",
        "After 'bitsnode --tor', find on the chain what happened since:",
        "  bitsnode wallet balance --find-accounts",
        "  bitsnode wallet vouchers --find",
        "What was bought since then is not in the library; its voucher is spent.",
    ]
    return "\n".join(rows)
