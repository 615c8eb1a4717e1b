"""Trees and proofs made in Python, on the embedded chain, on anvil, and against py_ecc."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.prover.child import Proving
from bitsnode.ledger.prover.service import CIRCUITS
from tests.contracts.chain_tools import STRANGER, Hand, anvil, embedded
from tests.contracts.test_on_chains import NOBODY, selector
from zk.circuit import Witness
from zk.field import ORDER
from zk.lean_imt import LeanIMT
from zk.proof import BASE_ORDER, SemaphoreProof
from zk.semaphore import commitment, secret_from_seed
from zk.verification_key import ALPHA, BETA, DELTA, GAMMA, INPUTS

AMOUNT = 10**15  # wei
DELAY = 2 * 86_400  # seconds
MEMBERS = 9
VECTORS = Path(__file__).parents[1] / "vectors" / "zk_semaphore.json"
SECRETS = [secret_from_seed(bytes([number]) * 64) for number in range(MEMBERS)]
REDEMPTION = (STRANGER, 2, b"\x11" * 32, b"\x22", b"\x33" * 32, NOBODY, 0, 2**40)


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Proving:
    """Circuit and proving key."""
    return Proving(CIRCUITS, tmp_path_factory.mktemp("cache"))


def made(proving: Proving, witness: Witness) -> SemaphoreProof:
    """Make a proof."""
    return witness.proves(proving.points(proving.witness(witness)))


def deployed(hand: Hand, someone: Any) -> tuple[Any, Any, Any]:
    """The contracts: vouchers, Semaphore, and its verifier."""
    poseidon = hand.deploy(someone, "PoseidonT3")
    verifier = hand.deploy(someone, "SemaphoreVerifier")
    semaphore = hand.deploy(someone, "Semaphore", verifier.address, PoseidonT3=poseidon.address)
    announcer = hand.deploy(someone, "ERC5564Announcer")
    timelock = hand.deploy(
        someone, "TimelockController", DELAY, [someone.address], [NOBODY], NOBODY
    )
    treasury = hand.deploy(someone, "Treasury", timelock.address)
    pool = hand.deploy(someone, "OperatorPool", timelock.address)
    known = (semaphore, announcer, timelock, treasury, pool)
    addresses = [contract.address for contract in known]
    table = [(NOBODY, AMOUNT)]
    return hand.deploy(someone, "Vouchers", *addresses, 300, 200, table), semaphore, verifier


def spend(group: int, proof: SemaphoreProof, **changes: Any) -> tuple[Any, ...]:
    """What the contract wants of a proof."""
    fields = {"nullifier": proof.nullifier, "root": proof.root, "points": list(proof.points)}
    fields |= changes
    return group, fields["nullifier"], fields["root"], fields["points"]


def live(hand: Hand, proving: Proving) -> None:
    """Deposits, the same tree on both sides, and redemptions good and bad."""
    someone = hand.account(b"\x07" * 32)
    vouchers, semaphore, verifier = deployed(hand, someone)
    functions = vouchers.functions
    group = functions.currentGroup(0).call()
    tree = LeanIMT()
    for secret in SECRETS:
        leaf = commitment(secret)
        hand.send(someone, functions.deposit(0, leaf), AMOUNT)
        tree.append(leaf)
        assert semaphore.functions.getMerkleTreeRoot(group).call() == tree.root()

    scope = functions.scope().call()

    def proof_of(place: int, size: int, fields: tuple[Any, ...] = REDEMPTION) -> SemaphoreProof:
        blank = Witness(SECRETS[place], tree.path(place, size), 0, scope)
        nullifier = blank.proves((1,) * 8).nullifier
        message = functions.messageOf(fields, [group], [nullifier]).call()
        return made(proving, attrs.evolve(blank, message=int.from_bytes(message, "big")))

    def refused(name: str, *spends: tuple[Any, ...], fields: Any = REDEMPTION) -> None:
        assert hand.refused(functions.redeem(fields, list(spends))).startswith(selector(name))

    # of an old root and of the last one
    first, last = proof_of(2, 5), proof_of(8, MEMBERS)
    invalid = "VouchersInvalidProof(uint256)"
    refused(invalid, spend(group, first), fields=(someone.address, *REDEMPTION[1:]))
    refused(invalid, spend(group, first, points=list(last.points)))
    refused(invalid, spend(group, first, nullifier=last.nullifier))
    refused(invalid, spend(group, first, nullifier=first.nullifier + ORDER))
    for root in (0, first.root + ORDER, tree.root(1) ^ 1):
        data = hand.refused(functions.redeem(REDEMPTION, [spend(group, first, root=root)]))
        assert not data.startswith(selector("VouchersSpent(uint256,uint256)"))
    for proof in (first, last):
        hand.send(someone, functions.redeem(REDEMPTION, [spend(group, proof)]))
        assert functions.spentBy(group, proof.nullifier).call() == proof.message.to_bytes(32, "big")
    refused("VouchersSpent(uint256,uint256)", spend(group, first))
    again = proof_of(2, MEMBERS, (STRANGER, *REDEMPTION[1:4], b"\x44" * 32, *REDEMPTION[5:]))
    assert again.nullifier == first.nullifier
    fields = (STRANGER, *REDEMPTION[1:4], b"\x44" * 32, *REDEMPTION[5:])
    refused("VouchersSpent(uint256,uint256)", spend(group, again), fields=fields)

    # proofs by snarkjs, at the verifier itself
    for line in json.loads(VECTORS.read_text())["proofs"]:
        js = line["proof"]
        proof = SemaphoreProof(
            *(int(js[name]) for name in ("merkleTreeRoot", "nullifier", "message", "scope")),
            tuple(map(int, js["points"])),
        )
        assert accepted(verifier, proof)
        assert not accepted(verifier, attrs.evolve(proof, message=proof.message ^ 1))
    assert accepted(verifier, first)
    assert not accepted(verifier, first, depth=19)


def accepted(verifier: Any, proof: SemaphoreProof, depth: int = 20) -> bool:
    """Whether SemaphoreVerifier takes a proof."""
    p = proof.points
    points = [p[0], p[1]], [[p[2], p[3]], [p[4], p[5]]], [p[6], p[7]]
    call = verifier.functions.verifyProof(*points, list(proof.public_signals()), depth)
    return bool(call.call({"gas": 5_000_000}))


def test_on_the_embedded_chain(proving: Proving, tmp_path: Path) -> None:
    """Roots are the same after each deposit; our proofs redeem; what is changed is refused."""
    with embedded(tmp_path) as web3:
        live(Hand(web3, "bits_fund"), proving)


def test_on_anvil(proving: Proving, tools: dict[str, str], tmp_path: Path) -> None:
    """All of it on another chain."""
    with anvil(tmp_path, tools["PATH"]) as web3:
        live(Hand(web3, "anvil_setBalance"), proving)


def test_by_py_ecc(proving: Proving) -> None:
    """An independent implementation in Python accepts our proof, and no other signals of it."""
    with tamed_imports():
        from py_ecc import optimized_bn128 as curve

    tree = LeanIMT()
    for secret in SECRETS:
        tree.append(commitment(secret))
    proof = made(proving, Witness(SECRETS[4], tree.path(4), 1, 2))

    def g1(x: int, y: int) -> Any:
        return curve.FQ(x), curve.FQ(y), curve.FQ(1)

    def g2(x: tuple[int, int], y: tuple[int, int]) -> Any:
        return curve.FQ2(x), curve.FQ2(y), curve.FQ2.one()

    a_x, a_y, b_x_i, b_x_r, b_y_i, b_y_r, c_x, c_y = proof.points

    def holds(signals: Any) -> bool:
        total = g1(*INPUTS[0])
        for signal, point in zip(signals, INPUTS[1:], strict=True):
            total = curve.add(total, curve.multiply(g1(*point), signal))
        pairs = [
            (g2((b_x_r, b_x_i), (b_y_r, b_y_i)), g1(a_x, BASE_ORDER - a_y)),
            (g2(*BETA), g1(*ALPHA)),
            (g2(*GAMMA), total),
            (g2(*DELTA), g1(c_x, c_y)),
        ]
        result = curve.FQ12.one()
        for twist, point in pairs:
            result *= curve.pairing(twist, point)
        return bool(result == curve.FQ12.one())

    assert holds(proof.public_signals())
    assert not holds(attrs.evolve(proof, message=2).public_signals())
