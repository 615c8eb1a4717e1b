"""Where the contracts of bits stand on one chain: the file that `bin/deploy` writes."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs

from bitsnode.errors import BitsError

DEPLOYMENT_VERSION: Final = 2  # 1 knew no InvoiceFactory
MAX_DEPLOYMENT_FILE: Final = 1 << 16  # bytes
CONTRACTS: Final = (
    "ERC5564Announcer",
    "ERC6538Registry",
    "InvoiceFactory",
    "OperatorPool",
    "PoseidonT3",
    "Semaphore",
    "SemaphoreVerifier",
    "TimelockController",
    "Treasury",
    "Vouchers",
)
MAX_BLOCK: Final = 1 << 63
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH: Final = re.compile(r"0x[0-9a-f]{64}")


class DeploymentUnreadable(BitsError):
    """The deployment file cannot be read."""


class DeploymentDamaged(BitsError):
    """The deployment file is damaged; get it again from where it came from."""


class DeploymentTooNew(BitsError):
    """The deployment file was written by a newer bits; use that version."""


class DeploymentTooOld(BitsError):
    """The deployment file is of an older bits; run bin/deploy again: it adds what is missing."""


class ForeignDeployment(BitsError):
    """The contracts on the chain are not those of the deployment file."""


@attrs.frozen
class Deployed:
    """One contract on a chain.

    Attributes:
        address: 20 bytes in hex with 0x, checksummed as in EIP-55.
        block: in which it was created, or the first in which it was seen.
        code_hash: keccak256 of its code, 32 bytes in hex with 0x.
    """

    address: str
    block: int
    code_hash: str


def _read_only(contracts: Mapping[str, Deployed]) -> Mapping[str, Deployed]:
    return MappingProxyType(dict(contracts))


@attrs.frozen
class Deployment:
    """The contracts of bits on one chain.

    Attributes:
        chain_id: as in EIP-155.
        contracts: by the names of `CONTRACTS`.
    """

    chain_id: int
    contracts: Mapping[str, Deployed] = attrs.field(converter=_read_only)

    @property
    def start_block(self) -> int:
        """The block before which no contract has logs."""
        return min(contract.block for contract in self.contracts.values())

    def address(self, name: str) -> str:
        """Return where the contract of that name stands."""
        return self.contracts[name].address

    @classmethod
    def load(cls, path: Path) -> "Deployment":
        """Read a deployment file.

        Raises:
            DeploymentUnreadable: it cannot be opened.
            DeploymentDamaged: it is not one.
            DeploymentTooNew: it has a later version.
            DeploymentTooOld: it has an earlier one.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_DEPLOYMENT_FILE + 1)
        except OSError as error:
            raise DeploymentUnreadable(
                f"The deployment file {path} cannot be read: {error.strerror}."
            ) from error
        return cls.parse(data)

    @classmethod
    def parse(cls, data: bytes) -> "Deployment":
        """Return the deployment that a file's bytes, at most `MAX_DEPLOYMENT_FILE`, say.

        Raises:
            DeploymentDamaged: it is not one.
            DeploymentTooNew: it has a later version.
            DeploymentTooOld: it has an earlier one.
        """
        if len(data) > MAX_DEPLOYMENT_FILE:
            raise DeploymentDamaged
        try:
            found = json.loads(data)
            version = _integer(found["version"], 1 << 16)
            if version > DEPLOYMENT_VERSION:
                raise DeploymentTooNew
            if version < DEPLOYMENT_VERSION:
                raise DeploymentTooOld
            contracts = {name: _deployed(found["contracts"][name]) for name in CONTRACTS}
            return cls(_integer(found["chain_id"], 1 << 64), contracts)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DeploymentDamaged from error

    def dump(self) -> bytes:
        """Return the bytes of the file, the same for the same deployment."""
        contracts = {name: attrs.asdict(self.contracts[name]) for name in sorted(self.contracts)}
        found = {
            "version": DEPLOYMENT_VERSION,
            "chain_id": self.chain_id,
            "contracts": contracts,
        }
        return json.dumps(found, indent=2).encode() + b"\n"

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; one that says the same is left as it is."""
        data = self.dump()
        try:
            if path.read_bytes() == data:
                return
        except FileNotFoundError:
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def _integer(value: Any, limit: int) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError("not such a number")
    return value


def _deployed(value: Any) -> Deployed:
    address, code_hash = value["address"], value["code_hash"]
    if not _ADDRESS.fullmatch(address) or not _HASH.fullmatch(code_hash):
        raise ValueError("not an address or not a hash")
    return Deployed(address, _integer(value["block"], MAX_BLOCK), code_hash)
