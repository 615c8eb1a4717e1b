"""What the client knows of our contracts: their interfaces, as the artifacts give them."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from eth_hash.auto import keccak

import contracts
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.standing import checksummed

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")


@cache
def interface(name: str) -> list[Any]:
    """The ABI of a contract, as JSON."""
    return list(contracts.load(name).abi)


def first_topics(deployment: Deployment) -> tuple[bytes, ...]:
    """The first topics, 32 bytes each, of all events of a deployment's contracts."""
    found = {
        event_topic(entry)
        for name in deployment.contracts
        for entry in interface(name)
        if entry["type"] == "event"
    }
    return tuple(sorted(found))


def for_web3(args: Sequence[Any]) -> list[Any]:
    """Arguments with every lower-case address checksummed: web3 takes no others."""
    return [
        checksummed(arg) if isinstance(arg, str) and _ADDRESS.fullmatch(arg) else arg
        for arg in args
    ]


def event_topic(entry: dict[str, Any]) -> bytes:
    """The first topic of an event: the hash of its signature (ABI specification)."""
    types = ",".join(_type(each) for each in entry["inputs"])
    return bytes(keccak(f"{entry['name']}({types})".encode()))


def _type(parameter: dict[str, Any]) -> str:
    name = str(parameter["type"])
    if not name.startswith("tuple"):
        return name
    inner: Sequence[dict[str, Any]] = parameter["components"]
    return f"({','.join(_type(each) for each in inner)}){name.removeprefix('tuple')}"
