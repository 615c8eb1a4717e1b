"""The directory authority's keys: made by tor's own tools, one set kept ready for the next boot.

Making them takes 1.3 to 1.8 s, so a running network makes a set for the one after it. A set is
used once: were two networks to share an authority, a client that had seen the first would trust
its cached consensus in the second and look for relays that are gone.
"""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from attrs import field, frozen
from platformdirs import user_cache_path

from onion.localnet.config import AUTHORITY
from onion.localnet.errors import KeysFailed, ProgramMissing

SPARE_VERSION = 1
MAX_SPARE = 64 << 10  # bytes; a set has about 8 KiB
MAX_SPARE_AGE = 20 * 86_400  # seconds; tor's Ed25519 signing certificate lasts 30 days
CERTIFICATE_MONTHS = 12
PROGRAM_TIMEOUT = 60  # seconds; RSA-3072 takes 1 to 2
# Debian and Homebrew put tor where the PATH of an ordinary user may not look.
EXTRA_PATH = ("/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin")

_CERTIFICATE = "authority_certificate"
_NAMES = re.compile(r"[a-z0-9_]{1,64}")


@frozen
class AuthorityKeys:
    """A directory authority's key files and the two fingerprints that go into DirAuthority.

    `files` maps names in tor's `keys` directory to contents. Fingerprints are 40 hex digits.
    """

    identity: str
    v3_identity: str
    published: float  # seconds since 1970
    files: dict[str, bytes] = field(repr=False)

    def write(self, directory: Path) -> None:
        """Write the files into the `keys` directory of a tor's data directory, mode 0600."""
        keys = directory / "keys"
        keys.mkdir(mode=0o700, parents=True)
        for name, content in self.files.items():
            _write_private(keys / name, content)


def find_program(name: str) -> str:
    """Return the absolute path of `tor` or one of its tools.

    Raises:
        ProgramMissing: it is not installed.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *EXTRA_PATH])
    found = shutil.which(name, path=path)
    if found is None:
        raise ProgramMissing(name)
    return os.path.abspath(found)


def killed_with_parent() -> list[str]:
    """Return what to put before a command for the kernel to kill it when its parent dies.

    `PR_SET_PDEATHSIG` of prctl(2), by setpriv of util-linux; empty where there is none. tor ends
    with its owner by itself, but tor 0.4.9.11 can deadlock in its own exit.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [] if setpriv is None else [os.path.abspath(setpriv), "--pdeathsig", "KILL"]


def spare_file() -> Path:
    """Return where the spare set of this user lies."""
    return user_cache_path("bits") / "localnet" / "authority-keys.json"


def make_keys(*, in_background: bool = False) -> AuthorityKeys:
    """Make new authority keys; blocks for 1.3 to 1.8 s, `in_background` at low priority.

    Raises:
        ProgramMissing: tor or tor-gencert is not installed.
        KeysFailed: one of them failed.
    """
    tor, gencert = find_program("tor"), find_program("tor-gencert")
    with tempfile.TemporaryDirectory(prefix="bits-keys-") as temporary:
        base = Path(temporary)
        keys = base / "keys"
        keys.mkdir(mode=0o700)
        # The identity key only renews certificates. It is dropped with the directory, and so is
        # the passphrase around it.
        command = [gencert, "--create-identity-key", "-i", str(base / "identity"), "-s"]
        command += [str(keys / "authority_signing_key"), "-c", str(keys / _CERTIFICATE)]
        command += ["-m", str(CERTIFICATE_MONTHS), "--passphrase-fd", "0"]
        _run(command, secrets.token_hex() + "\n", in_background)
        command = [tor, "--ignore-missing-torrc", "-f", os.devnull, "--hush", "--list-fingerprint"]
        command += ["--DataDirectory", str(base), "--Nickname", AUTHORITY, "--ORPort", "1"]
        command += ["--DirAuthority", f"{AUTHORITY} 127.0.0.1:1 {'F' * 40}"]
        printed = _run(command, "", in_background)
        identity = re.search(rf"^{AUTHORITY} ([0-9A-F ]+)$", printed, re.MULTILINE)
        if identity is None:
            raise KeysFailed("tor printed no fingerprint")
        files = {path.name: path.read_bytes() for path in sorted(keys.iterdir())}
    return AuthorityKeys(
        identity=identity[1].replace(" ", ""),
        v3_identity=_from_certificate(files, "fingerprint ([0-9A-F]{40})"),
        published=_published(files),
        files=files,
    )


def take_spare(path: Path, now: float) -> AuthorityKeys | None:
    """Take the spare set at `path`, if there is a usable one; no other process gets the same.

    A damaged, foreign, old or future one is removed. `now` is in seconds since 1970.
    """
    try:
        status = path.lstat()
        content = path.read_bytes() if status.st_size <= MAX_SPARE else b""
        path.unlink()  # of two takers, one fails here
    except OSError:
        return None
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        return None
    try:
        keys = _parse(content)
    except (ValueError, TypeError, KeyError, AttributeError, KeysFailed):
        return None
    return keys if 0 <= now - keys.published < MAX_SPARE_AGE else None


def keep_spare(path: Path, keys: AuthorityKeys) -> None:
    """Keep `keys` at `path` (0600, in a 0700 directory) for the next network.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {
        "version": SPARE_VERSION,
        "identity": keys.identity,
        "v3_identity": keys.v3_identity,
        "files": {name: base64.b64encode(data).decode() for name, data in keys.files.items()},
    }
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    _write_private(temporary, json.dumps(document).encode())
    temporary.replace(path)


def _parse(content: bytes) -> AuthorityKeys:
    document = json.loads(content)
    if document["version"] != SPARE_VERSION:
        raise ValueError("another version")
    files = {
        str(name): base64.b64decode(text, validate=True)
        for name, text in document["files"].items()
        if _NAMES.fullmatch(name)
    }
    identity = document["identity"]
    if not re.fullmatch("[0-9A-F]{40}", identity):
        raise ValueError("no fingerprint")
    return AuthorityKeys(
        identity=identity,
        v3_identity=_from_certificate(files, "fingerprint ([0-9A-F]{40})"),
        published=_published(files),
        files=files,
    )


def _published(files: dict[str, bytes]) -> float:
    text = _from_certificate(files, r"dir-key-published (\S+ \S+)")
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()


def _from_certificate(files: dict[str, bytes], pattern: str) -> str:
    """Return what `pattern` finds in the certificate (dir-spec, "key certificates")."""
    found = re.search(f"^{pattern}$", files[_CERTIFICATE].decode("ascii"), re.MULTILINE)
    if found is None:
        raise KeysFailed("the certificate is incomplete")
    return found[1]


def _run(command: list[str], standard_input: str, in_background: bool) -> str:
    """Run `command` and return what it printed."""
    nice = shutil.which("nice") if in_background else None
    try:
        done = subprocess.run(  # noqa: S603 - absolute paths of tor's own tools
            [nice, "-n", "10", *command] if nice else command,
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeysFailed(str(error)) from error
    if done.returncode:
        last = [*(done.stdout + done.stderr).splitlines(), "no message"][-1]
        raise KeysFailed(f"{command[0]}: {last}")
    return done.stdout


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
