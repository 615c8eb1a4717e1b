"""The circuit: which files it is, that its key is the contract's, and what it proves."""

import base64
import json
import tomllib
from hashlib import sha256
from pathlib import Path

import attrs
import groth16py
import pytest

import contracts
from bitsnode.ledger.prover.child import Proving, WrongCircuit, prove
from bitsnode.ledger.prover.frames import Kind, Stage, parse_reply, request
from bitsnode.ledger.prover.service import CIRCUITS
from bitsnode.ledger.prover.witness import WitnessProgram, WitnessRefused
from tests.zk.conftest import ROOT
from zk.babyjubjub import SUBGROUP
from zk.circuit import SHA256, WASM, ZKEY, Witness
from zk.lean_imt import MAX_DEPTH, LeanIMT, MerklePath
from zk.proof import InvalidProof, MalformedProof, SemaphoreProof
from zk.semaphore import MAX_UINT256, commitment, signal_hash
from zk.verification import key_json, verify
from zk.verification_key import ALPHA, BETA, DELTA, GAMMA, INPUTS

LONGEST = MerklePath((1 << MAX_DEPTH) - 1, tuple(range(1, MAX_DEPTH + 1)))


def made(proving: Proving, witness: Witness) -> SemaphoreProof:
    """Make a proof in this process."""
    proof = witness.proves(proving.points(proving.witness(witness)))
    verify(proof)
    return proof


# Provenance


def test_files_have_their_hashes() -> None:
    """The files are those of @zk-kit/semaphore-artifacts 4.13.0, whose ceremony was verified."""
    sums = dict(
        reversed(line.split()) for line in (CIRCUITS / "SHA256SUMS").read_text().splitlines()
    )
    assert sums == SHA256
    for name, expected in SHA256.items():
        assert sha256((CIRCUITS / name).read_bytes()).hexdigest() == expected


def test_package_is_locked() -> None:
    """The lock file names exactly this package, known by its SHA-512, and nothing with it."""
    lock = json.loads((ROOT / "zk/package-lock.json").read_text())["packages"]
    package = lock.pop("node_modules/@zk-kit/semaphore-artifacts")
    assert package["version"] == "4.13.0"
    algorithm, digest = package["integrity"].split("-")
    assert (algorithm, len(base64.b64decode(digest))) == ("sha512", 64)
    assert lock.keys() == {""}


def test_wheel_has_the_files() -> None:
    """They are not in git, so the wheel has to be told."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["artifacts"] == ["zk/circuits/*.wasm", "zk/circuits/*.zkey"]


def test_verification_key_is_inside_the_proving_key() -> None:
    """What we verify with is what the ceremony's key proves for."""
    _, key = groth16py.import_zkey(str(CIRCUITS / ZKEY))
    ours, theirs = json.loads(key_json()), json.loads(key.to_json())
    assert {name: theirs[name] for name in ours} == ours


def test_verification_key_is_the_contracts() -> None:
    """The verifier on chain has our key among its constants, as its row of depth 20."""
    code = contracts.load("SemaphoreVerifier").deployed_bytecode

    def raw(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(32, "big") for number in numbers)

    for number in (*ALPHA, *BETA[0], *BETA[1], *GAMMA[0], *GAMMA[1]):
        assert raw(number).lstrip(b"\0") in code
    (x_real, x_imaginary), (y_real, y_imaginary) = DELTA
    row = raw(x_imaginary, x_real, y_imaginary, y_real, *(c for point in INPUTS for c in point))
    place = code.find(row)
    assert code.count(row) == 1
    # the rows of all depths follow one another; this is the twentieth
    solidity = ROOT / "contracts/node_modules/@semaphore-protocol/contracts/base"
    if solidity.is_dir():
        source = (solidity / "SemaphoreVerifierKeyPts.sol").read_text()
        table = bytes.fromhex("".join(part.split('"')[0] for part in source.split('hex"')[1:]))
        assert table.find(row) == (MAX_DEPTH - 1) * len(row)
        assert code.find(table) == place - (MAX_DEPTH - 1) * len(row)


def test_another_circuit_is_refused(tmp_path: Path) -> None:
    """A file that differs in one bit is not loaded, whichever it is."""
    for changed in SHA256:
        for name in SHA256:
            data = bytearray((CIRCUITS / name).read_bytes())
            data[1000] ^= name == changed
            (tmp_path / name).write_bytes(data)
        with pytest.raises(WrongCircuit):
            Proving(tmp_path, None)


# What it proves


@pytest.mark.parametrize(
    ("place", "size", "message", "scope"),
    [(0, 1, 0, 0), (0, 2, 1, MAX_UINT256), (10, 11, MAX_UINT256, 1), (3, 7, 2**255, 2**254)],
)
def test_our_proofs_verify(
    proving: Proving,
    secrets: list[int],
    group: LeanIMT,
    place: int,
    size: int,
    message: int,
    scope: int,
) -> None:
    """A member of a group of any size, earlier ones too, proves any message in any scope."""
    proof = made(proving, Witness(secrets[place], group.path(place, size), message, scope))
    assert proof.root == group.root(size)


