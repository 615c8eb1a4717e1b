"""What a file is, by its first bytes."""

import os
from pathlib import Path

import pytest

from bitsnode.media.errors import MediaMissing
from bitsnode.media.kinds import UNKNOWN, look, look_at

# signatures as listed by https://mimesniff.spec.whatwg.org/ (§6) and the formats' own documents
SHOWN = {
    b"\xff\xd8\xff\xe0\x00\x10JFIF": "image/jpeg",
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR": "image/png",
    b"GIF89a": "image/gif",
    b"RIFF\x10\x00\x00\x00WEBPVP8 ": "image/webp",
    b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2": "video/mp4",
    b"\x00\x00\x00\x1cftypmp42\x00\x00\x00\x00": "video/mp4",
    b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00": "video/quicktime",
    b"\x00\x00\x00\x1cftypM4A \x00\x00\x00\x00": "audio/mp4",
    b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm": "video/webm",
    b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska": "video/x-matroska",
    b"fLaC\x00\x00\x00\x22": "audio/flac",
    b"OggS\x00\x02": "audio/ogg",
    b"ID3\x04\x00": "audio/mpeg",
    b"\xff\xfb\x90\x64": "audio/mpeg",
}
DOWNLOADS = [
    b"",
    b"\xff",
    b"<!DOCTYPE html><script>alert(1)</script>",
    b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    b"<svg onload=alert(1)>",
    b"%PDF-1.7",
    b"PK\x03\x04",
    b"II*\x00",
    b"MM\x00*",
    b"8BPS\x00\x01",
    b"\x00\x00\x00\x18ftypheic",
    b"\x00\x00\x00\x1cftypavif",
    b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84evil",
    b"RIFF\x10\x00\x00\x00WAVEfmt ",
    b"MZ\x90\x00",
    b"\x7fELF",
    b"#!/bin/sh\n",
    b"\xff\xff\xff\xff",
    b"\xef\xbb\xbf<html>",
    b"plain text",
]


@pytest.mark.parametrize(("head", "media_type"), SHOWN.items())
def test_what_can_be_shown_is_known(head: bytes, media_type: str) -> None:
    """Each kind that is shown is told by its signature."""
    assert look_at(head + bytes(64)) == media_type


@pytest.mark.parametrize("head", DOWNLOADS)
def test_everything_else_is_a_download(tmp_path: Path, head: bytes) -> None:
    """Nothing that a browser could run has a type, whatever the file is called."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(head)
    assert look(path) == UNKNOWN


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    """A FIFO that nobody writes to hangs nobody."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "fifo"):
        with pytest.raises(MediaMissing, match=str(path)):
            look(path)
