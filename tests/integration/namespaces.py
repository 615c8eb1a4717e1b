"""Network namespaces and system call traces: the proof that bits opens no way round Tor.

The Tor network runs in a namespace of which only `lo` is up. A node runs in one of which nothing
is up, and reaches its tor through unix sockets on the filesystem, which namespaces do not divide.
So whatever a node tries to reach by itself fails; and that it does not even try is read from a
trace of the system calls of all its processes. tor runs elsewhere, so every socket in such a
trace is one that bits made.

    with start_tor_namespace() as tor_namespace, node_namespace() as namespace:
        network = PrivateTorNetwork(reactor, directory, namespace=tor_namespace.name)
        ...
        with ClientTor(home, network.client_options(), command=tor_namespace.command) as tor:
            run_traced(namespace, ["bitsnode", "--tor", "--tor-control", ...], trace)
            assert_no_inet_socket(trace)

Linux only, and root; `why_not()` says what is missing.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

PREFIX = "bitstest-"  # then the process id of the test run, which says who may remove it
RUN_TIMEOUT = 120.0  # seconds
# io_uring can open sockets without a system call for each, hence out of sight of strace.
TRACED = "socket,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup"
HARMLESS = {"AF_UNIX", "AF_NETLINK"}  # neither leaves the machine

_FAMILY = re.compile(r"\b(?:sa_family=|socket\()([A-Z]F_[A-Z0-9_]+|0x[0-9a-f]+|[0-9]+)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # data and paths, which may hold any word
_CALL = re.compile(r"^\s*(?P<pid>[0-9]+)\s+(?P<call>(?P<name>[a-z0-9_]+)\(.*)$")
_ENDED = re.compile(r"^\s*[0-9]+\s+\+\+\+ (?:exited with|killed by)", re.MULTILINE)


@frozen
class Namespace:
    """A network namespace, there as long as the context that made it."""

    name: str

    @property
    def command(self) -> list[str]:
        """What to put before a command (its own process becomes the command) to run it inside."""
        return ["ip", "netns", "exec", self.name]


@frozen
class SocketCall:
    """A system call in a trace that names an address family other than the harmless ones."""

    pid: int
    call: str  # as strace wrote it, such as 'socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3'


def why_not() -> str | None:
    """Say why namespaces cannot be used here, or None if they can."""
    if sys.platform != "linux":
        return "network namespaces are a feature of Linux"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    for program in ("ip", "strace"):
        if shutil.which(program) is None:
            return f"the program {program} is not installed"
    name = _name()
    made = _ip("netns", "add", name)
    if made.returncode:
        return f"this kernel or container refuses network namespaces: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return None


@contextlib.contextmanager
def start_tor_namespace() -> Iterator[Namespace]:
    """Make a namespace of which only `lo` is up: the place for all tors."""
    with node_namespace() as namespace:
        up = _ip("-n", namespace.name, "link", "set", "lo", "up")
        if up.returncode:
            raise RuntimeError(f"lo of {namespace.name} did not come up: {up.stderr}")
        yield namespace


@contextlib.contextmanager
def node_namespace() -> Iterator[Namespace]:
    """Make a namespace of which nothing is up, not even `lo`; at the end all in it is killed."""
    remove_stale()
    name = _name()
    made = _ip("netns", "add", name)
    if made.returncode:
        raise RuntimeError(f"no namespace: {made.stderr}")
    try:
        yield Namespace(name)
    finally:
        _remove(name)


def remove_stale() -> None:
    """Remove the namespaces of test runs that died before they could."""
    for line in _ip("netns", "list").stdout.splitlines():
        name = line.split()[0]
        owner = re.fullmatch(rf"{PREFIX}([0-9]+)-[0-9a-f]+", name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            _remove(name)


def traced_command(namespace: Namespace, command: Sequence[str], trace: Path) -> list[str]:
    """Return the command line that runs `command` in `namespace` and traces it to `trace`.

    For whoever starts processes otherwise than by `run_traced`, such as a node that stays. End
    it by signal: strace hands SIGTERM on to nobody, so signal the process group or use the pid of
    the node itself.
    """
    strace = ["strace", "-f", "-e", f"trace={TRACED}", "-e", "signal=none", "-o", str(trace)]
    # strace goes inside: the netlink sockets of `ip` itself are no business of ours.
    return [*namespace.command, *strace, *command]


def run_traced(
    namespace: Namespace,
    command: Sequence[str],
    trace: Path,
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = RUN_TIMEOUT,
) -> "subprocess.CompletedProcess[str]":
    """Run `command` to its end in `namespace`, all its system calls on sockets traced.

    Blocks for at most `timeout` seconds, then kills it with all its children. The result holds
    what it printed and its exit status.
    """
    process = subprocess.Popen(
        traced_command(namespace, command, trace),
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


def socket_calls(trace: str) -> list[SocketCall]:
    """Return the calls in the text of a trace that touch any family but the harmless ones.

    AF_INET and AF_INET6 foremost; a family that nobody expects, or io_uring, is listed too.
    """
    calls = []
    for line in trace.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        families = set(_FAMILY.findall(_STRING.sub('""', found["call"])))
        # AF_UNSPEC is what connect() takes to dissolve an association; it leads nowhere.
        families -= HARMLESS | {"AF_UNSPEC"}
        if families or found["name"] == "io_uring_setup":
            calls.append(SocketCall(int(found["pid"]), found["call"]))
    return calls


def assert_no_inet_socket(trace: Path) -> None:
    """Check that the traced processes made no socket that could leave the machine.

    Raises:
        AssertionError: they did, or the trace is not the whole of a run and so proves nothing.
    """
    text = trace.read_text("utf-8", "replace")
    assert _ENDED.search(text), f"{trace} holds no run that ended: it proves nothing"
    calls = socket_calls(text)
    listed = "\n".join(f"  {call.pid}: {call.call}" for call in calls)
    assert not calls, f"{len(calls)} system calls went round Tor:\n{listed}"


def _name() -> str:
    return f"{PREFIX}{os.getpid()}-{secrets.token_hex(3)}"


def _remove(name: str) -> None:
    """Kill what runs in a namespace and delete it."""
    for pid in _ip("netns", "pids", name).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _ip("netns", "del", name)


def _ip(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
