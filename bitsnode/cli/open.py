"""``bitsnode open``: decrypt a sealed file of a shop, without a node and without a network."""

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click

from bitsnode.cli.context import CommandLine, json_option
from bitsnode.cli.progress import size
from bitsnode.cli.remote import ProgressLine
from bitsnode.cli.wallet import read_secret
from bitsnode.errors import BitsError


class CannotOpen(BitsError):
    """The sealed file cannot be opened."""


@click.command()
@click.argument("sealed", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write."
)
@click.option(
    "--link-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the link from the first line of this file (chmod 600) and do not ask.",
)
@json_option
@click.pass_obj
def command(line: CommandLine, sealed: Path, output: Path, link_file: Path | None) -> None:
    """Decrypt SEALED, a file that a shop gave you, into a new file.

    Asks for the link that the shop shows after payment. It is secret, so it is never an argument.
    No node needs to run, and nothing is sent.
    """
    text = read_secret(line, link_file, "Link from the shop (bits:bafy…): ")
    progress = ProgressLine(line)
    try:
        result = _open(sealed, output.absolute(), text.strip(), progress.event)
    except BitsError as error:
        progress.end()
        line.fail(error)
    except KeyboardInterrupt:
        progress.end()
        line.fail("Stopped.")
    progress.end()
    shown = f"{result['path']}: {size(result['bytes'])}\nsha256 {result['sha256']}"
    line.emit(result, shown)


def _open(
    sealed: Path, output: Path, text: str, tell: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Decrypt into a private file beside the output, and put it there when all of it is right.

    Raises:
        BitsError: the link is none, or a file cannot be read or written, or a chunk does not open.
    """
    from bitsnode.codec.link import Link
    from bitsnode.content.files import create_private, sync_folder

    link = Link.parse(text)
    _check_free(output)
    beside = output.with_name(f".{secrets.token_hex(8)}.bits")
    try:
        with sealed.open("rb") as source:
            descriptor = create_private(beside)
            try:
                with open(descriptor, "wb") as target:
                    digest, written = _decrypt(source, target, link.content_secret, tell)
                    target.flush()
                    os.fsync(target.fileno())
                _check_free(output)
                beside.rename(output)
            finally:
                beside.unlink(missing_ok=True)
        sync_folder(output.parent)
    except OSError as error:
        name = sealed if error.filename == str(sealed) else output
        raise CannotOpen(f"{name} cannot be used: {error.strerror}.") from error
    return {
        "path": str(output),
        "sha256": digest,
        "bytes": written,
        "content_id": str(link.content_id),
    }


def _check_free(output: Path) -> None:
    if os.path.lexists(output):
        raise CannotOpen(f"{output} exists already; choose another --output.")


def _decrypt(
    source: BinaryIO, target: BinaryIO, secret: bytes, tell: Callable[[dict[str, Any]], None]
) -> tuple[str, int]:
    """Decrypt chunk by chunk; each is verified before it is written.

    Returns:
        SHA-256 in hex and bytes of the plaintext.
    """
    from bitsnode.codec.chunks import ChunkCipher
    from bitsnode.codec.errors import DamagedChunk
    from bitsnode.codec.layout import CHUNK_SIZE, TAG_SIZE

    total = os.fstat(source.fileno()).st_size
    chunks = -(-total // (CHUNK_SIZE + TAG_SIZE))
    cipher = ChunkCipher.of(secret, chunks)
    digest, written = hashlib.sha256(), 0
    for chunk in range(chunks):
        try:
            plain = cipher.decrypt(chunk, source.read(CHUNK_SIZE + TAG_SIZE))
        except DamagedChunk as error:
            raise _complaint(chunk, chunks) from error
        target.write(plain)
        digest.update(plain)
        written += len(plain)
        tell({"event": "decoding", "done": written, "total": total - chunks * TAG_SIZE})
    return digest.hexdigest(), written


def _complaint(chunk: int, chunks: int) -> CannotOpen:
    """Say what is known: each chunk is bound to the key, its place and the number of chunks."""
    if chunk == 0:
        return CannotOpen(
            "The sealed file does not open: the link is of another content, or the file is not"
            " complete; compare its size with what the shop says, and download it again."
        )
    last = " or cut short" if chunk == chunks - 1 else ""
    return CannotOpen(
        f"The sealed file is damaged{last} in its part {chunk + 1} of {chunks}: download it again."
    )
