"""A compiled contract, as it lies in `artifacts/`."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

ADDRESS_SIZE = 20  # bytes
# A library's code begins with PUSH20 and its own address, so that it can refuse plain calls
# (Solidity documentation, "Call Protection For Libraries"). The compiler leaves zeros there.
_LIBRARY_START = b"\x73" + bytes(ADDRESS_SIZE) + b"\x30\x14"

Place = tuple[int, int]  # start and length, bytes


class UnknownContractError(LookupError):
    """There is no artifact of this contract."""


class NotLinkedError(ValueError):
    """The code needs the address of a library first."""


class LinkError(ValueError):
    """The code has no place for this library, or its address is not one of 20 bytes."""


@frozen
class Artifact:
    """What is needed to deploy a contract, to call it, and to recognise it on a chain.

    Attributes:
        name: The contract's name.
        source: Where it was compiled from: a path in this folder or in node_modules.
        compiler: The compiler's full version.
        abi: The JSON ABI.
        bytecode: What is sent to deploy it, without constructor arguments. Places of libraries
            are zeros; see `link`.
        deployed_bytecode: What is on the chain then; places of immutables, of libraries and of a
            library's own address are zeros; see `recognises`.
        immutable_references: Places of immutables in the deployed code.
        link_references: Places of libraries' addresses in the bytecode, by library.
        deployed_link_references: The same in the deployed code.
    """

    name: str
    source: str
    compiler: str
    abi: list[dict[str, Any]] = field(repr=False)
    bytecode: bytes = field(repr=False)
    deployed_bytecode: bytes = field(repr=False)
    immutable_references: tuple[Place, ...] = field(repr=False)
    link_references: Mapping[str, tuple[Place, ...]] = field(repr=False)
    deployed_link_references: Mapping[str, tuple[Place, ...]] = field(repr=False)

    def link(self, libraries: Mapping[str, str | bytes] | None = None) -> bytes:
        """The bytecode with the libraries' addresses in it, ready for constructor arguments.

        Args:
            libraries: Address of each library by name: 20 bytes, or 0x and 40 hexadecimal digits.

        Raises:
            NotLinkedError: The address of a library is missing.
            LinkError: An address is malformed, or the contract uses no such library.
        """
        given = dict(libraries or {})
        for library in self.link_references:
            if library not in given:
                raise NotLinkedError(f"{self.name} needs the address of {library}")
        code = bytearray(self.bytecode)
        for library, address in given.items():
            if library not in self.link_references:
                raise LinkError(f"{self.name} does not use {library}")
            for start, length in self.link_references[library]:
                code[start : start + length] = _address(address)
        return bytes(code)

    def mask(self, deployed: bytes) -> bytes:
        """Code from a chain with zeros in all the places that the compiler left open."""
        code = bytearray(deployed)
        places = list(self.immutable_references)
        for found in self.deployed_link_references.values():
            places += found
        if self.deployed_bytecode.startswith(_LIBRARY_START):
            places.append((1, ADDRESS_SIZE))
        for start, length in places:
            end = min(start + length, len(code))
            code[start:end] = bytes(max(0, end - start))
        return bytes(code)

    def recognises(self, deployed: bytes) -> bool:
        """Whether code from a chain is this contract's.

        Says nothing of the immutables and libraries in it: read those by calls, and compare.
        """
        return self.mask(deployed) == self.deployed_bytecode


def load(name: str) -> Artifact:
    """The artifact of a contract, such as `Vouchers` or `TimelockController`.

    Raises:
        UnknownContractError: There is none of this name.
    """
    if name not in names():
        raise UnknownContractError(f"there is no artifact of a contract called {name!r}")
    return _read(name)


@cache
def names() -> tuple[str, ...]:
    """Names of all contracts that there are artifacts of, sorted."""
    files = (resources.files("contracts") / "artifacts").iterdir()
    return tuple(sorted(f.name.removesuffix(".json") for f in files if f.name.endswith(".json")))


@cache
def _read(name: str) -> Artifact:
    file = resources.files("contracts") / "artifacts" / f"{name}.json"
    found = json.loads(file.read_text("utf-8"))
    return Artifact(
        name=found["name"],
        source=found["source"],
        compiler=found["compiler"],
        abi=found["abi"],
        bytecode=bytes.fromhex(found["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(found["deployedBytecode"].removeprefix("0x")),
        immutable_references=_places(found["immutableReferences"]),
        link_references=_links(found["linkReferences"]),
        deployed_link_references=_links(found["deployedLinkReferences"]),
    )


def _places(found: list[list[int]]) -> tuple[Place, ...]:
    return tuple((start, length) for start, length in found)


def _links(found: dict[str, list[list[int]]]) -> Mapping[str, tuple[Place, ...]]:
    return MappingProxyType({library: _places(places) for library, places in found.items()})


def _address(address: str | bytes) -> bytes:
    try:
        raw = bytes.fromhex(address.removeprefix("0x")) if isinstance(address, str) else address
    except ValueError as error:
        raise LinkError(f"{address!r} is not an address") from error
    if len(raw) != ADDRESS_SIZE:
        raise LinkError(f"an address has {ADDRESS_SIZE} bytes, this one {len(raw)}")
    return raw
