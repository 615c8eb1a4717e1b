"""QR codes as PNG: no SVG, which Tor Browser does not show at its safest level. Pure."""

import io
from functools import lru_cache
from typing import Final

import attrs
import segno

SCALE: Final = 6  # pixels of a module
BORDER: Final = 4  # modules; ISO/IEC 18004 asks for four
KEPT: Final = 64  # codes of some 10 kB that are not made anew; each costs 10 ms of a core


@attrs.frozen
class QrCode:
    """A picture of a text.

    Attributes:
        png: all of it.
        side: pixels.
    """

    png: bytes = attrs.field(repr=False)
    side: int


@lru_cache(KEPT)
def qr_code(text: str) -> QrCode:
    """Return the code of a text.

    Black on white in dark pages too, as cameras want it. Not compressed: so its length depends on
    the length of the text alone, and barely on that.
    """
    code = segno.make_qr(text, error="m")
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=SCALE, border=BORDER, compresslevel=0)
    return QrCode(picture.getvalue(), int(code.symbol_size(SCALE, BORDER)[0]))
