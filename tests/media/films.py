"""Makes films and sounds with a canary in every place that a camera or a program writes to."""

import secrets
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageDraw

CANARY = "canary of the creator's street"
PLACE = "+48.8577+002.2950/"
MOMENT = "2026-11-05T12:34:56Z"
RATE = 25  # frames per second
SIZE = (160, 120)


def frame(index: int, noise: int = 0) -> Image.Image:
    """A picture whose left upper corner is red, and whose rest tells the moment.

    A square of ``noise`` pixels a side is random, which makes a film large.
    """
    picture = Image.new("RGB", SIZE, (0, index * 5 % 256, 80))
    ImageDraw.Draw(picture).rectangle((0, 0, SIZE[0] // 2 - 1, SIZE[1] // 2 - 1), fill="red")
    if noise:
        square = Image.frombytes("RGB", (noise, noise), secrets.token_bytes(noise * noise * 3))
        picture.paste(square, (SIZE[0] - noise, SIZE[1] - noise))
    return picture


def make(
    path: Path,
    *,
    form: str = "mp4",
    video: str | None = "libx264",
    audio: str | None = "aac",
    frames: int = 40,
    rotation: int = 0,
    extra: bool = False,
    noise: int = 0,
) -> Path:
    """Write a film of ``frames`` frames, or a sound of one second.

    Args:
        path: of the file.
        form: FFmpeg's name of the container.
        video: encoder, or None for a sound.
        audio: encoder, or None for a silent film.
        frames: of the film.
        rotation: in degrees, kept beside the picture as a telephone does.
        extra: with a second track of sound and a chapter.
        noise: see `frame`.
    """
    options = {"movflags": "use_metadata_tags"} if form in ("mp4", "mov", "ipod") else {}
    with av.open(str(path), "w", format=form, container_options=options) as film:
        film.metadata.update(
            {name: CANARY for name in ("title", "comment", "artist", "com.apple.quicktime.model")}
        )
        film.metadata.update({"location": PLACE, "creation_time": MOMENT})
        if extra:
            film.set_chapters(
                [
                    {
                        "id": 1,
                        "start": 0,
                        "end": 1000,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": CANARY},
                    }
                ]
            )
        picture: Any = film.add_stream(video, rate=RATE) if video else None
        sounds: list[Any] = [film.add_stream(audio, rate=48_000)] if audio else []
        sounds += [film.add_stream(audio, rate=48_000)] if audio and extra else []
        if picture:
            picture.width, picture.height = SIZE
            picture.pix_fmt = "yuv420p"
            picture.gop_size = 10
            if rotation:
                picture.set_display_rotation(rotation)
        for stream in [picture, *sounds]:
            if stream:
                stream.metadata.update({"handler_name": CANARY, "title": CANARY})
        if picture:
            _encode_frames(film, picture, frames, noise)
        for stream in sounds:
            _encode_sound(film, stream)
    return path


def _encode_frames(film: Any, stream: Any, frames: int, noise: int) -> None:
    for index in range(frames):
        picture = av.VideoFrame.from_image(frame(index, noise))
        picture.pts, picture.time_base = index, Fraction(1, RATE)
        film.mux(stream.encode(picture))
    film.mux(stream.encode(None))


def _encode_sound(film: Any, stream: Any) -> None:
    context = stream.codec_context
    resampler = av.AudioResampler(
        format=context.format.name,
        layout=context.layout.name,
        rate=48_000,
        frame_size=context.frame_size or 1024,
    )
    for index in range(47):  # of 1024 samples: a second
        wave = av.AudioFrame(format="s16", layout="mono", samples=1024)
        wave.planes[0].update(bytes(index * step % 251 for step in range(2048)))
        wave.sample_rate, wave.pts, wave.time_base = 48_000, index * 1024, Fraction(1, 48_000)
        for part in resampler.resample(wave):
            film.mux(stream.encode(part))
    film.mux(stream.encode(None))


def decoded(path: Path) -> tuple[list[tuple[float, tuple[int, ...]]], int]:
    """Return each frame's moment and the colour of a pixel, and how many samples of sound."""
    with av.open(str(path)) as film:
        pictures = [
            (float(each.pts * each.time_base), each.to_image().getpixel((SIZE[0] - 9, 9)))
            for each in (film.decode(video=0) if film.streams.video else [])
        ]
    with av.open(str(path)) as film:
        sounds = film.decode(audio=0) if film.streams.audio else []
        return pictures, sum(each.samples for each in sounds)
