"""``bitsnode wallet``: the money of a node."""

import getpass
import stat
import sys
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import BadAmount, coins, wei_of
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.remote import run_command
from bitsnode.errors import BitsError


class SecretFileUnusable(BitsError):
    """The file with the secret cannot be used."""


@click.group()
def command() -> None:
    """Make a wallet, see what it holds, and send money out of it."""


def password_option(function: click.decorators.FC) -> click.decorators.FC:
    """Add ``--password-file``."""
    return click.option(
        "--password-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read the password from the first line of this file (chmod 600) and do not ask.",
    )(function)


@command.command()
@click.option("--words", type=click.Choice(["12", "24"]), default="12", show_default=True)
@password_option
@json_option
@click.pass_obj
def create(line: CommandLine, words: str, password_file: Path | None) -> None:
    """Make a wallet and print its words, once: write them down, for they are the wallet."""
    password = read_password(line, password_file, confirm=True)
    run_command(line, "wallet-create", {"password": password, "words": int(words)}, _show_created)


@command.command()
@click.option(
    "--words-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the words from the first line of this file (chmod 600) and do not ask.",
)
@password_option
@json_option
@click.pass_obj
def restore(line: CommandLine, words_file: Path | None, password_file: Path | None) -> None:
    """Bring a wallet back from its words."""
    mnemonic = read_secret(line, words_file, "The words of the wallet: ")
    password = read_password(line, password_file, confirm=True)
    arguments = {"mnemonic": mnemonic, "password": password}
    run_command(line, "wallet-restore", arguments, _show_addresses)


@command.command()
@click.option("--new", is_flag=True, help="Add an account first; asks for the password.")
@password_option
@json_option
@click.pass_obj
def address(line: CommandLine, new: bool, password_file: Path | None) -> None:
    """Print where money can be sent: the meta-address, and the public accounts."""
    arguments: dict[str, object] = {"new": new}
    if new:
        arguments["password"] = read_password(line, password_file)
    run_command(line, "wallet-address", arguments, _show_addresses)


@command.command()
@click.option("--unlock", is_flag=True, help="Ask for the password, and look for payments.")
@click.option("--find-accounts", is_flag=True, help="After a restore: find the old accounts.")
@password_option
@json_option
@click.pass_obj
def balance(
    line: CommandLine, unlock: bool, find_accounts: bool, password_file: Path | None
) -> None:
    """Show what each address holds.

    The password opens the wallet, until the node stops, for finding payments to the meta-address.
    """
    arguments: dict[str, object] = {"find": find_accounts}
    if unlock or find_accounts or password_file is not None:
        arguments["password"] = read_password(line, password_file)
    run_command(line, "wallet-balance", arguments, _show_balance)


@command.command()
@click.argument("to")
@click.argument("amount", required=False)
@click.option("--all", "everything", is_flag=True, help="Send all there is.")
@click.option("--from", "source", metavar="ADDRESS", help="The account or payment to take it from.")
@click.option(
    "--accept",
    type=click.Choice(["merge", "split"]),
    multiple=True,
    help="merge: payments may be seen to have one owner; split: a part of one may stay behind.",
)
@password_option
@json_option
@click.pass_obj
def withdraw(
    line: CommandLine,
    to: str,
    amount: str | None,
    everything: bool,
    source: str | None,
    accept: tuple[str, ...],
    password_file: Path | None,
) -> None:
    """Send AMOUNT coins, or --all, to the address TO.

    Addresses that are known to be yours in public are refused: whoever looks at the chain would
    learn who got the payments.
    """
    if everything == (amount is not None):
        raise click.UsageError("Give either an AMOUNT or --all.")
    wei = None if amount is None else _wei(line, amount)
    arguments: dict[str, object] = {"to": to, "amount": wei, "accept": list(accept)}
    if source is not None:
        arguments["source"] = source
    arguments["password"] = read_password(line, password_file)
    run_command(line, "wallet-withdraw", arguments, _show_withdrawals)


@command.command()
@click.argument("amount")
@click.option("--exact", is_flag=True, help="One voucher of just this denomination: it stands out.")
@password_option
@json_option
@click.pass_obj
def topup(line: CommandLine, amount: str, exact: bool, password_file: Path | None) -> None:
    """Buy vouchers for at most AMOUNT coins, paid by the first account.

    It buys a set that others buy too, so that nobody stands out by what they bought. Do it early:
    the time until you spend one, and the vouchers bought meanwhile, are your privacy.
    """
    arguments: dict[str, object] = {"exact" if exact else "amount": _wei(line, amount)}
    arguments["password"] = read_password(line, password_file)
    run_command(line, "wallet-topup", arguments, _show_vouchers)


