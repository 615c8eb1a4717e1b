"""Pictures: decoded within limits, turned upright, and written anew with nothing but pixels.

What is given out is never the file that came in. Metadata (EXIF, XMP, ICC, comments, thumbnails
inside, anything appended) has no way into it: only a bare array of pixels is handed to the encoder.
"""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Final

import attrs
from PIL import Image, ImageCms, ImageFilter

from bitsnode.media.errors import ImageTooLarge, UnreadableImage
from bitsnode.media.kinds import read_start

MAX_BYTES: Final = 64 << 20  # of a picture's file
MAX_PIXELS: Final = 64 * 10**6  # width x height; 256 MB of memory as RGBA
MAX_SIDE: Final = 16_383  # pixels; the longest that WebP can write
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")  # decoders in use; Pillow has forty more
THUMBNAIL_SIDE: Final = 320  # pixels, the longer side
THUMBNAIL_BYTES: Final = 12_000
PREVIEW_SIDE: Final = 24  # pixels that a blurred preview is made of, along its longer side
QUALITY: Final = 92  # of a picture that was lossy before
_QUALITIES: Final = (80, 65, 50, 35, 20, 5)  # of thumbnails, until one is small enough
_ORIENTATION: Final = 0x0112  # tag of EXIF (CIPA DC-008 §4.6.5)
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Damaged metadata makes Pillow warn on stderr; we throw metadata away in any case.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow checks sizes before it decodes, by default with a warning up to twice its limit.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@attrs.frozen
class Picture:
    """A small picture that everybody may see.

    Attributes:
        media_type: image/webp.
        data: its file.
    """

    media_type: str
    data: bytes = attrs.field(repr=False)


@attrs.frozen
class PreparedImage:
    """A picture as it is sold, and what shows it before.

    Attributes:
        full: the file that is sold, in full size.
        media_type: of it: image/jpeg, image/png or image/webp.
        width: pixels, upright.
        height: likewise.
        thumbnail: at most 320 pixels a side and `THUMBNAIL_BYTES`.
        preview: the same size, blurred beyond recovery.
        animated: only the first frame of several was kept.
    """

    full: bytes = attrs.field(repr=False)
    media_type: str
    width: int
    height: int
    thumbnail: Picture
    preview: Picture
    animated: bool


