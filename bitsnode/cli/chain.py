"""``bitsnode chain``: a chain of one's own in the foreground, and what its owner can do with it."""

import json
from pathlib import Path
from typing import Any

import click

from bitsnode.cli.amount import wei_of
from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.ipc import ChainAnswered, ask_chain
from bitsnode.errors import BitsError


def dir_option(function: click.decorators.FC) -> click.decorators.FC:
    """Add ``--dir``."""
    return click.option(
        "--dir",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the chain.  [default: HOME/chain]",
    )(function)


@click.group(invoke_without_command=True)
@dir_option
@click.option("--onion", is_flag=True, help="Publish its RPC as an onion service.")
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
@json_option
@click.pass_context
def command(
    ctx: click.Context, directory: Path | None, onion: bool, until_stdin_ends: bool
) -> None:
    """Run a chain of your own in the foreground, with the contracts of bits on it.

    Its money is worth nothing. Wallets and tools of this machine use its unix socket; with --onion
    nodes reach it through Tor.
    """
    if ctx.invoked_subcommand is not None:
        return
    from bitsnode.cli.run_chain import run

    run(ctx.obj, _directory(ctx.obj, directory), onion, until_stdin_ends)


@command.command()
@click.argument("address")
@click.argument("amount")
@dir_option
@json_option
@click.pass_obj
def fund(line: CommandLine, address: str, amount: str, directory: Path | None) -> None:
    """Give AMOUNT coins of the running chain's faucet to ADDRESS."""
    try:
        wei = wei_of(amount)
        done = ask_chain(_directory(line, directory), "bits_fund", [address, hex(wei)])
    except (BitsError, ChainAnswered) as error:
        line.fail(error)
    line.emit({"transaction": done, "wei": wei}, f"{amount} coins were sent to {address}.")


@command.command()
@dir_option
@json_option
@click.pass_obj
def status(line: CommandLine, directory: Path | None) -> None:
    """Show the running chain and where the contracts are."""
    where = _directory(line, directory)
    try:
        found = describe(where)
    except (BitsError, ChainAnswered) as error:
        line.fail(error)
    line.emit(found, as_text(found))


def describe(directory: Path) -> dict[str, Any]:
    """Return what a running chain says of itself.

    Raises:
        BitsError: it does not run.
        ChainAnswered: it refused.
    """
    found: dict[str, Any] = {
        "chain_id": int(ask_chain(directory, "eth_chainId", []), 16),
        "height": int(ask_chain(directory, "eth_blockNumber", []), 16),
        "socket": str(directory / "chain.sock"),
    }
    for name in ("deployment.json", "public.json"):
        try:
            told = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if name == "deployment.json":
            found["deployment"] = str(directory / name)
            found["contracts"] = {
                contract: where["address"] for contract, where in told["contracts"].items()
            }
        else:
            found["rpc"] = told["rpc"]
    return found


def as_text(found: dict[str, Any]) -> str:
    """Return a chain's description for a person."""
    if "height" not in found:
        return "The chain does not run."
    lines = [f"chain {found['chain_id']}, height {found['height']}", f"  RPC  {found['socket']}"]
    if "rpc" in found:
        lines.append(f"  RPC  {found['rpc']} (through Tor)")
    lines += [f"  {name:<20} {where}" for name, where in found.get("contracts", {}).items()]
    return "\n".join(lines)


def _directory(line: CommandLine, directory: Path | None) -> Path:
    return (directory or line.home / "chain").absolute()
