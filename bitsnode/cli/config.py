"""``bitsnode config``: the settings in effect and where they come from; what is wrong with them."""

from pathlib import Path
from typing import Any, Final

import attrs
import click
from click.core import ParameterSource

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.config import BadSettings, Network, Settings, faults_of, set_in_file
from onion.address import OnionAddress
from onion.errors import OnionError
from onion.url import Url

URLS: Final = ("rpc", "own_rpc")  # settings whose paths may hold a customer's key


@click.group()
def command() -> None:
    """Show the settings, or check config.toml."""


@command.command()
@json_option
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print the settings that a node would start with now, and where each comes from.

    Options and the environment come first, then config.toml in the home, then defaults. A node that
    runs has those with which it was started. Paths of RPC URLs are not shown: they may hold a key.
    """
    line: CommandLine = ctx.obj
    settings, in_file = line.settings, set_in_file(line.home)
    rows = []
    for attribute in attrs.fields(Settings):
        name = attribute.name
        value = _shown(name, getattr(settings, name))
        rows.append({"name": name, "value": value, "source": _source(ctx, name, in_file)})
    line.emit({"settings": rows}, "\n".join(map(_row, rows)))


@command.command()
@json_option
@click.pass_obj
def check(line: CommandLine) -> None:
    """Say what is wrong with config.toml, a line each. Exits with 1 when something is."""
    faults = faults_of(line.home, _look_closer)
    for fault in faults:
        where = f"line {fault.line}: " if fault.line else ""
        line.emit({"event": "fault", **attrs.asdict(fault)}, f"{where}{fault.text}")
    path = line.home / "config.toml"
    good = (
        f"{path} is as it should be." if path.exists() else f"There is no {path}; none is needed."
    )
    result = {"good": not faults, "faults": [attrs.asdict(fault) for fault in faults]}
    line.emit(result, None if faults else good)
    if faults:
        raise SystemExit(1)


def _look_closer(key: str, value: Any) -> None:
    """Raise for what only a node that runs would have noticed."""
    parse = {"bootstrap": OnionAddress.parse, "rpc": Url.parse, "own_rpc": Url.parse}.get(key)
    if parse is None:
        return
    for text in value if isinstance(value, list) else [value]:
        try:
            if text:
                parse(text)
        except OnionError as error:
            raise BadSettings(str(error)) from error


def _shown(name: str, value: object) -> object:
    if name in URLS:
        return [_hidden(url) for url in value] if isinstance(value, tuple) else _hidden(str(value))
    if isinstance(value, Network):
        return value.name
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _hidden(text: str) -> str:
    """Return of a URL what may be shown."""
    if not text:
        return ""
    try:
        url = Url.parse(text)
    except OnionError:
        return "(no URL that can be used)"
    return url.origin if url.target == "/" else f"{url.origin}/…"


def _source(ctx: click.Context, name: str, in_file: frozenset[str]) -> str:
    found = ctx.find_root().get_parameter_source(name)
    if found is ParameterSource.COMMANDLINE:
        return "option"
    if found is ParameterSource.ENVIRONMENT:
        return "environment"
    return "file" if name in in_file else "default"


def _row(row: dict[str, Any]) -> str:
    value = row["value"]
    if isinstance(value, list):
        value = ", ".join(value)
    shown = "-" if value in (None, "") else str(value)
    return f"{row['name']:<12}  {shown}  ({row['source']})"
