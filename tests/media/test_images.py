"""Pictures: nothing but pixels comes out, within limits, the right way up."""

import re
import secrets
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageStat, PngImagePlugin

from bitsnode.media import images
from bitsnode.media.errors import ImageTooLarge, MediaMissing, UnreadableImage

CANARY = "canary of the creator's street"
BYTES = CANARY.encode()
Maker = Callable[[Image.Image], bytes]


def scene(size: tuple[int, int] = (400, 300), mode: str = "RGB") -> Image.Image:
    """A picture with gradients and shapes, whose left upper corner is red."""
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, size[0] // 3, size[1] // 3), fill="red")
    draw.ellipse((size[0] // 2, size[1] // 2, size[0] - 1, size[1] - 1), fill="blue")
    return picture.convert(mode)


def exif(orientation: int = 1) -> Image.Exif:
    """EXIF with the canary in each of its parts: main, camera's notes, place, comment."""
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010E] = CANARY  # ImageDescription
    found[0x013B] = CANARY  # Artist
    found[0x9C9B] = CANARY.encode("utf-16-le")  # XPTitle
    found.get_ifd(0x8769)[0x927C] = BYTES  # MakerNote
    found.get_ifd(0x8769)[0xA431] = CANARY  # BodySerialNumber
    found.get_ifd(0x8825)[0x001C] = BYTES  # GPSAreaInformation
    return found


def profile() -> bytes:
    """An ICC profile that is valid, and ends in a canary."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + BYTES


def xmp() -> bytes:
    """XMP, as editors write it."""
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf>' + BYTES + b"</rdf></x:xmpmeta>"


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    """Return a picture's file."""
    out = BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def jpeg(picture: Image.Image) -> bytes:
    """A JPEG with metadata of every kind, an IPTC block, and something after its end."""
    data = saved(
        picture, "JPEG", exif=exif(), icc_profile=profile(), xmp=xmp(), comment=BYTES, dpi=(301, 7)
    )
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(BYTES)) + BYTES
    block = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    return data[:2] + block + data[2:] + b"PK\x03\x04" + BYTES + b"<script>" + BYTES


def png(picture: Image.Image) -> bytes:
    """A PNG with text of all three kinds, a private chunk and something after its end."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", CANARY)
    info.add_text("Packed", CANARY, zip=True)
    info.add_itxt("XML:com.adobe.xmp", xmp().decode())
    info.add(b"prVt", BYTES)
    data = saved(picture, "PNG", pnginfo=info, exif=exif(), icc_profile=profile(), dpi=(301, 301))
    return data + b"<html>" + BYTES


def webp(picture: Image.Image) -> bytes:
    """A WebP with all that its container can hold."""
    return saved(picture, "WEBP", exif=exif(), icc_profile=profile(), xmp=xmp(), quality=90)


def gif(picture: Image.Image) -> bytes:
    """An animated GIF with a comment."""
    second = picture.rotate(180)
    return saved(picture, "GIF", save_all=True, append_images=[second], comment=BYTES) + BYTES


MAKERS: list[Maker] = [jpeg, png, webp, gif]


def parts(data: bytes, media_type: str) -> set[bytes]:
    """Return the names of a picture's segments or chunks, with our own parsers."""
    found = set()
    if media_type == "image/jpeg":
        at = 2
        while data[at + 1] != 0xDA:  # up to the first scan
            found.add(data[at : at + 2])
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        assert data.endswith(b"\xff\xd9")
        # scans hold no marker but restarts, the next tables, the next scan, the end
        found |= {m for m in re.findall(rb"\xff[\x01-\xff]", data[at:]) if m != b"\xff\xda"}
    elif media_type == "image/png":
        at = 8
        while at < len(data):
            size = struct.unpack(">I", data[at : at + 4])[0]
            found.add(data[at + 4 : at + 8])
            at += 12 + size
    else:
        at = 12
        while at < len(data):
            size = struct.unpack("<I", data[at + 4 : at + 8])[0]
            found.add(data[at : at + 4])
            at += 8 + size + size % 2
    return found


