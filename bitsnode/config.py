"""The networks that a node can join, and the settings of one node."""

import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs
import platformdirs

from bitsnode.errors import BitsError

DEFAULT_STORAGE: Final = "1GB"  # a light node's share of its disk
CHAIN_PORT: Final = 80  # virtual port of a chain's RPC on an onion service
PUBLIC_CHAIN_FILE: Final = "public.json"  # in a chain's directory: what others are told of it
PEER_PORT: Final = 7  # virtual port of the peer protocol on an onion service


class UnknownNetwork(BitsError):
    """There is no such network: use --network public or --network local."""


@attrs.frozen
class Network:
    """A network and what it asks of its nodes.

    Attributes:
        name: in every card and hello, so that two networks cannot mix.
        card_bits: difficulty of the admission puzzle (about 2**bits hashes).
        record_bits: difficulty of a DHT record's puzzle.
        share_bits: difficulty per MiB of a share that nobody pays for.
        connect_seconds: how long one attempt to reach an onion may take.
        circuits: a second that a node opens at most; 0 for no limit.
    """

    name: str
    card_bits: int
    record_bits: int
    share_bits: int
    connect_seconds: float
    circuits: float


PUBLIC: Final = Network("public", 26, 16, 18, 60.0, 2.0)
LOCAL: Final = Network("local", 8, 4, 4, 10.0, 0.0)


def named_network(name: str) -> Network:
    """Return the network of that name.

    Raises:
        UnknownNetwork: neither "public" nor "local".
    """
    for found in (PUBLIC, LOCAL):
        if found.name == name:
            return found
    raise UnknownNetwork


class BadSettings(BitsError):
    """The settings cannot be used."""


class BadSize(BadSettings):
    """A size is a number of bytes with an optional unit, such as 500MB or 2GiB."""


_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}


def parse_size(text: str) -> int:
    """Return the bytes that a text such as ``1GB`` or ``512 MiB`` means.

    Raises:
        BadSize: no such size.
    """
    number = text.strip().rstrip("BbIiKkMmGgTt ")
    unit = text.strip()[len(number) :].strip().lower()
    if not number.isascii() or not number.isdigit() or len(number) > 18 or unit not in _UNITS:
        raise BadSize
    return int(number) * _UNITS[unit]


def default_home() -> Path:
    """Return the directory that holds a person's node when they name none."""
    return platformdirs.user_data_path("bits") / "node"


def default_localnet() -> Path:
    """Return the directory that holds a person's localnet when they name none."""
    return platformdirs.user_data_path("bits") / "localnet"


@attrs.frozen
class _Toml:
    """The top level of ``config.toml``."""

    path: Path
    values: dict[str, Any]

    KNOWN: ClassVar = (
        "network",
        "tor_control",
        "shop_tor_control",
        "bootstrap",
        "storage",
        "rpc",
        "own_rpc",
        "deployment",
        "relay",
        "warm_links",
    )

    @classmethod
    def read(cls, path: Path) -> "_Toml":
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            values = {}
        except (OSError, ValueError) as error:
            raise BadSettings(f"{path} cannot be read: {error}") from error
        file = cls(path, values)
        file.check()
        return file

    def check(self) -> None:
        for key in self.values:
            if key not in self.KNOWN:
                raise BadSettings(f'{self.path}: there is no setting "{key}".')

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise BadSettings(f'{self.path}: "{key}" should be a text in quotes.')
        return value

    def texts(self, key: str) -> Sequence[str]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BadSettings(f'{self.path}: "{key}" should be a list of texts in quotes.')
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise BadSettings(f'{self.path}: "{key}" should be true or false.')
        return value

    def file(self, key: str) -> Path | None:
        """Return the path of a file, which may be relative to the home."""
        value = self.text(key)
        return None if value is None else self.path.parent / Path(value).expanduser()


