"""Native curve arithmetic against py-evm's own: the same output, gas and failure."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth.exceptions import OutOfGas, VMError
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.gas_meter import GasMeter
from eth_abi.abi import decode, encode
from py_ecc import optimized_bn128 as curve

from bitsnode.ledger.embedded.precompiles import NATIVE

P, N = curve.field_modulus, curve.curve_order
GAS = 500_000
ADD, MULTIPLY, PAIRING, BLAKE2 = (bytes(19) + bytes([number]) for number in (6, 7, 8, 9))


class _Message:
    def __init__(self, data: bytes) -> None:
        self.data = self.data_as_bytes = data


class _Computation:
    """As much of a computation as a precompile touches."""

    def __init__(self, data: bytes, gas: int) -> None:
        self.msg = _Message(data)
        self.meter = GasMeter(gas)
        self.consume_gas = self.meter.consume_gas
        self.output = b""


def outcome(function: Callable[[Any], Any], data: bytes, gas: int = GAS) -> tuple[object, ...]:
    """Run a precompile; return whether it failed, how, what it gave and what gas is left.

    A failed precompile loses all gas, so what is left matters only if it did not fail.
    """
    computation = _Computation(data, gas)
    try:
        function(computation)
    except OutOfGas:
        return ("out of gas",)
    except VMError:
        return ("failed",)
    return ("done", bytes(computation.output), computation.meter.gas_remaining)


def same(address: bytes, data: bytes, gas: int = GAS) -> tuple[object, ...]:
    """Run both; return what both say."""
    stock = outcome(CancunComputation.get_precompiles()[address], data, gas)  # type: ignore[index]
    native = outcome(NATIVE[address], data, gas)  # type: ignore[index]
    assert native == stock, data.hex()
    return native


def word(value: int) -> bytes:
    """Encode a number in 32 bytes."""
    return value.to_bytes(32, "big")


def g1(scalar: int) -> bytes:
    """A point of G1 as the precompiles take it; infinity is zeros."""
    if scalar % N == 0:
        return bytes(64)
    x, y = curve.normalize(curve.multiply(curve.G1, scalar % N))
    return word(x.n) + word(y.n)


def g2(scalar: int) -> bytes:
    """A point of G2 as the pairing takes it: imaginary parts first."""
    if scalar % N == 0:
        return bytes(128)
    x, y = curve.normalize(curve.multiply(curve.G2, scalar % N))
    return b"".join(word(int(c)) for c in (x.coeffs[1], x.coeffs[0], y.coeffs[1], y.coeffs[0]))


def outside_subgroup() -> bytes:
    """A point on the twist that is not in the group of prime order."""
    x = 1
    while True:
        candidate = curve.FQ2([x, 1])
        right = candidate * candidate * candidate + curve.b2
        root = _square_root(right)
        if root is not None:
            point = (candidate, root, curve.FQ2.one())
            if curve.multiply(point, N)[-1] != curve.FQ2.zero():
                parts = (candidate.coeffs[1], candidate.coeffs[0], root.coeffs[1], root.coeffs[0])
                return b"".join(word(int(c)) for c in parts)
        x += 1


def _square_root(value: Any) -> Any:
    """A square root in F(p^2), p = 3 mod 4, by the norm; None if there is none."""
    a, b = (int(c) for c in value.coeffs)
    norm = pow(a * a + b * b, (P + 1) // 4, P)
    for sign in (norm, P - norm):
        half = (a + sign) * pow(2, -1, P) % P
        real = pow(half, (P + 1) // 4, P)
        if real and real * real % P == half:
            root = curve.FQ2([real, b * pow(2 * real, -1, P) % P])
            if root * root == value:
                return root
    return None


X, Y = word(1), word(2)
EDGES = [0, 1, 2, P - 1, P, P + 1, 2**256 - 1]


def bad_points() -> Iterator[bytes]:
    """Every pair of boundary coordinates: some on the curve, most not, some beyond the field."""
    for x in EDGES:
        for y in EDGES:
            yield word(x) + word(y)
    yield word(1) + word(P - 2)  # -G
    yield word(1 + P) + word(2)  # G, written beyond the field


@pytest.mark.parametrize("point", list(bad_points()), ids=lambda point: point.hex()[-8:])
def test_boundary_points(point: bytes) -> None:
    """Each boundary point is taken or refused alike, on either side of a sum and in a product."""
    same(ADD, point + g1(1))
    same(ADD, g1(1) + point)
    same(MULTIPLY, point + word(3))


@pytest.mark.parametrize("scalar", [0, 1, 2, N - 1, N, N + 1, P, 2**256 - 1])
def test_boundary_scalars(scalar: int) -> None:
    """Factors at and beyond the group's order give the same."""
    assert same(MULTIPLY, g1(1) + word(scalar))[1] == g1(scalar)


