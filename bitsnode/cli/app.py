"""The ``bitsnode`` command: global options, and commands that are imported when they are run."""

import importlib
from pathlib import Path
from typing import Final

import click

from bitsnode import __version__
from bitsnode.cli.context import CommandLine

# name -> (module, with a click command called ``command`` or as is said behind a colon; line of
# help). The help stands here so that ``bitsnode --help`` imports no command and no Twisted.
COMMANDS: Final = {
    "backup": ("bitsnode.cli.backup:backup", "Write what cannot be had again to one sealed file."),
    "buy": ("bitsnode.cli.buy", "Buy a content with a voucher."),
    "chain": ("bitsnode.cli.chain", "Run a chain of your own, for trying things out."),
    "config": ("bitsnode.cli.config", "Show the settings, or check config.toml."),
    "doctor": ("bitsnode.cli.doctor", "Check this machine and the running node."),
    "earnings": ("bitsnode.cli.earnings", "Show what buyers have paid."),
    "get": ("bitsnode.cli.get", "Fetch a content by its link."),
    "library": ("bitsnode.cli.library", "List what was bought; cancel, or complain."),
    "localnet": ("bitsnode.cli.localnet", "Run a private Tor network with nodes."),
    "lookup": ("bitsnode.cli.lookup", "See how quickly a content's records are found."),
    "offer": ("bitsnode.cli.offer", "List what is on sale; change a price, or withdraw."),
    "open": ("bitsnode.cli.open", "Decrypt a sealed file that a shop gave you."),
    "peers": ("bitsnode.cli.peers", "List the nodes that this node knows."),
    "publish": ("bitsnode.cli.publish", "Encrypt a file and spread it over the nodes."),
    "receipt": ("bitsnode.cli.receipt", "Check what a buyer says of a purchase."),
    "restore": ("bitsnode.cli.backup:restore", "Bring a home back from a backup."),
    "shop": ("bitsnode.cli.shop", "Run a shop that anyone can browse and buy from."),
    "wallet": ("bitsnode.cli.wallet", "Make a wallet, see what it holds, send money."),
    "status": ("bitsnode.cli.status", "Show what the running node is doing."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports them on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute or "command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BITSNODE_HOME",
    help="Directory of the node.  [env: BITSNODE_HOME]",
)
@click.option("--tor", is_flag=True, help="Run the node in the foreground, through Tor.")
@click.option(
    "--network",
    type=click.Choice(["public", "local"]),
    help="The network to join; local is the running localnet.",
)
@click.option(
    "--localnet",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BITSNODE_LOCALNET",
    help="Directory of the localnet to join.  [env: BITSNODE_LOCALNET]",
)
@click.option(
    "--tor-control",
    metavar="unix:PATH",
    help="Attach to the tor with this control socket instead of starting one.",
)
@click.option(
    "--bootstrap",
    metavar="ONION",
    multiple=True,
    help="A node to join the network through; may be given several times.",
)
@click.option(
    "--storage",
    metavar="SIZE",
    help="Space for other people's shares, such as 1GB; 0 keeps none.",
)
@click.option(
    "--rpc",
    metavar="URL",
    multiple=True,
    help="RPC server of the chain, reached through Tor; give two of different operators.",
)
@click.option("--own-rpc", metavar="URL", help="RPC server of your own chain node.")
@click.option(
    "--deployment",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that says where the contracts of bits are on that chain.",
)
@click.option("--until-stdin-ends", is_flag=True, hidden=True)  # the lifeline of a supervisor
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@click.option("--verbose", is_flag=True, help="Show tracebacks and debug messages.")
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def cli(ctx: click.Context, /, tor: bool, until_stdin_ends: bool, **options: object) -> None:
    """Bits: a Tor-first privacy node.

    "bitsnode --tor" runs the node. The commands below speak to the running one.
    """
    ctx.obj = CommandLine.from_options(options)
    if ctx.invoked_subcommand != "config":  # which has more to say of bad settings
        _ = ctx.obj.settings
    if ctx.invoked_subcommand is not None:
        if tor:
            raise click.UsageError("--tor runs the node by itself; leave out the command.")
        return
    if not tor:
        raise click.UsageError(
            "bits has no network but Tor: run the node with 'bitsnode --tor'"
            " (or see 'bitsnode --help')."
        )
    from bitsnode.cli.run import run

    run(ctx.obj, until_stdin_ends)
