"""What the supervisor of a localnet and the commands that speak to it agree on: files."""

import fcntl
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import attrs

from bitsnode.errors import BitsError

Profile = Literal["default", "fast"]


class NotALocalnet(BitsError):
    """The localnet's files in this directory cannot be read; use another --dir."""


@attrs.frozen
class LocalnetNode:
    """One node of a localnet.

    Attributes:
        home: its directory.
        peer_onion: its onion address.
        api: path of its control socket.
        shop_onion: onion address of its shop; "" for none.
    """

    home: str
    peer_onion: str
    api: str
    shop_onion: str = ""


@attrs.frozen
class LocalnetChain:
    """The chain of a localnet.

    Attributes:
        directory: of the chain.
        chain_id: as in EIP-155.
        rpc: its URL, for nodes, through Tor.
        socket: where tools of this machine find its RPC.
        deployment: file that says where the contracts are.
    """

    directory: str
    chain_id: int
    rpc: str
    socket: str
    deployment: str


@attrs.frozen
class LocalnetState:
    """What the supervisor last said.

    Attributes:
        ready: all wanted nodes are reachable.
        text: what it is doing, for a person.
        error: why it gave up, or "".
        tor_version: as tor reports it.
        nodes: in order of their numbers.
        chain: None until it is reachable.
        browse: proxy for the browser of a person, or "".
    """

    ready: bool
    text: str
    error: str = ""
    tor_version: str = ""
    nodes: tuple[LocalnetNode, ...] = ()
    chain: LocalnetChain | None = None
    browse: str = ""


class StateFile:
    """The files of one localnet: ``state.json``, ``wanted.json``, ``revive``, a lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self) -> LocalnetState | None:
        """Return the state, or None when the supervisor has not written any."""
        found = self._load("state.json")
        if found is None:
            return None
        try:
            nodes = tuple(LocalnetNode(**node) for node in found.pop("nodes"))
            chain = found.pop("chain")
            return LocalnetState(nodes=nodes, chain=chain and LocalnetChain(**chain), **found)
        except (TypeError, KeyError) as error:
            raise NotALocalnet from error

    def write(self, state: LocalnetState) -> None:
        """Replace the state."""
        self._save("state.json", attrs.asdict(state))

    def clear(self) -> None:
        """Forget what an earlier supervisor said."""
        (self.directory / "state.json").unlink(missing_ok=True)
        (self.directory / "revive").unlink(missing_ok=True)

    def read_wanted(self) -> int:
        """Return the number of nodes wanted."""
        found = self._load("wanted.json")
        return int(found["nodes"]) if found else 0

    def browse_wanted(self) -> bool:
        """Return whether a tor for browsers is wanted."""
        found = self._load("wanted.json")
        return bool(found and found.get("browse"))

    def profile_wanted(self) -> Profile:
        """Return how the tors are to be paced; see `onion.localnet`."""
        found = self._load("wanted.json")
        return "fast" if found and found.get("profile") == "fast" else "default"

    def write_wanted(self, nodes: int, browse: bool, profile: Profile = "default") -> None:
        """Set the number of nodes wanted, whether a tor for browsers is, and the tors' pace."""
        self._save("wanted.json", {"nodes": nodes, "browse": browse, "profile": profile})

    def lock(self) -> int:
        """Take the lock for this process's life; return its descriptor.

        Raises:
            BlockingIOError: another supervisor runs here.
        """
        descriptor = os.open(self.directory / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        return descriptor

    def running_pid(self) -> int | None:
        """Return the process id of the supervisor that runs here, or None."""
        try:
            with open(self.directory / "supervisor.lock") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0) or None
        except FileNotFoundError:
            pass
        return None

    def request_revival(self, pid: int) -> None:
        """Ask the supervisor to start what is wanted and does not run."""
        (self.directory / "revive").touch()
        os.kill(pid, signal.SIGHUP)

    def revival_requested(self) -> bool:
        """Return whether the supervisor has yet to see the request."""
        return (self.directory / "revive").exists()

    def revival_seen(self) -> None:
        """Acknowledge the request."""
        (self.directory / "revive").unlink(missing_ok=True)

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self.directory / name).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise NotALocalnet from error
        if not isinstance(found, dict):
            raise NotALocalnet
        return found

    def _save(self, name: str, value: object) -> None:
        draft = self.directory / f"{name}.new"
        draft.write_text(json.dumps(value))
        draft.replace(self.directory / name)


def python_command(module: str) -> list[str]:
    """Return the command that runs a module of ours with this interpreter."""
    return [sys.executable, "-m", module]
