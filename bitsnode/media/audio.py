"""Sounds: moved into an MP4 that plays at once and says nothing of its maker."""

from pathlib import Path

import attrs

from bitsnode.media.remux import remux


@attrs.frozen
class PreparedAudio:
    """A sound as it is sold.

    Attributes:
        media_type: audio/mp4.
        seconds: duration.
        dropped: tracks that were left behind, such as the cover.
    """

    media_type: str
    seconds: float
    dropped: int


def prepare(path: Path, output: Path) -> PreparedAudio:
    """Make of a sound the MP4 that is sold; nothing is encoded anew. Blocks.

    Args:
        path: an MP3, M4A, FLAC or Ogg Opus file.
        output: the MP4 to make; not there yet, made private, gone again when this fails. It is
            plaintext: whoever asks for it removes it.

    Raises:
        MediaError: as `remux`.
    """
    tracks = remux(path, output, picture=False)
    return PreparedAudio("audio/mp4", tracks.seconds, tracks.dropped)