def test_edges(proving: Proving) -> None:
    """The smallest and largest secret and a path of full depth are proved."""
    for secret in (1, SUBGROUP - 1):
        proof = made(proving, Witness(secret, LONGEST, 1, 1))
        assert proof.root == LONGEST.root(commitment(secret))


def test_two_proofs_differ(proving: Proving, secrets: list[int], group: LeanIMT) -> None:
    """Proofs are blinded: the same witness gives other points each time."""
    witness = Witness(secrets[0], group.path(0), 1, 1)
    assert made(proving, witness).points != made(proving, witness).points


def test_a_false_witness_proves_nothing(
    proving: Proving, secrets: list[int], group: LeanIMT
) -> None:
    """The library makes a proof of a false witness without complaint; it does not verify."""
    witness = Witness(secrets[0], group.path(0), 1, 1)
    wtns = bytearray(proving.witness(witness))
    wtns[-32:] = (1).to_bytes(32, "little")
    with pytest.raises(InvalidProof):
        verify(witness.proves(proving.points(bytes(wtns))))


def test_root_zero_is_proved_by_anybody_and_accepted_by_nobody(
    proving: Proving, secrets: list[int]
) -> None:
    """The circuit shows root 0 for a path longer than its depth; that is why 0 is no root here."""
    witness = Witness(secrets[0], MerklePath(0, ()), 1, 1)
    signals = {**witness.signals(), "merkleProofLength": (MAX_DEPTH + 1,)}
    points = proving.points(proving._program.compute(signals))
    proof = witness.proves(points)
    key = groth16py.Verifier(groth16py.VerifyingKey.from_snarkjs(key_json()))
    shown = [0, proof.nullifier, signal_hash(1), signal_hash(1)]
    assert key.verify(proof.points_bytes(), shown)  # valid for the pairing…
    with pytest.raises(MalformedProof):  # … and still no proof
        attrs.evolve(proof, root=0)


def test_circuit_refuses_what_is_no_secret(proving: Proving, secrets: list[int]) -> None:
    """The circuit itself refuses a second name of a secret."""
    signals = Witness(secrets[0], MerklePath(0, ()), 1, 1).signals()
    for changed in (
        {"secret": (SUBGROUP,)},
        {"secret": (secrets[0] + SUBGROUP,)},
        {"merkleProofIndex": (1 << MAX_DEPTH,)},
        {"secret": ()},
        {"merkleProofSiblings": (0,) * 19},
        {"another": (1,)},
    ):
        with pytest.raises(WitnessRefused):
            proving._program.compute({**signals, **changed})
    del signals["message"]
    with pytest.raises(WitnessRefused):
        proving._program.compute(signals)


# The prover's process, without the process


def test_replies(proving: Proving, secrets: list[int], group: LeanIMT) -> None:
    """A request is answered by its stages and then the points."""
    witness = Witness(secrets[5], group.path(5), 1, 2)
    *stages, last = map(parse_reply, prove(proving, request(witness)))
    assert [Stage(content[0]) for _, content in stages] == [Stage.WITNESS, Stage.PROOF, Stage.CHECK]
    assert last[0] is Kind.POINTS


@pytest.mark.parametrize("body", [b"", bytes(32), bytes(128), bytes(129), bytes(32 * 25)])
def test_requests_that_make_no_sense(proving: Proving, body: bytes) -> None:
    """They are answered by one word, and the process goes on."""
    assert [kind for kind, _ in map(parse_reply, prove(proving, body))] == [Kind.FAILED]


def test_pipe_in_place_of_memory_files(
    proving: Proving, secrets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no files in memory the witness goes through a pipe."""
    monkeypatch.delattr("os.memfd_create")
    made(proving, Witness(secrets[0], MerklePath(0, ()), 1, 1))


# The cache of the compiled program


def test_cache_is_used_and_checked(tmp_path: Path, secrets: list[int]) -> None:
    """A compiled program that was changed, cut or opened to others is made again, not run."""
    cache = tmp_path / "cache"
    program = (CIRCUITS / WASM).read_bytes()
    signals = Witness(secrets[0], MerklePath(0, ()), 1, 1).signals()
    expected = WitnessProgram(program, cache).compute(signals)
    (file,) = cache.iterdir()
    assert (cache.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    good = file.read_bytes()
    inode = file.stat().st_ino
    assert WitnessProgram(program, cache).compute(signals) == expected
    assert file.stat().st_ino == inode  # used as it was
    changed = bytearray(good)
    changed[len(good) // 2] ^= 1
    for bad in (bytes(changed), good[:-1], b"", sha256(b"x").digest() + b"x"):
        file.write_bytes(bad)
        assert WitnessProgram(program, cache).compute(signals) == expected
        assert file.read_bytes() == good
    file.chmod(0o666)
    WitnessProgram(program, cache)
    assert [kept.stat().st_mode & 0o777 for kept in cache.iterdir()] == [0o600]
