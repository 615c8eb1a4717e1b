"""Puts the contracts of bits on a chain, and checks them; blocking, over any web3.

Every contract is created by CREATE2 (`bitsnode.ledger.create2`): its address follows from its name,
code and constructor arguments alone. So a second run finds what the first has made and changes
nothing, a run that was broken off is taken up, and nobody can put other code in the place of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from bitsnode.errors import BitsError
from bitsnode.ledger.create2 import PROXY, PROXY_CODE, create2_address, salt_of
from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment, ForeignDeployment
from contracts import load

if TYPE_CHECKING:
    from web3 import Web3

RECEIPT_SECONDS: Final = 600.0
GAS_ROOM: Final = 1.1  # above the estimate: an estimate is for the state before the block
TREASURY_SHARE: Final = 300  # of 10,000: protocol developers
POOL_SHARE: Final = 200  # of 10,000: operators; what is left is the creator's
# Usual denominations of vouchers, in wei: 0.01 to 5 coins in steps of 1, 2, 5.
DENOMINATIONS: Final = tuple(step * 10**k for k in (16, 17, 18) for step in (1, 2, 5))
NOBODY: Final = "0x0000000000000000000000000000000000000000"

Tell = Callable[[str], None]


class NoDeploymentProxy(BitsError):
    """This chain lacks the deterministic deployment proxy; have it put there first."""


class DeployerHasNoFunds(BitsError):
    """The account that deploys cannot pay for it."""


class DeploymentFailed(BitsError):
    """A contract could not be created; nothing that was made before is lost, so run this again."""


class Signer(Protocol):
    """An account that signs."""

    @property
    def address(self) -> str:
        """Checksummed."""

    def sign_transaction(self, fields: Mapping[str, Any]) -> bytes:
        """Return the signed transaction, ready to be sent."""


@attrs.frozen
class Terms:
    """What a deployment is free to choose. Nothing of it can be changed later but by the timelock.

    Attributes:
        delay: seconds between a proposal to the timelock and its execution.
        proposers: may propose to the timelock, and cancel.
        executors: may execute what is due; `NOBODY` in it means everybody.
        denominations: of vouchers, in wei.
    """

    delay: int
    proposers: tuple[str, ...]
    executors: tuple[str, ...]
    denominations: tuple[int, ...]


@attrs.frozen
class _Step:
    """One contract to create: the salt of its address, its code with arguments, its address."""

    salt: bytes
    init_code: bytes = attrs.field(repr=False)
    address: str


def plan(web3: Web3, terms: Terms) -> dict[str, _Step]:
    """Return the contracts in the order of their creation; asks nothing of the chain."""
    steps: dict[str, _Step] = {}

    def add(name: str, *arguments: Any, libraries: Sequence[str] = ()) -> str:
        artifact = load(name)
        linked = artifact.link({library: steps[library].address for library in libraries})
        contract = web3.eth.contract(abi=artifact.abi, bytecode=linked)
        data = contract.constructor(*arguments).data_in_transaction
        init_code = bytes.fromhex(str(data).removeprefix("0x"))
        steps[name] = _Step(salt_of(name), init_code, create2_address(salt_of(name), init_code))
        return steps[name].address

    add("PoseidonT3")
    verifier = add("SemaphoreVerifier")
    semaphore = add("Semaphore", verifier, libraries=["PoseidonT3"])
    announcer = add("ERC5564Announcer")
    add("ERC6538Registry")
    timelock = add(
        "TimelockController", terms.delay, list(terms.proposers), list(terms.executors), NOBODY
    )
    treasury = add("Treasury", timelock)
    pool = add("OperatorPool", timelock)
    table = [(NOBODY, amount) for amount in terms.denominations]  # asset 0: the chain's own coin
    shares = (TREASURY_SHARE, POOL_SHARE)
    vouchers = add("Vouchers", semaphore, announcer, timelock, treasury, pool, *shares, table)
    add("InvoiceFactory", vouchers)
    return steps


def deploy(
    web3: Web3,
    signer: Signer,
    terms: Terms,
    known: Deployment | None = None,
    tell: Tell = lambda _: None,
) -> Deployment:
    """Create what is missing, and return where everything stands.

    Args:
        web3: of the chain.
        signer: pays.
        terms: of the deployment.
        known: an earlier result, which saves looking for the blocks of creation.
        tell: is told each step.

    Raises:
        NoDeploymentProxy: the chain lacks the proxy.
        DeployerHasNoFunds: the account cannot pay.
        DeploymentFailed: a creation failed.
    """
    if bytes(web3.eth.get_code(_checked(PROXY))) != PROXY_CODE:
        raise NoDeploymentProxy
    contracts: dict[str, Deployed] = {}
    for name, step in plan(web3, terms).items():
        code = bytes(web3.eth.get_code(_checked(step.address)))
        if code:
            tell(f"{name} is at {step.address}.")
            block = _known_block(known, name, step.address)
            if block is None:
                block = _creation_block(web3, step.address)
        else:
            block = _create(web3, signer, name, step)
            code = bytes(web3.eth.get_code(_checked(step.address)))
            tell(f"{name} was put at {step.address}.")
        contracts[name] = Deployed(step.address, block, _hash(code))
    return Deployment(web3.eth.chain_id, contracts)


def check(web3: Web3, deployment: Deployment) -> None:
    """Check that the chain has these contracts.

    Raises:
        ForeignDeployment: it has not.
    """
    if web3.eth.chain_id != deployment.chain_id:
        raise ForeignDeployment(
            f"The deployment file is for chain {deployment.chain_id},"
            f" but this is chain {web3.eth.chain_id}."
        )
    for name in CONTRACTS:
        contract = deployment.contracts[name]
        code = bytes(web3.eth.get_code(_checked(contract.address)))
        if _hash(code) != contract.code_hash:
            raise ForeignDeployment(
                f"The chain has {'other' if code else 'no'} code at {contract.address},"
                f" where the deployment file has {name}."
            )
        if not load(name).recognises(code):
            raise ForeignDeployment(f"The code of {name} is not the one of this version of bits.")


def administrators(web3: Web3, deployment: Deployment) -> dict[str, list[str]]:
    """Return for each contract that can be administered, and for the timelock, by whom."""
    timelock = _contract(web3, deployment, "TimelockController")
    found = {
        name: [_contract(web3, deployment, name).functions.timelock().call()]
        for name in ("Vouchers", "Treasury", "OperatorPool")
    }
    roles: dict[str, bytes] = {"TimelockController": b"\0" * 32}
    for role in ("PROPOSER_ROLE", "EXECUTOR_ROLE", "CANCELLER_ROLE"):
        roles[f"TimelockController.{role}"] = timelock.functions[role]().call()
    start = deployment.contracts["TimelockController"].block
    granted = timelock.events.RoleGranted().get_logs(from_block=start)
    for name, role_id in roles.items():
        accounts = {log["args"]["account"] for log in granted if log["args"]["role"] == role_id}
        found[name] = sorted(
            account for account in accounts if timelock.functions.hasRole(role_id, account).call()
        )
    return found


def _create(web3: Web3, signer: Signer, name: str, step: _Step) -> int:
    """Create one contract; return the block."""
    from web3.exceptions import Web3Exception

    fields: dict[str, Any] = {
        "from": signer.address,
        "to": PROXY,
        "value": 0,
        "data": "0x" + (step.salt + step.init_code).hex(),
        "chainId": web3.eth.chain_id,
    }
    try:
        gas = int(web3.eth.estimate_gas(fields) * GAS_ROOM)  # type: ignore[arg-type]
        base = web3.eth.get_block("latest")["baseFeePerGas"]
        tip = web3.eth.max_priority_fee
        price = 2 * base + tip
        funds = web3.eth.get_balance(_checked(signer.address))
        if funds < gas * price:
            raise DeployerHasNoFunds(
                f"{signer.address} has {funds} wei, and creating {name} may cost {gas * price}."
            )
        del fields["from"]
        nonce = web3.eth.get_transaction_count(_checked(signer.address), "pending")
        fields |= {"gas": gas, "nonce": nonce, "type": 2}
        fields |= {"maxFeePerGas": price, "maxPriorityFeePerGas": tip}
        sent = web3.eth.send_raw_transaction(signer.sign_transaction(fields))
        receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=RECEIPT_SECONDS)
    except Web3Exception as error:
        raise DeploymentFailed(f"{name} could not be created: {error}") from error
    if receipt["status"] != 1 or not web3.eth.get_code(_checked(step.address)):
        raise DeploymentFailed(f"{name} could not be created: the transaction failed.")
    return int(receipt["blockNumber"])


def _creation_block(web3: Web3, address: str) -> int:
    """Return the block in which a contract was created, by bisection; 0 if nobody remembers."""
    from eth_typing import BlockNumber
    from web3.exceptions import Web3Exception

    low, high = 0, int(web3.eth.block_number)
    try:
        while low < high:
            middle = (low + high) // 2
            if web3.eth.get_code(_checked(address), BlockNumber(middle)):
                high = middle
            else:
                low = middle + 1
    except Web3Exception:
        return 0
    return low


def _known_block(known: Deployment | None, name: str, address: str) -> int | None:
    if known is None or known.address(name) != address:
        return None
    return known.contracts[name].block


def _contract(web3: Web3, deployment: Deployment, name: str) -> Any:
    return web3.eth.contract(address=_checked(deployment.address(name)), abi=load(name).abi)


def _hash(code: bytes) -> str:
    from eth_utils.crypto import keccak

    return "0x" + keccak(code).hex()


def _checked(address: str) -> Any:
    return address