def test_random_sums_and_products() -> None:
    """Random points add and multiply to the same; a point and its negative give infinity."""
    for _ in range(10):
        a, b = secrets.randbelow(N), secrets.randbelow(N)
        assert same(ADD, g1(a) + g1(b))[1] == g1(a + b)
        assert same(MULTIPLY, g1(a) + word(b))[1] == g1(a * b)
    assert same(ADD, g1(5) + g1(N - 5))[1] == bytes(64)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 63, 64, 65, 95, 96, 97, 127, 128, 129, 300])
def test_short_and_long_inputs(size: int) -> None:
    """Missing bytes count as zeros and surplus ones are not looked at, alike."""
    data = (g1(3) + g1(4) + b"\xff" * 300)[:size]
    same(ADD, data)
    same(MULTIPLY, data)


def pairs() -> dict[str, bytes]:
    """Inputs of the pairing check, by what is special about them."""
    good = g1(2) + g2(3)
    return {
        "empty": b"",
        "one": g1(1) + g2(1),
        "true": g1(6) + g2(1) + g1(N - 2) + g2(3),
        "false": g1(6) + g2(1) + g1(N - 2) + g2(4),
        "infinities": bytes(192),
        "g1 infinity": bytes(64) + g2(1),
        "g2 infinity": g1(1) + bytes(128),
        "short": good[:-1],
        "long": good + b"\0",
        "off g1": X + word(3) + g2(1),
        "off g2": g1(1) + g2(1)[:-1] + b"\x01",
        "wrong subgroup": g1(1) + outside_subgroup(),
        "wrong subgroup with infinity": bytes(64) + outside_subgroup(),
        "x is p": word(P) + word(2) + g2(1),
        "x is p + 1": word(P + 1) + word(2) + g2(1),
        "g2 beyond the field": g1(1) + word(P) + g2(1)[32:],
        "g2 all p": g1(1) + word(P) * 4,
        "g2 all p - 1": g1(1) + word(P - 1) * 4,
        "g2 parts swapped": g1(1) + g2(1)[32:64] + g2(1)[:32] + g2(1)[64:],
        "last pair bad": good + X + word(3) + g2(1),
    }


@pytest.mark.parametrize("name", list(pairs()))
def test_pairings(name: str) -> None:
    """Each input of the pairing check gives the same answer, or fails alike."""
    said = same(PAIRING, pairs()[name])
    if name in ("true", "empty", "infinities"):
        assert said[1] == word(1)
    if name in ("short", "off g1", "wrong subgroup", "x is p", "g2 beyond the field"):
        assert said == ("failed",)


@pytest.mark.parametrize(
    ("address", "data", "price"),
    [
        (ADD, g1(1) + g1(2), 150),
        (MULTIPLY, g1(1) + word(7), 6_000),
        (PAIRING, b"", 45_000),
        (PAIRING, bytes(192), 79_000),
    ],
)
def test_prices(address: bytes, data: bytes, price: int) -> None:
    """Each costs what EIP-1108 says, and one gas less is too little."""
    assert same(address, data, price)[0] == "done"
    assert same(address, data, price - 1) == ("out of gas",)


BLAKE2_VECTOR = (  # EIP-152, test vector 5: the hash of "abc"
    bytes.fromhex("0000000c")
    + bytes.fromhex("48c9bdf267e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5")
    + bytes.fromhex("d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b")
    + b"abc".ljust(128, b"\0")
    + b"\3".ljust(16, b"\0")
    + b"\1"
)


def test_blake2() -> None:
    """The vector of EIP-152 and its twisted forms give the same."""
    data = BLAKE2_VECTOR
    assert bytes(same(BLAKE2, data)[1]).hex().startswith("ba80a53f981c4d0d")  # type: ignore[arg-type]
    for twisted in (data[:-1], data + b"\0", data[:-1] + b"\2", data[:-1] + b"\0", b""):
        same(BLAKE2, twisted)
    assert same(BLAKE2, b"\0\xff\0\0" + data[4:]) == ("out of gas",)
    assert same(BLAKE2, bytes(4) + data[4:])[0] == "done"


def test_a_failed_precompile_costs_what_it_was_given(
    hand: Any, encoded: Callable[..., bytes]
) -> None:
    """Inside a transaction a bad point takes all gas passed on, and the caller goes on."""
    probe = hand.deploy()
    call = "precompile(uint160,bytes,uint256)"
    bad = hand.send(to=probe, data=encoded(call, 6, X + word(3), 100_000), gas=400_000)
    good = hand.send(to=probe, data=encoded(call, 6, X + Y, 100_000), gas=400_000)
    assert (bad.status, good.status) == (1, 1)
    assert bad.gas_used - good.gas_used > 95_000
    logs = hand.logs()
    assert [int.from_bytes(log.topics[1], "big") for log in logs] == [0, 1]
    assert decode(["bytes"], logs[1].data)[0] == g1(1)
    assert encode(["bytes"], [b""]) == logs[0].data
