"""Which coordinates are points of BN254: y^2 = x^3 + 3, and over i^2 = -1, y^2 = x^3 + 3 / (9 + i).

Source: EIP-197. The point at infinity, (0, 0) there, is no part of an honest proof and refused.
"""

from typing import Final

from zk.proof import BASE_ORDER, InvalidProof

G1 = tuple[int, int]
Pair = tuple[int, int]  # real and imaginary part
G2 = tuple[Pair, Pair]

_B1: Final = 3


def _times(left: Pair, right: Pair) -> Pair:
    (a, b), (c, d) = left, right
    return (a * c - b * d) % BASE_ORDER, (a * d + b * c) % BASE_ORDER


# 3 / (9 + i) = 3 (9 - i) / 82
_B2: Final[Pair] = (
    27 * pow(82, -1, BASE_ORDER) % BASE_ORDER,
    -3 * pow(82, -1, BASE_ORDER) % BASE_ORDER,
)


class NotOnCurve(InvalidProof):
    """A point of this proof is not on its curve."""


def check_g1(point: G1) -> None:
    """Check a point over the base field.

    Raises:
        NotOnCurve: it is none.
    """
    x, y = point
    if (y * y - x * x * x - _B1) % BASE_ORDER:
        raise NotOnCurve


def check_g2(point: G2) -> None:
    """Check a point over the quadratic extension; not that it is in the subgroup.

    Raises:
        NotOnCurve: it is none.
    """
    x, y = point
    cube = _times(_times(x, x), x)
    square = _times(y, y)
    if any((square[k] - cube[k] - _B2[k]) % BASE_ORDER for k in (0, 1)):
        raise NotOnCurve
