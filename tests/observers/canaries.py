"""Looks for secrets in every byte of a directory, as they are and as text shows them."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

SKIPPED = (".sock", "lock")  # they have no bytes


def forms(secret: bytes) -> tuple[bytes, ...]:
    """A secret in bytes, hex, base32 and base64, wherever in a longer text it begins."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for before in range(5):
        shifted = bytes(before) + secret
        text = base64.b32encode(shifted).rstrip(b"=")
        inner = text[-(-before * 8 // 5) : -1]  # what bytes before and after cannot change
        found += [inner, inner.lower()]
    for before in range(3):
        inner = base64.b64encode(bytes(before) + secret).rstrip(b"=")[-(-before * 4 // 3) : -1]
        found += [inner, inner.replace(b"+", b"-").replace(b"/", b"_")]
    return tuple(dict.fromkeys(found))


def leaks(directories: Iterable[Path], canaries: dict[str, bytes]) -> Iterator[str]:
    """Yield which canary is in which file."""
    wanted = {name: forms(secret) for name, secret in canaries.items()}
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if not path.is_file() or path.name.endswith(SKIPPED):
                continue
            data = path.read_bytes()
            for name, shapes in wanted.items():
                if any(shape in data for shape in shapes):
                    yield f"{name} is in {path.relative_to(directory.parent)}"