@attrs.frozen
class Settings:
    """What a node is told by options, the environment and ``HOME/config.toml``.

    Attributes:
        home: directory of the node, absolute.
        network: the network it joins.
        localnet: directory of the localnet, of use on the local network only.
        tor_control: path of the control socket of a tor to attach to; None to start one.
        bootstrap: onion addresses, as text, of nodes to join through.
        storage: bytes given to other people's shares.
        rpc: URLs of the chain's RPC servers, each run by somebody else.
        own_rpc: URL of the RPC server of one's own chain node; "" for none.
        deployment: file that says where the contracts of bits are on that chain.
        relay: submit payments of others for a fee; on a localnet always.
        shop_tor_control: path of the control socket of the tor that a shop attaches to; None to
            start one for it, also where the node attaches.
        warm_links: keep connections open over which records are found in under a second.
    """

    home: Path
    network: Network
    localnet: Path
    tor_control: Path | None
    bootstrap: tuple[str, ...]
    storage: int
    rpc: tuple[str, ...] = ()
    own_rpc: str = ""
    deployment: Path | None = None
    relay: bool = False
    shop_tor_control: Path | None = None
    warm_links: bool = True

    @classmethod
    def load(
        cls,
        *,
        home: Path | None = None,
        network: str | None = None,
        localnet: Path | None = None,
        tor_control: str | None = None,
        bootstrap: Sequence[str] | None = None,
        storage: str | None = None,
        rpc: Sequence[str] | None = None,
        own_rpc: str | None = None,
        deployment: Path | None = None,
        file: _Toml | None = None,
    ) -> "Settings":
        """Join options with the home's ``config.toml``, or another file; an option given wins.

        Raises:
            BadSettings: the file or a value cannot be used; the text names it.
        """
        where = (home or default_home()).absolute()
        file = file or _Toml.read(where / "config.toml")
        control = _unix_socket(tor_control or file.text("tor_control"))
        shop_control = _unix_socket(file.text("shop_tor_control"))
        if shop_control is not None and shop_control == control:
            raise BadSettings("The shop's tor must be another one than the node's.")
        chosen = named_network(network or file.text("network") or "public")
        return cls(
            home=where,
            network=chosen,
            localnet=(localnet or default_localnet()).absolute(),
            tor_control=control,
            shop_tor_control=shop_control,
            bootstrap=tuple(bootstrap or file.texts("bootstrap")),
            storage=parse_size(storage or file.text("storage") or DEFAULT_STORAGE),
            rpc=tuple(rpc or file.texts("rpc")),
            own_rpc=own_rpc or file.text("own_rpc") or "",
            deployment=deployment or file.file("deployment"),
            relay=chosen == LOCAL or file.flag("relay"),
            warm_links=file.flag("warm_links", True),
        )


def _unix_socket(text: str | None) -> Path | None:
    if text is not None and not text.startswith("unix:/"):
        raise BadSettings(
            "bits reaches tor only through a unix socket: give --tor-control unix:/PATH."
        )
    return Path(text.removeprefix("unix:")) if text else None


@attrs.frozen
class Fault:
    """What is wrong with ``config.toml``.

    Attributes:
        line: where, from 1; 0 for the whole file.
        text: one sentence.
    """

    line: int
    text: str


def set_in_file(home: Path) -> frozenset[str]:
    """Return the names of the settings that a home's ``config.toml`` has.

    Raises:
        BadSettings: it cannot be read.
    """
    return frozenset(_Toml.read(home / "config.toml").values)


def faults_of(
    home: Path, further: Callable[[str, object], None] = lambda _key, _value: None
) -> list[Fault]:
    """Return all that is wrong with a home's ``config.toml``, each setting looked at by itself.

    Args:
        home: of the node.
        further: is given each setting that may be used; raises `BadSettings` if it knows better.
    """
    path = home / "config.toml"
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        found = re.search(r"at line (\d+)", str(error))
        return [Fault(int(found[1]) if found else 0, f"The file cannot be read: {error}.")]
    faults = []
    for key, value in values.items():
        file = _Toml(path, {key: value})
        try:
            file.check()
            Settings.load(home=home, file=file)
            further(key, value)
        except BitsError as error:
            said = str(error).removeprefix(f"{path}: ")
            faults.append(Fault(_line_of(key, text), said if key in said else f"{key}: {said}"))
    return sorted(faults, key=lambda fault: fault.line)


def _line_of(key: str, text: str) -> int:
    """Return the line on which a setting begins: all of them are on the top level."""
    begins = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]|\s*\[+\s*{re.escape(key)}\b""")
    for number, line in enumerate(text.splitlines(), 1):
        if begins.match(line):
            return number
    return 0