BARE = {
    "image/jpeg": {b"\xff\xe0", b"\xff\xdb", b"\xff\xc2", b"\xff\xc4", b"\xff\xd9"},
    "image/png": {b"IHDR", b"IDAT", b"IEND"},
    "image/webp": {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"},
}


def prepare(tmp_path: Path, data: bytes) -> images.PreparedImage:
    """Prepare a picture whose name says nothing."""
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    return images.prepare(path)


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean difference of two pictures, 0 to 255."""
    stat = ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB")))
    return max(stat.mean)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_no_byte_of_metadata_survives(tmp_path: Path, make: Maker, mode: str) -> None:
    """Whatever was written beside the pixels is in none of the three files that are shown."""
    source = make(scene(mode=mode))
    assert BYTES in source  # the canaries are there to be found
    prepared = prepare(tmp_path, source)
    shown = [(prepared.full, prepared.media_type)]
    shown += [(each.data, each.media_type) for each in (prepared.thumbnail, prepared.preview)]
    for data, media_type in shown:
        assert parts(data, media_type) <= BARE[media_type]
        for word in (CANARY, "creator", "street"):
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                assert word.encode(encoding) not in data
        with Image.open(BytesIO(data)) as again:
            again.load()
            assert (
                not set(again.info)
                - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
                - {
                    "progressive",
                    "progression",
                    "loop",
                    "background",
                    "timestamp",
                    "duration",
                }
            )
            assert not again.getexif()


@pytest.mark.parametrize("make", MAKERS)
def test_the_picture_is_the_same(tmp_path: Path, make: Maker) -> None:
    """The pixels are those of the source: exactly where the format is lossless."""
    picture = scene()
    prepared = prepare(tmp_path, make(picture))
    with Image.open(BytesIO(make(picture))) as before, Image.open(BytesIO(prepared.full)) as after:
        assert (
            prepared.media_type
            == {
                "GIF": "image/png",
                "JPEG": "image/jpeg",
                "PNG": "image/png",
                "WEBP": "image/webp",
            }[str(before.format)]
        )
        assert (prepared.width, prepared.height) == before.size == after.size
        assert difference(before, after) < (1.5 if prepared.media_type != "image/png" else 1e-9)
    assert prepared.animated == (make is gif)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the moment or of chance is in what is made."""
    source = jpeg(scene())
    assert prepare(tmp_path, source) == prepare(tmp_path, source)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path: Path, orientation: int) -> None:
    """A camera held any way gives the same upright picture, without saying how it was held."""
    upright = scene((64, 48))
    # how a camera stores what EXIF's orientation then turns upright (CIPA DC-008 §4.6.5)
    stored = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_270],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]
    picture = upright
    for step in stored:
        picture = picture.transpose(step)
    prepared = prepare(tmp_path, saved(picture, "PNG", exif=exif(orientation)))
    assert (prepared.width, prepared.height) == (64, 48)
    with Image.open(BytesIO(prepared.full)) as after:
        assert difference(upright, after) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_keep_a_picture_out(tmp_path: Path) -> None:
    """Metadata that nobody can read is thrown away like any other."""
    data = saved(scene(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + BYTES)
    assert BYTES not in prepare(tmp_path, data).full
    broken_profile = saved(scene(), "JPEG", icc_profile=BYTES * 10)
    assert BYTES not in prepare(tmp_path, broken_profile).full


def test_what_full_transparency_hides_is_gone(tmp_path: Path) -> None:
    """Colours that nobody sees are not given away; half-transparent ones stay."""
    picture = scene((64, 64), "RGBA")
    hidden = Image.frombytes("L", (64, 64), bytes([0, 128, 255, 255] * 1024))
    picture.putalpha(hidden)
    with Image.open(BytesIO(prepare(tmp_path, saved(picture, "PNG")).full)) as after:
        assert after.mode == "RGBA"
        for x, y in ((0, 0), (4, 9)):
            assert after.getpixel((x, y)) == (0, 0, 0, 0)
            assert after.getpixel((x + 1, y)) == picture.getpixel((x + 1, y))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png(tmp_path: Path, mode: str) -> None:
    """Grey, palettes, transparency and 16 bits come out as the same picture."""
    if mode == "I;16":
        grey = scene(mode="L")
        picture = Image.frombytes(
            mode, grey.size, b"".join(bytes([0, value]) for value in grey.tobytes())
        )
    else:
        grey = picture = scene(mode=mode)
    with Image.open(BytesIO(prepare(tmp_path, saved(picture, "PNG")).full)) as after:
        assert difference(grey, after) == 0


def test_colours_of_another_profile_are_converted(tmp_path: Path) -> None:
    """A picture in CMYK is shown in its colours although it loses its profile."""
    data = saved(scene(mode="CMYK"), "JPEG", quality=95)
    with Image.open(BytesIO(prepare(tmp_path, data).full)) as after:
        assert after.mode == "RGB"
        assert difference(scene(), after) < 6
    swapped = swapped_profile()
    data = saved(Image.new("RGB", (16, 16), (250, 5, 5)), "PNG", icc_profile=swapped)
    with Image.open(BytesIO(prepare(tmp_path, data).full)) as after:
        red, green, _ = after.getpixel((5, 5))
        assert green > 200 > 100 > red


def swapped_profile() -> bytes:
    """Return sRGB with red and green exchanged: whoever ignores it shows the wrong colour."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    names = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = names[b"rXYZ"], names[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


@pytest.mark.parametrize("size", [(1, 1), (10, 4), (320, 320), (3000, 20), (20, 3000), (2000, 900)])
def test_thumbnails_and_previews_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    """At most 320 pixels a side and 12 kB, in the shape of the picture."""
    prepared = prepare(tmp_path, saved(scene(size), "PNG"))
    for each in (prepared.thumbnail, prepared.preview):
        assert len(each.data) <= 12_000
        assert each.media_type == "image/webp"
        with Image.open(BytesIO(each.data)) as small:
            longer = max(size)
            scale = min(1, 320 / longer)
            assert small.size == tuple(max(1, int(side * scale)) for side in size)


def test_a_thumbnail_of_noise_is_small_too(tmp_path: Path) -> None:
    """What cannot be compressed is made coarser, and then smaller, until it fits."""
    noise = Image.frombytes("RGB", (400, 400), secrets.token_bytes(400 * 400 * 3))
    assert len(prepare(tmp_path, saved(noise, "PNG")).thumbnail.data) <= 12_000


@pytest.mark.parametrize("size", [(960, 480), (480, 960), (64, 48)])
def test_a_preview_cannot_be_sharpened_back(tmp_path: Path, size: tuple[int, int]) -> None:
    """Two pictures that differ in all but 24 pixels' means have the same preview."""
    few = 24 if max(size) > 192 else max(size) // 8
    cell = max(size) // few
    means = scene((size[0] // cell, size[1] // cell))
    plain = means.resize(size, Image.Resampling.NEAREST)
    # within each cell: a chequered pattern that adds as much as it takes away
    half = cell // 4
    pattern = Image.new("L", size)
    draw = ImageDraw.Draw(pattern)
    for x in range(0, size[0], half):
        for y in range(0, size[1], half):
            if (x // half + y // half) % 2:
                draw.rectangle((x, y, x + half - 1, y + half - 1), fill=255)
    dim = plain.point(lambda value: value // 4 * 2 + 60)
    lighter = ImageChops.add(dim, Image.new("RGB", size, (40, 40, 40)))
    darker = ImageChops.subtract(dim, Image.new("RGB", size, (40, 40, 40)))
    detailed = Image.composite(lighter, darker, pattern)
    assert difference(dim, detailed) > 35
    one, other = (prepare(tmp_path, saved(each, "PNG")) for each in (dim, detailed))
    assert one.thumbnail != other.thumbnail
    assert one.preview == other.preview


def bomb_png(width: int, height: int, lines: int = 1) -> bytes:
    """A PNG of a few bytes that claims any size, as its compression allows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    pixels = zlib.compress(bytes((width + 1) * lines), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels)
    return png + chunk(b"IEND", b"")


def bomb_gif() -> bytes:
    """A GIF of 4.3 gigapixels in some forty bytes."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
    return screen + frame + b"\x02\x02\x4c\x01\x00;"


@pytest.mark.parametrize(
    "data",
    [
        bomb_png(60_000, 60_000),
        bomb_png(9_000, 9_000, lines=9_000),
        bomb_png(16_384, 1),
        bomb_png((1 << 31) - 1, (1 << 31) - 1),
        bomb_gif(),
        b"\xff\xd8\xff" + bytes(images.MAX_BYTES),
    ],
    ids=["claimed", "real", "long", "absurd", "gif", "bytes"],
)
def test_bombs_are_refused_by_their_header(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pixel of a picture that is too large is decoded."""
    decoded = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: decoded.append(image))
    with pytest.raises(ImageTooLarge):
        prepare(tmp_path, data)
    assert decoded == []


def test_bombs_in_metadata_are_refused(tmp_path: Path) -> None:
    """A text chunk that inflates to gigabytes costs no memory: one sentence."""
    info = PngImagePlugin.PngInfo()
    info.add_text("bomb", "\0" * (8 << 20), zip=True)
    with pytest.raises(UnreadableImage):
        prepare(tmp_path, saved(scene((8, 8)), "PNG", pnginfo=info))


@pytest.mark.parametrize("make", MAKERS)
def test_truncated_and_mutated_files_raise_one_error(tmp_path: Path, make: Maker) -> None:
    """Cut anywhere or changed anywhere, a file is refused in one sentence or gives a picture."""
    source = make(scene((48, 32)))
    end = source.rfind(BYTES) if make is not webp else len(source)
    for cut in range(0, end, max(1, end // 12)):
        try:
            prepare(tmp_path, source[:cut])
        except (UnreadableImage, ImageTooLarge):
            continue
    step = max(1, len(source) // 30)
    for at in range(0, len(source), step):
        changed = bytearray(source)
        changed[at] ^= 1 << at % 8
        try:
            prepared = prepare(tmp_path, bytes(changed))
        except (UnreadableImage, ImageTooLarge):
            continue
        assert parts(prepared.full, prepared.media_type) <= BARE[prepared.media_type]


def test_a_picture_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """Half a picture is no picture: nothing grey is sold."""
    for form in ("JPEG", "PNG", "WEBP", "GIF"):
        data = saved(scene(), form)
        with pytest.raises(UnreadableImage):
            prepare(tmp_path, data[: len(data) // 2])


@pytest.mark.parametrize("form", ["TIFF", "BMP", "ICO", "PPM", "TGA", "JPEG2000", "AVIF", "PDF"])
def test_other_formats_are_not_decoded(tmp_path: Path, form: str) -> None:
    """Decoders that are not needed are not reached, whatever is installed."""
    with pytest.raises(UnreadableImage):
        prepare(tmp_path, saved(scene((32, 32)), form))


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    """A directory and a name that is not there give one sentence."""
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(MediaMissing, match=str(path)):
            images.prepare(path)
