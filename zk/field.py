"""The scalar field of the curve BN254: what circuits, trees and hashes of Semaphore count in.

Source: EIP-196 and EIP-197, which call its order ``curve_order``.
"""

from typing import Final

ORDER: Final = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001  # prime, 254 bits
SIZE: Final = 32  # bytes of an element, big-endian


class NotInField(ValueError):
    """A number is not an element of the field: it is negative, or not below the order."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]


def element(number: int) -> int:
    """Return the number, once it is known to be the only name of its element.

    Nothing here reduces: whoever accepts x and x + order for the same thing can be told it twice.

    Raises:
        NotInField: it is not in [0, order).
    """
    if not 0 <= number < ORDER:
        raise NotInField
    return number


def encode(number: int) -> bytes:
    """Return an element as 32 bytes, big-endian."""
    return element(number).to_bytes(SIZE, "big")


def decode(data: bytes) -> int:
    """Return the element that exactly 32 bytes, big-endian, stand for.

    Raises:
        NotInField: there are more or fewer bytes, or the number is too large.
    """
    if len(data) != SIZE:
        raise NotInField
    return element(int.from_bytes(data, "big"))
