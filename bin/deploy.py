"""What bin/deploy runs: puts the contracts on a chain, checks them, and writes where they are.

A chain on this machine, by loopback or a unix socket, is spoken to directly; any other through Tor.
"""

import json
import stat
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from eth_account import Account
from web3 import IPCProvider, Web3
from web3.exceptions import Web3Exception

from bitsnode.config import Settings
from bitsnode.errors import BitsError
from bitsnode.ledger.deploy import DENOMINATIONS, NOBODY, Terms, administrators, check, deploy
from bitsnode.ledger.deployment import Deployment, DeploymentTooOld
from bitsnode.ledger.local_key import LocalKey
from onion.errors import OnionError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEVELOPMENT_CHAINS = (31337,)  # anvil and Hardhat: money of no worth, keys known to everyone
DEVELOPMENT_PHRASE = "test test test test test test test test test test test junk"
TWO_DAYS = 2 * 24 * 3600  # seconds
TIMEOUT = 60  # seconds for one request


class DeployError(BitsError):
    """The contracts cannot be deployed."""


def connect(url: str, settings: Settings) -> Web3:
    """Return a web3 of the chain at a URL or unix socket."""
    parts = urlsplit(url)
    if url.startswith(("/", "./", "unix:")):
        return Web3(IPCProvider(url.removeprefix("unix:"), timeout=TIMEOUT))
    if parts.scheme in ("http", "https") and parts.hostname in LOOPBACK:
        from web3 import HTTPProvider

        return Web3(HTTPProvider(url, request_kwargs={"timeout": TIMEOUT}))
    from through_tor import web3_through_tor

    return web3_through_tor(url, settings, lambda text: click.echo(text, err=True))


def signer(key_file: Path | None, chain_id: int) -> LocalKey:
    """Return the account that pays."""
    if key_file is None:
        if chain_id not in DEVELOPMENT_CHAINS:
            raise DeployError("Give the key of an account that can pay with --key-file.")
        Account.enable_unaudited_hdwallet_features()
        return LocalKey(bytes(Account.from_mnemonic(DEVELOPMENT_PHRASE).key))
    try:
        mode = stat.S_IMODE(key_file.stat().st_mode)
        if mode & 0o077:
            raise DeployError(f"The key file is open to others; run chmod 600 {key_file}.")
        key = bytes.fromhex(key_file.read_text().strip().removeprefix("0x"))
    except OSError as error:
        raise DeployError(f"{key_file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DeployError(f"{key_file} holds no private key in hex.") from error
    return LocalKey(key)


def earlier(path: Path) -> Deployment | None:
    """Return what a file says, unless an older bits wrote it, whose deployments lack something."""
    try:
        return Deployment.load(path)
    except DeploymentTooOld:
        return None


def show(found: dict[str, list[str]], timelock: str, told: Any) -> None:
    """Say who administers what, and that it is the timelock alone.

    Raises:
        DeployError: somebody else does.
    """
    for name, accounts in found.items():
        told(f"  {name:<35} {', '.join(accounts)}")
    for name in ("Vouchers", "Treasury", "OperatorPool", "TimelockController"):
        if found[name] != [timelock]:
            raise DeployError(f"{name} is administered by somebody else than the timelock.")
    told("The timelock is the only admin.")


@click.command()
@click.option("--rpc-url", required=True, help="RPC server of the chain, or unix:PATH.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File (chmod 600) with the private key, in hex, of the account that pays.",
)
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--delay", default=TWO_DAYS, show_default=True, help="Seconds of the timelock.")
@click.option("--proposer", "proposers", multiple=True, help="May propose to the timelock.")
@click.option("--executor", "executors", multiple=True, help="May execute; default: everybody.")
@click.option("--denomination", "denominations", type=int, multiple=True, help="Wei of a voucher.")
@click.option("--check", "only_check", is_flag=True, help="Deploy nothing; check what is there.")
@click.option("--network", type=click.Choice(["public", "local"]), help="Tor network of the RPC.")
@click.option("--localnet", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    rpc_url: str,
    key_file: Path | None,
    path: Path | None,
    delay: int,
    proposers: tuple[str, ...],
    executors: tuple[str, ...],
    denominations: tuple[int, ...],
    only_check: bool,
    network: str | None,
    localnet: Path | None,
    as_json: bool,
) -> None:
    """Put the contracts of bits on a chain. Run again with the same choices, it changes nothing."""
    try:
        web3 = connect(rpc_url, Settings.load(network=network, localnet=localnet))
        web3.provider.global_ccip_read_enabled = False  # ERC-3668 would fetch from the clear web
        chain_id = web3.eth.chain_id
        where = path or Path("deployments") / f"{chain_id}.json"
        known = earlier(where) if where.exists() and not only_check else None
        if only_check:
            deployment = known = Deployment.load(where)
        else:
            payer = signer(key_file, chain_id)
            if not proposers and chain_id not in DEVELOPMENT_CHAINS:
                raise DeployError("Say with --proposer who may propose to the timelock.")
            terms = Terms(
                delay,
                proposers or (payer.address,),
                executors or (NOBODY,),
                denominations or DENOMINATIONS,
            )
            deployment = deploy(web3, payer, terms, known, lambda text: click.echo(text, err=True))
        check(web3, deployment)
        found = administrators(web3, deployment)
        show(
            found, deployment.address("TimelockController"), lambda text: click.echo(text, err=True)
        )
        changed = known != deployment
        deployment.save(where)
    except (BitsError, OnionError) as error:
        sys.exit(f"deploy: {error}")
    except (Web3Exception, OSError) as error:
        sys.exit(f"deploy: the RPC server at {rpc_url} did not answer as it should: {error}")
    if as_json:
        result = json.loads(deployment.dump()) | {"file": str(where), "changed": changed}
        click.echo(json.dumps(result))
    else:
        click.echo(f"{where} {'was written' if changed else 'is as it was: nothing changed'}.")


if __name__ == "__main__":
    main()