@command.command()
@click.option("--find", is_flag=True, help="After a restore: find the old vouchers on the chain.")
@password_option
@json_option
@click.pass_obj
def vouchers(line: CommandLine, find: bool, password_file: Path | None) -> None:
    """List the vouchers, and among how many each of them hides."""
    arguments: dict[str, object] = {}
    if find or password_file is not None:
        arguments["password"] = read_password(line, password_file)
    run_command(line, "wallet-vouchers", arguments, _show_vouchers)


@command.command("cash-out")
@click.argument("amount")
@click.option("--accept", is_flag=True, help="Do it; without this it only says what it costs.")
@password_option
@json_option
@click.pass_obj
def cash_out(line: CommandLine, amount: str, accept: bool, password_file: Path | None) -> None:
    """Turn a voucher of AMOUNT coins back into money, at a fresh address of this wallet."""
    arguments: dict[str, object] = {"amount": _wei(line, amount), "accept": accept}
    arguments["password"] = read_password(line, password_file)
    run_command(line, "wallet-cash-out", arguments, _show_cash_out)


def _wei(line: CommandLine, amount: str) -> int:
    try:
        return wei_of(amount)
    except BadAmount as error:
        line.fail(error)


def read_password(line: CommandLine, path: Path | None, confirm: bool = False) -> str:
    """Return the password from a private file or from the person."""
    password = read_secret(line, path, "Password of the wallet: ")
    if confirm and path is None and getpass.getpass("The same again: ") != password:
        line.fail("The two passwords are not the same.")
    return password


def read_secret(line: CommandLine, path: Path | None, question: str) -> str:
    """Return a secret from a private file or from the person; never from an argument."""
    try:
        if path is not None:
            return _read_secret(path)
    except BitsError as error:
        line.fail(error)
    if not sys.stdin.isatty():
        line.fail("Nobody is there to ask for a secret: give it in a file, see --help.")
    return getpass.getpass(question)


def _read_secret(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise SecretFileUnusable(f"{path} is open to other users; run chmod 600 {path}.")
            return file.readline(4096).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SecretFileUnusable(f"{path} cannot be read: {reason}.") from error


def _show_created(result: dict[str, Any]) -> str:
    return (
        f"\n  {result['mnemonic']}\n\n"
        "Write these words down on paper and keep them: they are the wallet. Whoever has them has\n"
        "the money; without them and the password it is lost. They are not shown again.\n\n"
        + _show_addresses(result)
    )


def _show_addresses(result: dict[str, Any]) -> str:
    accounts = "\n".join(f"  {account}" for account in result["accounts"])
    return (
        f"Meta-address, for payments that nobody can link to you:\n  {result['meta_address']}\n"
        f"Public accounts, for topping up:\n{accounts}"
    )


def _show_balance(result: dict[str, Any]) -> str:
    rows = [f"{coins(result['total'])} coins in all"]
    rows += [f"  {coins(held['balance']):>24}  {held['address']}" for held in result["accounts"]]
    rows += [
        f"  {coins(held['balance']):>24}  {held['address']}  a payment, block {held['block']}"
        for held in result["payments"]
    ]
    if not result["scanned"]:
        rows.append("The wallet is locked: give --unlock to look for payments to the meta-address.")
    return "\n".join(rows)


def _show_withdrawals(result: dict[str, Any]) -> str:
    rows = [
        f"  {coins(done['amount']):>24}  from {done['source']}: {done['state']}"
        for done in result["withdrawals"]
    ]
    return "\n".join(["Sent:", *rows])


def _show_vouchers(result: dict[str, Any]) -> str:
    rows = []
    for voucher in result["vouchers"]:
        crowd = voucher.get("crowd")
        hidden = f"among {crowd['unspent'] + 1} unspent, {crowd['later']} later" if crowd else ""
        rows.append(f"  {coins(voucher['amount']):>12}  {voucher['state']:<10} {hidden}")
    if not rows:
        return "There are no vouchers; buy some with 'bitsnode wallet topup AMOUNT'."
    return "\n".join(rows)


def _show_cash_out(result: dict[str, Any]) -> str:
    if result["done"]:
        return f"{coins(result['net'])} coins are at a fresh address of this wallet."
    return (
        f"{coins(result['net'])} of {coins(result['gross'])} coins would arrive, less up to"
        f" {coins(result['gas'])} for gas. {result['reveals']}\nGive --accept to do it."
    )
