"""Constants of Poseidon for two inputs, drawn as the paper draws them, then made cheap to use.

Nothing is copied from a table: the round constants and the matrix come out of the Grain generator
that the paper seeds with the parameters themselves. It takes about 50 ms, once per process.

Source: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon: A New Hash Function for
Zero-Knowledge Proof Systems" (USENIX Security 2021); appendix E for the generator, appendix B for
the sparse matrices.
"""

from collections.abc import Iterator
from functools import cache
from itertools import compress, islice
from typing import Final

import attrs

from zk.field import ORDER

WIDTH: Final = 3  # elements of the state: a capacity and two inputs
FULL_ROUNDS: Final = 8  # half before the partial ones, half after
PARTIAL_ROUNDS: Final = 57  # 128 bits of security at this width, table 2
_BITS: Final = 254  # of the order
_GRAIN: Final = 80  # bits of state
_TAPS: Final = (62, 51, 38, 23, 13, 0)
_BLOCK: Final = _GRAIN - _TAPS[0]  # bits that do not depend on one another
_WARM_UP: Final = 160  # bits thrown away first
_CHUNK: Final = 1024  # bits; even

Vector = tuple[int, ...]
Matrix = tuple[Vector, ...]


@attrs.frozen
class Parameters:
    """What one permutation needs.

    Attributes:
        matrix: M, of the full rounds.
        first: what is added in each of the first four full rounds.
        partial: what is added to element 0 in each partial round.
        sparse: of all partial rounds but the last: (row 0, column 0 without its head); what is
            left of such a matrix is the identity.
        dense: the matrix of the last partial round.
        last: what is added in each of the last four full rounds.
    """

    matrix: Matrix
    first: Matrix
    partial: Vector
    sparse: tuple[tuple[Vector, Vector], ...]
    dense: Matrix
    last: Matrix


def _grain() -> Iterator[str]:
    """Yield the bits, "0" or "1", of the generator, seeded with field, S-box and sizes."""
    state = 0
    for value, bits in (
        (1, 2),  # a prime field
        (0, 4),  # the S-box is a power
        (_BITS, 12),
        (WIDTH, 12),
        (FULL_ROUNDS, 10),
        (PARTIAL_ROUNDS, 10),
        ((1 << 30) - 1, 30),
    ):
        state = state << bits | value

    def raw() -> Iterator[str]:
        # a bit is made of six that are 18 to 80 places older, so 18 are made at a time
        nonlocal state
        while True:
            new = 0
            for tap in _TAPS:  # place 0 of the paper is the oldest bit, here the highest
                new ^= state >> (_GRAIN - _BLOCK - tap)
            new &= (1 << _BLOCK) - 1
            state = (state << _BLOCK | new) & ((1 << _GRAIN) - 1)
            yield from f"{new:0{_BLOCK}b}"

    stream = islice(raw(), _WARM_UP, None)
    while True:  # of each two, the first says whether the second counts
        pairs = list(islice(stream, _CHUNK))
        yield from compress(pairs[1::2], map(int, pairs[::2]))


def drawn() -> tuple[list[Vector], Matrix]:
    """Draw the constants of every round, and the matrix: a Cauchy matrix 1 / (x + y)."""
    bits = _grain()

    def number() -> int:
        return int("".join(islice(bits, _BITS)), 2)

    def constant() -> int:
        while (value := number()) >= ORDER:
            pass
        return value

    rounds = FULL_ROUNDS + PARTIAL_ROUNDS
    constants = [tuple(constant() for _ in range(WIDTH)) for _ in range(rounds)]
    places = [number() % ORDER for _ in range(2 * WIDTH)]
    matrix = tuple(tuple(pow(x + y, -1, ORDER) for y in places[WIDTH:]) for x in places[:WIDTH])
    return constants, matrix


def _apply(matrix: Matrix, vector: Vector) -> Vector:
    return tuple(sum(map(int.__mul__, row, vector)) % ORDER for row in matrix)


def _times(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(_apply(left, column) for column in zip(*right, strict=True))
    return tuple(zip(*columns, strict=True))


def _inverse(corner: Matrix) -> Matrix:
    """Invert the 2 x 2 matrix that is left without row 0 and column 0."""
    (a, b), (c, d) = corner
    scale = pow(a * d - b * c, -1, ORDER)
    return (d * scale % ORDER, -b * scale % ORDER), (-c * scale % ORDER, a * scale % ORDER)


def _scalars(constants: list[Vector], matrix: Matrix) -> tuple[Vector, Vector]:
    """Leave one number to add in each partial round; return what is due after the last.

    Only element 0 goes through the S-box, so what is added to the others may be added after it,
    and then, through the matrix, before the next round.
    """
    due: Vector = (0,) * WIDTH
    found = []
    for line in constants:
        head, *rest = (a + b for a, b in zip(line, due, strict=True))
        found.append(head % ORDER)
        due = _apply(matrix, (0, *rest))
    return tuple(found), due


def _sparse(matrix: Matrix) -> tuple[tuple[tuple[Vector, Vector], ...], Matrix]:
    """Split M = B S with B = diag(1, corner of M) and S sparse, and move B to the next round.

    B leaves element 0 alone, so it may as well be applied after the next round's S-box: there it
    becomes part of that round's matrix, which is split in turn. The last round keeps its M B.
    """
    found, carried = [], matrix
    for _ in range(PARTIAL_ROUNDS - 1):
        corner = tuple(row[1:] for row in carried[1:])
        column = tuple(row[0] for row in carried[1:])
        found.append((carried[0], _apply(_inverse(corner), column)))
        carried = _times(matrix, ((1, 0, 0), *((0, *row) for row in corner)))
    return tuple(found), carried


@cache
def parameters() -> Parameters:
    """Return the constants for two inputs."""
    constants, matrix = drawn()
    half = FULL_ROUNDS // 2
    scalars, due = _scalars(constants[half:-half], matrix)
    sparse, dense = _sparse(matrix)
    first_after = tuple((a + b) % ORDER for a, b in zip(constants[-half], due, strict=True))
    return Parameters(
        matrix=matrix,
        first=tuple(constants[:half]),
        partial=scalars,
        sparse=sparse,
        dense=dense,
        last=(first_after, *constants[1 - half :]),
    )
