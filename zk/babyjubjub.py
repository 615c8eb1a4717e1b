"""The curve inside the circuit: Baby Jubjub, a twisted Edwards curve over the field of `zk.field`.

a x^2 + y^2 = 1 + d x^2 y^2. Source: EIP-2494. Only what an identity needs: multiples of the base
point. Not constant-time: whoever can measure it runs on the same machine.
"""

from typing import Final

from zk.field import ORDER

A: Final = 168700
D: Final = 168696
SUBGROUP: Final = 2736030358979909402780800718157159386076813972158567259200215660948447373041
BASE: Final = (  # generates the subgroup of that prime order
    5299619240641551281634865583518297030282874472190772894086521144482721001553,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)

_Projective = tuple[int, int, int]


def multiply_base(scalar: int) -> tuple[int, int]:
    """Return scalar times the base point, as (x, y)."""
    total: _Projective = (0, 1, 1)
    power: _Projective = (*BASE, 1)
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    x, y, z = total
    inverse = pow(z, -1, ORDER)
    return x * inverse % ORDER, y * inverse % ORDER


def _add(left: _Projective, right: _Projective) -> _Projective:
    """Add; complete, since a is a square and d is not (Bernstein et al. 2008, section 6)."""
    x1, y1, z1 = left
    x2, y2, z2 = right
    scale = z1 * z2 % ORDER
    square = scale * scale % ORDER
    x_product, y_product = x1 * x2 % ORDER, y1 * y2 % ORDER
    crossed = D * x_product * y_product % ORDER
    less, more = (square - crossed) % ORDER, (square + crossed) % ORDER
    mixed = (x1 + y1) * (x2 + y2) - x_product - y_product
    return (
        scale * less * mixed % ORDER,
        scale * more * (y_product - A * x_product) % ORDER,
        less * more % ORDER,
    )
