"""What a shop of bin/dev sells: pictures, a film and a text, all made here and of nothing."""

import importlib.util
import math
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

SIZE = (1200, 800)  # pixels of a picture
FILM = (640, 360)  # pixels of the film
RATE = 24  # pictures of the film in a second
SECONDS = 6  # of the film

LETTER = """Dear reader,

nobody saw you come in, and nobody knows that you bought this. The shop knows that somebody
paid, the chain that something was paid for, and I only that a letter was read.

That is all there is in it.
"""


def sky(low: str, middle: str, high: str, size: tuple[int, int] = SIZE) -> Image.Image:
    """A sky whose colours change from the horizon up, with a little grain."""
    grey = Image.linear_gradient("L").resize(size, Image.Resampling.BICUBIC)
    colours = ImageOps.colorize(grey, high, low, middle)
    grain = Image.effect_noise(size, 12).convert("RGB")
    return ImageChops.overlay(colours, grain.filter(ImageFilter.GaussianBlur(0.6)))


def with_disc(picture: Image.Image, x: float, y: float, radius: float, colour: str) -> Image.Image:
    """A picture with a soft disc on it; position and radius are parts of its height."""
    height = picture.height
    mask = Image.new("L", picture.size)
    centre = x * height, y * height
    box = [c + sign * radius * height for sign in (-1, 1) for c in centre]
    ImageDraw.Draw(mask).ellipse(box, fill=230)
    soft = mask.filter(ImageFilter.GaussianBlur(height / 160))
    return Image.composite(Image.new("RGB", picture.size, colour), picture, soft)


def with_hills(picture: Image.Image, colours: list[str]) -> Image.Image:
    """A picture with rows of hills before it, the last one nearest."""
    width, height = picture.size
    done = picture.copy()
    for row, colour in enumerate(colours):
        line = [
            (
                x,
                height * (0.62 + 0.1 * row)
                + height * 0.05 * math.sin(x / width * (5 + 2 * row) + 2.1 * row)
                + height * 0.02 * math.sin(x / width * (17 + 3 * row)),
            )
            for x in range(0, width + 8, 8)
        ]
        ImageDraw.Draw(done).polygon([*line, (width, height), (0, height)], fill=colour)
    return done


def film(path: Path) -> None:
    """Write a short film of a moon that rises; needs PyAV."""
    import av

    with av.open(str(path), "w", format="mp4") as made:
        stream: Any = made.add_stream("libx264", rate=RATE)
        stream.width, stream.height = FILM
        stream.pix_fmt = "yuv420p"
        back = sky("#d88c6a", "#5b5f97", "#10142c", FILM)
        for number in range(RATE * SECONDS):
            risen = 0.7 - 0.5 * number / (RATE * SECONDS)
            scene = with_hills(
                with_disc(back, 1.25, risen, 0.08, "#fff6df"), ["#2a2f55", "#151a36"]
            )
            made.mux(stream.encode(av.VideoFrame.from_image(scene)))
        made.mux(stream.encode())


def samples(folder: Path) -> list[tuple[list[Path], str, str, str, str]]:
    """Make everything; return for each item its files, title, price, tags and description."""
    night = with_hills(
        with_disc(sky("#9fb7d9", "#34518c", "#0b1230"), 1.1, 0.3, 0.07, "#f4f1e4"),
        ["#1f2f55", "#14203f", "#0a1228"],
    )
    dawn = with_hills(
        with_disc(sky("#ffd9a0", "#e08a6d", "#6a5a8e"), 0.7, 0.58, 0.1, "#fff1c9"),
        ["#8a5a6c", "#5a3f57", "#33283f"],
    )
    noon = with_hills(sky("#e6f2f2", "#9cc7dd", "#4d8fbf"), ["#7fa58a", "#557f66", "#335944"])
    coast = ImageOps.colorize(
        Image.effect_mandelbrot(SIZE, (-0.7463, -0.1102, -0.7413, -0.1069), 100),
        "#0b1d2a",
        "#f4e9cd",
        "#2e7f8c",
    )
    files = {"blue": night, "dawn": dawn, "noon": noon, "coast": coast}
    paths = {name: folder / f"{name}.jpg" for name in files}
    for name, picture in files.items():
        picture.save(paths[name], quality=90)
    letter = folder / "letter.txt"
    letter.write_text(LETTER)
    items = [
        ([letter], "A letter to nobody", "0.01", "words", "A short text, sold as a download."),
        ([paths["coast"]], "Coastline", "0.05", "print,fractal", "An island that has no end."),
        (
            [paths["dawn"], paths["noon"], paths["blue"]],
            "Three skies",
            "0.1",
            "print,sky,set",
            "Morning, noon and night: three pictures in one.",
        ),
        ([paths["blue"]], "Blue hour", "0.05", "print,sky", "The moon over three rows of hills."),
    ]
    if importlib.util.find_spec("av"):
        film(folder / "moonrise.mp4")
        about = "Six seconds of a moon that rises, without a sound."
        items.append(([folder / "moonrise.mp4"], "Moonrise", "0.2", "film,sky", about))
    return items
