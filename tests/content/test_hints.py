"""Where a fetch asks first, when others have added placements of their own."""

from bitsnode.codec.placement import Placed, Placement, Provider
from bitsnode.content.locate import Whereabouts


def placement(name: bytes, lines: int) -> Placement:
    """A placement by somebody."""
    placed = tuple(Placed(n, name + bytes([n]) * 31, bytes(32)) for n in range(lines))
    return Placement(placed, b"", b"")


def test_placements_of_strangers_do_not_push_back_the_publishers() -> None:
    """Seven forged ones with the highest sequences and most lines: the true one's turn is near."""
    forged = tuple(placement(bytes([n]), 250) for n in range(7))
    true, provider = placement(b"t", 30), Provider(b"p" * 32, 3)
    hints = Whereabouts((*forged, true), (provider,)).hints()
    ours = [Provider(line.onion_key, line.index) for line in true.placed]
    assert hints.index(ours[0]) < 9
    assert hints.index(provider) < 9
    assert hints.index(ours[9]) < 90
    assert len(hints) == len(set(hints)) == 7 * 250 + 31