def prepare(path: Path) -> PreparedImage:
    """Make of a file the picture that is sold; the same file gives the same bytes. Blocks.

    JPEG stays JPEG, PNG and GIF become PNG, WebP stays WebP; colours become sRGB.

    Raises:
        MediaMissing: the file cannot be read.
        ImageTooLarge: it has more than `MAX_BYTES`, `MAX_PIXELS` or `MAX_SIDE`.
        UnreadableImage: it is damaged, or in none of the four formats.
    """
    data = read_start(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ImageTooLarge
    try:
        picture, form, animated = _decode(data)
    except ImageTooLarge:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge from error
    # Decoders of damaged files raise whatever their parsers do: OSError, SyntaxError, struct.error…
    except Exception as error:
        raise UnreadableImage from error
    return PreparedImage(
        full=_encode(picture, form, lossless=form == "WEBP" and _is_lossless(data)),
        media_type=f"image/{form.lower()}",
        width=picture.width,
        height=picture.height,
        thumbnail=thumbnail(picture),
        preview=preview(picture),
        animated=animated,
    )


def thumbnail(picture: Image.Image) -> Picture:
    """Return a picture reduced to 320 pixels and `THUMBNAIL_BYTES` at most, on white."""
    small = _fitted(_on_white(picture), THUMBNAIL_SIDE)
    while True:
        for quality in _QUALITIES:
            data = _webp(small, quality)
            if len(data) <= THUMBNAIL_BYTES:
                return Picture("image/webp", data)
        small = _fitted(small, max(small.size) * 3 // 4)


def preview(picture: Image.Image) -> Picture:
    """Return a blurred picture of a thumbnail's size.

    It is computed from 24 pixels along the longer side (fewer for a small picture) and nothing
    else, so there is no more in it to be sharpened.
    """
    flat = _on_white(picture)
    size = _fitting(flat.size, THUMBNAIL_SIDE)
    grain = _fitting(flat.size, max(1, min(PREVIEW_SIDE, max(flat.size) // 8)))
    few = flat.resize(grain, Image.Resampling.BOX)
    # the second blur takes nothing away: it is there for the eye, which would see the 24 pixels
    soft = ImageFilter.GaussianBlur(max(size) / max(grain) / 2)
    blurred = few.resize(size, Image.Resampling.BICUBIC).filter(soft)
    return Picture("image/webp", _webp(blurred, 50))


def _decode(data: bytes) -> tuple[Image.Image, str, bool]:
    """Return bare upright pixels (L, RGB or RGBA), the format to write, and if it was animated."""
    with Image.open(BytesIO(data), formats=FORMATS) as found:  # reads the header, not the pixels
        if found.width * found.height > MAX_PIXELS or max(found.size) > MAX_SIDE:
            raise ImageTooLarge
        animated = bool(getattr(found, "is_animated", False)) and found.format != "MPO"
        found.load()
        turn = _turn(found)
        pixels = _in_srgb(found)
        if turn is not None:
            pixels = pixels.transpose(turn)
        form = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WEBP"}.get(found.format or "", "PNG")
    # the pixels alone, and of those only what can be seen: colours hide under full transparency
    bare = Image.new(pixels.mode, pixels.size)
    seen = (
        pixels.getchannel("A").point(lambda alpha: 255 * (alpha > 0), "1")
        if pixels.mode == "RGBA"
        else None
    )
    bare.paste(pixels, mask=seen)
    return bare, form, animated


def _turn(found: Image.Image) -> Image.Transpose | None:
    """Return what turns a picture upright; nothing if its EXIF is missing or damaged."""
    try:
        return _UPRIGHT.get(found.getexif().get(_ORIENTATION, 1))
    except Exception:  # a parser of somebody's metadata, which is thrown away in any case
        return None


def _in_srgb(found: Image.Image) -> Image.Image:
    """Return 8-bit pixels in sRGB, with alpha only where something is transparent."""
    profile = found.info.get("icc_profile")
    if found.mode.startswith("I"):  # 16 bits of grey
        return found.point(lambda value: value * (1 / 256)).convert("L")
    if found.mode in ("1", "L") and not found.has_transparency_data:
        return found.convert("L")
    if found.mode != "CMYK":
        found = found.convert("RGBA" if found.has_transparency_data else "RGB")
    if profile:
        found = _without_profile(found, profile)
    found = found.convert("RGB") if found.mode == "CMYK" else found
    if found.mode == "RGBA" and found.getchannel("A").getextrema()[0] == 255:
        return found.convert("RGB")
    return found


def _without_profile(found: Image.Image, profile: bytes) -> Image.Image:
    """Convert colours to what browsers assume, so that no profile is needed."""
    mode = "RGBA" if found.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(found, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return found  # a profile that does not fit these pixels says nothing about them
    return found if converted is None else converted


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    flat = Image.new("RGB", picture.size, "white")
    flat.paste(picture, mask=picture.getchannel("A"))
    return flat


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return a size of the same shape whose longer side is at most ``side``."""
    longer = max(size)
    if longer <= side:
        return size
    return max(1, size[0] * side // longer), max(1, size[1] * side // longer)


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    size = _fitting(picture.size, side)
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode(picture: Image.Image, form: str, lossless: bool) -> bytes:
    out = BytesIO()
    if form == "JPEG":
        picture.save(out, form, quality=QUALITY, subsampling=0, optimize=True, progressive=True)
    elif form == "WEBP":
        picture.save(out, form, quality=QUALITY, method=4, lossless=lossless)
    else:
        picture.save(out, form)
    return out.getvalue()


def _webp(picture: Image.Image, quality: int) -> bytes:
    out = BytesIO()
    picture.save(out, "WEBP", quality=quality, method=6)
    return out.getvalue()


def _is_lossless(data: bytes) -> bool:
    """Whether a WebP's first picture is in a chunk VP8L (RFC 9649 §2.6)."""
    lossy, lossless = data.find(b"VP8 "), data.find(b"VP8L")
    return lossless >= 0 and (lossy < 0 or lossless < lossy)
