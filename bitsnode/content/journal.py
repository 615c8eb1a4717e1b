"""Publish jobs on disk: an immutable snapshot of the ciphertext and a journal of what is stored.

``HOME/staging/<job>/``: ``snapshot`` (ciphertexts of the chunks one after the other), ``layers``
(for each chunk the n block roots), ``manifest`` (sealed), ``journal.json``. The journal is
written last, when all else is on the disk: a job without one was cut short and is thrown away
with its content secret, which has then met no reader; a job with one is never encrypted again.
"""

import json
import secrets
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.codec.erasure import Code
from bitsnode.codec.layout import Layout
from bitsnode.codec.link import Link
from bitsnode.codec.merkle import ROOT_SIZE
from bitsnode.content.errors import StateNewer
from bitsnode.content.files import (
    private_folder,
    read_at,
    remove_folder,
    sync_file,
    sync_folder,
    write_atomically,
)
from bitsnode.ids import ContentId

JOURNAL_VERSION: Final = 1
MAX_AGE: Final = 7 * 86400  # seconds after which an unfinished job is given up


@attrs.frozen
class Stored:
    """A share that a holder promised to keep.

    Attributes:
        index: of the share.
        onion_key: of the holder, 32 bytes.
        whitened_root: of what it keeps, 32 bytes.
        lease_until: Unix time in seconds.
    """

    index: int
    onion_key: bytes
    whitened_root: bytes
    lease_until: int


@attrs.frozen
class Journal:
    """What a publish needs to go on.

    Attributes:
        size: bytes of plaintext.
        sha256: of the plaintext, 32 bytes.
        k: of the code.
        n: of the code.
        content_secret: 16 bytes.
        whitening: W, 16 bytes.
        publisher_seed: Ed25519 seed, 32 bytes.
        digest: of the content id, 32 bytes.
        created: Unix time in seconds.
        sequence: of the placement record that was signed last; 0 for none.
        stored: shares that are stored.
    """

    size: int
    sha256: bytes
    k: int
    n: int
    content_secret: bytes = attrs.field(repr=False)
    whitening: bytes = attrs.field(repr=False)
    publisher_seed: bytes = attrs.field(repr=False)
    digest: bytes
    created: float = 0.0
    sequence: int = 0
    stored: tuple[Stored, ...] = ()

    @property
    def link(self) -> Link:
        """What reads the content."""
        return Link(ContentId(self.digest), self.content_secret, self.whitening)

    @property
    def code(self) -> Code:
        """The code."""
        return Code(self.k, self.n)

    @property
    def layout(self) -> Layout:
        """Where the bytes lie."""
        return Layout(self.size, self.k, self.n)

    def encode(self) -> bytes:
        """Return the journal as JSON; bytes are hexadecimal."""
        fields = attrs.asdict(self, value_serializer=_hexadecimal)
        return json.dumps({"version": JOURNAL_VERSION, **fields}).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Journal":
        """Read a journal.

        Raises:
            StateNewer: of a later version.
            ValueError, KeyError, TypeError: damaged.
        """
        found = json.loads(data)
        if found.pop("version") > JOURNAL_VERSION:
            raise StateNewer
        for name in ("sha256", "content_secret", "whitening", "publisher_seed", "digest"):
            found[name] = bytes.fromhex(found[name])
        found["stored"] = tuple(
            Stored(
                line["index"],
                bytes.fromhex(line["onion_key"]),
                bytes.fromhex(line["whitened_root"]),
                line["lease_until"],
            )
            for line in found["stored"]
        )
        return cls(**found)


def _hexadecimal(_instance: object, _attribute: object, value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


@attrs.define
class Job:
    """One publish job on disk.

    Attributes:
        folder: its own.
        journal: as it is on the disk.
    """

    folder: Path
    journal: Journal

    @property
    def snapshot(self) -> Path:
        """The file of ciphertexts."""
        return self.folder / "snapshot"

    def write(self, journal: Journal) -> None:
        """Replace the journal."""
        write_atomically(self.folder / "journal.json", journal.encode())
        self.journal = journal

    def cipher(self, chunk: int) -> bytes:
        """Return the ciphertext of a chunk."""
        layout = self.journal.layout
        return read_at(self.snapshot, layout.cipher_offset(chunk), layout.cipher_size(chunk))

    def layer(self, index: int) -> bytes:
        """Return the block roots of one share, 32 bytes for each chunk."""
        rows = (self.folder / "layers").read_bytes()
        step = self.journal.n * ROOT_SIZE
        starts = range(index * ROOT_SIZE, len(rows), step)
        return b"".join(rows[at : at + ROOT_SIZE] for at in starts)

    def manifest(self) -> bytes:
        """Return the sealed manifest."""
        return (self.folder / "manifest").read_bytes()

    def commit(self, layers: bytes, manifest: bytes) -> None:
        """Make the job one that is resumed: from now on its ciphertext is never made again."""
        write_atomically(self.folder / "layers", layers)
        write_atomically(self.folder / "manifest", manifest)
        sync_file(self.snapshot)
        sync_folder(self.folder)
        self.write(self.journal)

    def remove(self) -> None:
        """Forget the job."""
        # the journal first: a job without one is swept, whatever else is left of it
        (self.folder / "journal.json").unlink(missing_ok=True)
        remove_folder(self.folder)


class Jobs:
    """All publish jobs of a home.

    Args:
        folder: ``HOME/staging``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_folder(self) -> Path:
        """Make a folder for a new job."""
        private_folder(self.folder)
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        sync_folder(self.folder)
        return folder

    def complete(self) -> list[Job]:
        """Return the jobs that can go on; what cannot be read is left out."""
        found = []
        for folder in self._folders():
            try:
                data = (folder / "journal.json").read_bytes()
                found.append(Job(folder, Journal.decode(data)))
            except (OSError, ValueError, KeyError, TypeError, StateNewer):
                continue
        return found

    def sweep(self, now: float, in_use: set[Path]) -> None:
        """Throw away jobs that were cut short before their journal, and those too old.

        Args:
            now: Unix time in seconds.
            in_use: folders of jobs that are under way.
        """
        for folder in self._folders():
            if folder not in in_use and not (folder / "journal.json").exists():
                remove_folder(folder)
        for job in self.complete():
            if job.folder not in in_use and job.journal.created < now - MAX_AGE:
                job.remove()

    def _folders(self) -> list[Path]:
        try:
            return [entry for entry in self.folder.iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return []
