"""QR codes as PNG: no SVG, which Tor Browser does not show at its safest level. Pure."""

import io
from typing import Final

import segno

SCALE: Final = 6  # pixels of a module
BORDER: Final = 4  # modules; ISO/IEC 18004 asks for four


def qr_png(text: str) -> tuple[bytes, int]:
    """Return a picture of a text, and its side in pixels.

    Black on white in dark pages too, as cameras want it. Not compressed: so its length depends on
    the length of the text alone, and barely on that.
    """
    code = segno.make_qr(text, error="m")
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=SCALE, border=BORDER, compresslevel=0)
    return picture.getvalue(), side(text)


def side(text: str) -> int:
    """Return how many pixels wide and high the picture of a text is."""
    return int(segno.make_qr(text, error="m").symbol_size(SCALE, BORDER)[0])
