"""Loading artifacts, linking, and recognising code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts

ADDRESS = "0x" + "a1" * 20


def test_all_that_deployment_needs_is_there() -> None:
    """There is an artifact of each contract, of ours and of the packages'."""
    assert contracts.names() == (
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


@pytest.mark.parametrize("name", contracts.names())
def test_load(name: str) -> None:
    """Each has an ABI and code, fits into a block, and comes from the pinned compiler."""
    artifact = contracts.load(name)
    assert artifact.name == name
    assert artifact.compiler.startswith("0.8.37+")
    assert artifact.abi
    assert 0 < len(artifact.deployed_bytecode) <= 24576  # EIP-170
    assert len(artifact.bytecode) <= 49152  # EIP-3860


@pytest.mark.parametrize("name", ["", "Voucher", "../artifacts/Vouchers", "vouchers"])
def test_unknown_names_are_refused(name: str) -> None:
    """A name is looked up, not opened."""
    with pytest.raises(contracts.UnknownContractError):
        contracts.load(name)


def test_link_writes_the_librarys_address() -> None:
    """The address lands in every place that the compiler left, and nowhere else."""
    semaphore = contracts.load("Semaphore")
    linked = semaphore.link({"PoseidonT3": ADDRESS})
    assert linked.count(b"\xa1" * 20) == len(semaphore.link_references["PoseidonT3"])
    assert linked.replace(b"\xa1" * 20, bytes(20)) == semaphore.bytecode
    assert linked == semaphore.link({"PoseidonT3": b"\xa1" * 20})


def test_link_needs_every_library() -> None:
    """Code with a hole in it is not handed out."""
    with pytest.raises(contracts.NotLinkedError, match="Semaphore needs the address of PoseidonT3"):
        contracts.load("Semaphore").link()
    assert contracts.load("Vouchers").link() == contracts.load("Vouchers").bytecode


@pytest.mark.parametrize("address", ["0x", "0x12", "zz" * 20, b"\x01" * 21])
def test_link_refuses_malformed_addresses(address: str | bytes) -> None:
    """An address is 20 bytes."""
    with pytest.raises(contracts.LinkError):
        contracts.load("Semaphore").link({"PoseidonT3": address})


def test_link_refuses_foreign_libraries() -> None:
    """A library that the contract does not use is a mistake."""
    with pytest.raises(contracts.LinkError, match="Vouchers does not use PoseidonT3"):
        contracts.load("Vouchers").link({"PoseidonT3": ADDRESS})


@given(st.sampled_from(contracts.names()), st.binary(min_size=32, max_size=32), st.data())
def test_recognises_its_own_code_only(name: str, filling: bytes, data: st.DataObject) -> None:
    """Immutables and addresses may be anything; every other byte counts, and the length."""
    artifact = contracts.load(name)
    code = bytearray(artifact.deployed_bytecode)
    places = [*artifact.immutable_references]
    for found in artifact.deployed_link_references.values():
        places += found
    if name == "PoseidonT3":
        places.append((1, 20))
    for start, length in places:
        code[start : start + length] = filling[:length]
    assert artifact.recognises(bytes(code))

    open_bytes = {i for start, length in places for i in range(start, start + length)}
    index = data.draw(
        st.integers(0, len(code) - 1).filter(lambda i: i not in open_bytes), label="index"
    )
    code[index] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    assert not artifact.recognises(bytes(code))
    assert not artifact.recognises(artifact.deployed_bytecode + b"\x00")
    assert not artifact.recognises(artifact.deployed_bytecode[:-1])
    assert not artifact.recognises(b"")


def test_events_that_others_look_for() -> None:
    """The canonical events are in the ABIs, in the canonical shape."""

    def shape(name: str, event: str) -> list[tuple[str, str, bool]]:
        (found,) = (
            entry
            for entry in contracts.load(name).abi
            if entry["type"] == "event" and entry["name"] == event
        )
        return [(field["name"], field["type"], field["indexed"]) for field in found["inputs"]]

    assert shape("ERC5564Announcer", "Announcement") == [
        ("schemeId", "uint256", True),
        ("stealthAddress", "address", True),
        ("caller", "address", True),
        ("ephemeralPubKey", "bytes", False),
        ("metadata", "bytes", False),
    ]
    assert shape("ERC6538Registry", "StealthMetaAddressSet") == [
        ("registrant", "address", True),
        ("schemeId", "uint256", True),
        ("stealthMetaAddress", "bytes", False),
    ]
