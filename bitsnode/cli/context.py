"""What every command is told: where the node lives, and how to speak to the person."""

import json
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import attrs
import click

from bitsnode.config import Settings, default_home
from bitsnode.errors import BitsError


@attrs.frozen
class CommandLine:
    """The global options.

    Attributes:
        options: click's parameters by name, as they were given.
        as_json: print JSON lines for machines rather than text for people.
        verbose: show tracebacks.
    """

    options: Mapping[str, Any]
    as_json: bool
    verbose: bool

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "CommandLine":
        """Build it from click's parameters."""
        return cls(options, options["as_json"], options["verbose"])

    @cached_property
    def settings(self) -> Settings:
        """What the options, the environment and ``config.toml`` say, in this order.

        Raises:
            click.UsageError: one of them is bad; it ends the program with exit status 2.
        """
        options = self.options
        try:
            return Settings.load(
                home=options["home"],
                network=options["network"],
                localnet=options["localnet"],
                tor_control=options["tor_control"],
                bootstrap=options["bootstrap"] or None,
                storage=options["storage"],
                rpc=options["rpc"] or None,
                own_rpc=options["own_rpc"],
                deployment=options["deployment"] and options["deployment"].absolute(),
            )
        except BitsError as error:
            raise click.UsageError(str(error)) from error

    @property
    def home(self) -> Path:
        """The node's directory."""
        return Path(self.options["home"] or default_home()).absolute()

    def emit(self, value: Mapping[str, object], text: str | None = None) -> None:
        """Print one JSON line, or the text when one is given and JSON was not asked for."""
        if self.as_json:
            click.echo(json.dumps(value, separators=(",", ":")))
        elif text is not None:
            click.echo(text)

    def fail(self, error: BaseException | str, trace: str = "") -> NoReturn:
        """Print one sentence on stderr and exit with status 1."""
        if self.verbose and isinstance(error, BaseException):
            raise error
        if self.verbose and trace:
            click.echo(trace, err=True)
        click.echo(f"bitsnode: {error}", err=True)
        sys.exit(1)


def json_option(command: click.decorators.FC) -> click.decorators.FC:
    """Give a command its own ``--json``, which may also stand before it."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.obj = attrs.evolve(ctx.obj, as_json=True)

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Print JSON lines; the last one is the result.",
    )(command)
