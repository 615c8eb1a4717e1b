"""Start, own and stop a private Tor network: one directory authority and some relays.

A boot must not depend on luck. Three things make it the same each time, see README.md: every
relay's `state` is seeded with the same bandwidth history; the authority votes when it knows all
relays and not before; every relay is told to look again (SIGHUP) at the moment of the consensus.
"""

import os
import subprocess
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import defer, task, threads
from twisted.logger import Logger

from onion.localnet import config, consensus, keys, layout
from onion.localnet.daemon import RelayDaemon
from onion.localnet.errors import BootTimedOut, LocalnetError, NamespaceFailed, RelayExited
from onion.localnet.progress import LocalnetProgress, OnProgress, Stage, Tell

BOOT_TIMEOUT = 90.0  # seconds; a boot takes 5 to 10 on two cores
LOCK_INTERVAL = 0.05  # seconds between two tries for the directory
RELAYS = 4  # with the authority five: the fewest with which onion circuits always find a path
FIRST_NAMESPACE_PORT = 20_000  # a namespace made for the network has all its ports free

_T = TypeVar("_T")


class PrivateTorNetwork:
    """A Tor network of `relays` + 1 tors on 127.0.0.1, owned by this process.

    Several may run on one machine, each in its own directory. All tors end with this process,
    even if it is killed. `base_port` is the first TCP port tried (random when None), `namespace`
    the network namespace of all tors (root on Linux; its `lo` must be up), `profile` "fast" an
    unpaced network for benchmarks, `relay_options` further torrc options of every relay. `timeout`
    is in seconds. `on_lost` is called, once per tor, when one dies after the boot.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        directory: Path,
        *,
        relays: int = RELAYS,
        base_port: int | None = None,
        profile: config.Profile = "default",
        namespace: str | None = None,
        relay_options: config.TorOptions | None = None,
        timeout: float = BOOT_TIMEOUT,
        on_lost: Callable[[LocalnetError], None] | None = None,
    ) -> None:
        self.directory = Path(os.path.abspath(directory))
        self.tor_version = ""  # known once `start` has returned
        self._reactor = reactor
        self._relays = relays
        self._base_port = base_port
        self._profile = profile
        self._namespace = namespace
        self._relay_options = relay_options or {}
        self._timeout = timeout
        self._on_lost = on_lost
        self._lock: layout.DirectoryLock | None = None
        self._daemons: list[RelayDaemon] = []
        self._options: config.TorOptions = {}
        self._boot: defer.Deferred[None] | None = None
        self._failure: LocalnetError | None = None

    async def start(self, progress: OnProgress | None = None) -> None:
        """Boot the network; return when clients can join it. Nothing runs on when it fails.

        Raises:
            ProgramMissing: tor or tor-gencert is not installed.
            NetworkAlreadyRunning: the directory belongs to a live network, this one included.
            RelayExited: a tor stopped; says which, and its last words.
            BootTimedOut: it took longer than `timeout` seconds; says at which stage.
            LocalnetError: its other kinds.
        """
        tor = keys.find_program("tor")
        keys.find_program("tor-gencert")
        self._lock = await self._take_lock()
        self._failure = None
        began = self._reactor.seconds()
        stage = Stage.KEYS

        def tell(now: Stage, done: int, total: int) -> None:
            nonlocal stage
            stage = now
            if progress is not None:
                progress(LocalnetProgress(now, done, total, self._reactor.seconds() - began))

        self._boot = defer.Deferred.fromCoroutine(self._run_boot(tor, tell))
        self._boot.addTimeout(self._timeout, self._reactor)
        try:
            await self._boot
        except defer.TimeoutError as reason:
            await self.stop()
            raise BootTimedOut(f"{self._timeout:.0f} s, still {stage.value}") from reason
        except BaseException as reason:
            await self.stop()
            if self._failure is None:
                raise
            raise self._failure from reason
        finally:
            self._boot = None
        tell(Stage.READY, 1, 1)

    async def stop(self) -> None:
        """End all tors and leave only logs. Does nothing when the network does not run."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        if self._boot is not None:
            self._boot.cancel()
        (self.directory / "network.json").unlink(missing_ok=True)
        daemons, self._daemons = self._daemons, []
        await _all(daemon.stop() for daemon in daemons)
        layout.remove_sockets(self.directory)
        lock.release()

    async def browse(self) -> int:
        """Start a client tor for browsers; return the port of its SOCKS on 127.0.0.1.

        To be called once, when the network runs. Nodes never use it.

        Raises:
            RelayExited: it stopped; says its last words.
        """
        (port,) = config.free_ports(1)
        directory = self.directory / config.BROWSING
        control = (self.directory / "sockets").resolve() / f"{config.BROWSING}.control"
        place = config.Relay(config.BROWSING, directory, control, or_port=0)
        options = config.browsing_options(
            place, self.client_options(), port=port, owner_pid=os.getpid()
        )
        directory.mkdir(mode=0o700)
        (directory / "torrc").write_text(config.render_torrc(options), "utf-8")
        await self._start_daemon(keys.find_program("tor"), place)
        return port

    def client_options(self) -> config.TorOptions:
        """Return a copy of the torrc options with which a client tor joins this network."""
        return {
            name: value if isinstance(value, str) else list(value)
            for name, value in self._options.items()
        }

    async def _take_lock(self) -> layout.DirectoryLock:
        """Take the directory, looking thrice: `is_running` of others holds it for an instant."""
        for _ in range(2):
            try:
                return layout.DirectoryLock(self.directory)
            except LocalnetError:
                await task.deferLater(self._reactor, LOCK_INTERVAL)
        return layout.DirectoryLock(self.directory)

    async def _run_boot(self, tor: str, tell: Tell) -> None:
        tell(Stage.KEYS, 0, 1)
        await self._in_thread(layout.clear, self.directory)
        spare = keys.spare_file()
        authority_keys = keys.take_spare(spare, self._reactor.seconds())
        if authority_keys is None:
            authority_keys = await self._in_thread(keys.make_keys)
        if self._namespace is not None and self._profile == "fast":
            await self._in_thread(_prepare_namespace, self._namespace)
        relays, authority = self._plan(authority_keys)
        for relay in relays:
            self._write(relay, authority, authority_keys)
        await self._start_daemons(tor, relays, tell)
        await consensus.reach(self._reactor, self._daemons, tell)
        self.tor_version = await self._daemons[0].version()
        self._options = config.client_options(authority, self._profile)
        layout.NetworkFile(
            tor_version=self.tor_version,
            profile=self._profile,
            supervisor=os.getpid(),
            pids={daemon.relay.nickname: daemon.pid for daemon in self._daemons},
            client_options=self._options,
        ).write(self.directory)
        self._make_spare(spare)

    def _plan(
        self, authority_keys: keys.AuthorityKeys
    ) -> tuple[list[config.Relay], config.Authority]:
        """Give every tor its name, place and ports; the first is the authority."""
        names = [config.AUTHORITY, *(f"relay{index}" for index in range(self._relays))]
        if self._namespace is None:
            dir_port, *ports = config.free_ports(len(names) + 1, self._base_port)
        else:
            first = FIRST_NAMESPACE_PORT if self._base_port is None else self._base_port
            dir_port, *ports = range(first, first + len(names) + 1)
        sockets = layout.make_sockets(self.directory)
        relays = [
            config.Relay(
                nickname=name,
                directory=self.directory / name,
                control=sockets / f"{name}.control",
                or_port=port,
                dir_port=dir_port if name == config.AUTHORITY else None,
            )
            for name, port in zip(names, ports, strict=True)
        ]
        return relays, config.Authority(
            or_port=ports[0],
            dir_port=dir_port,
            identity=authority_keys.identity,
            v3_identity=authority_keys.v3_identity,
        )

    def _write(
        self,
        relay: config.Relay,
        authority: config.Authority,
        authority_keys: keys.AuthorityKeys,
    ) -> None:
        now = self._reactor.seconds()
        options = config.relay_options(
            relay, authority, profile=self._profile, owner_pid=os.getpid()
        )
        options |= self._relay_options
        relay.directory.mkdir(mode=0o700)
        if relay.dir_port is not None:
            options |= config.authority_options(relay.dir_port, now)
            authority_keys.write(relay.directory)
        (relay.directory / "state").write_text(config.seeded_state(now), "ascii")
        (relay.directory / "torrc").write_text(config.render_torrc(options), "utf-8")

    async def _start_daemons(self, tor: str, relays: list[config.Relay], tell: Tell) -> None:
        connected = 0

        async def start(relay: config.Relay) -> None:
            nonlocal connected
            await self._start_daemon(tor, relay)
            connected += 1
            tell(Stage.TORS, connected, len(relays))

        tell(Stage.TORS, 0, len(relays))
        await _all(start(relay) for relay in relays)

    async def _start_daemon(self, tor: str, relay: config.Relay) -> None:
        """Start one tor, and wait until its control connection owns it."""
        daemon = RelayDaemon(self._reactor, relay, self._daemon_exited)
        prefix = [] if self._namespace is None else _in_namespace(self._namespace)
        torrc = str(relay.directory / "torrc")
        # --hush: what is wrong before the log file is open goes to the output we keep.
        command = [tor, "--hush", "-f", torrc, "--defaults-torrc", os.devnull]
        daemon.spawn([*prefix, *keys.killed_with_parent(), *command])
        self._daemons.append(daemon)
        await daemon.connect()

    def _daemon_exited(self, daemon: RelayDaemon) -> None:
        failure = RelayExited(f"{daemon.relay.nickname}: {daemon.last_words()}")
        if self._boot is not None:
            self._failure = self._failure or failure
            self._boot.cancel()
            return
        self._log.error("{failure}", failure=failure)
        if self._on_lost is not None:
            self._on_lost(failure)

    def _make_spare(self, path: Path) -> None:
        """Make keys for the next network while this one runs; nothing depends on it."""
        if path.exists():
            return

        def make() -> None:
            keys.keep_spare(path, keys.make_keys(in_background=True))

        made = self._in_thread(make)
        made.addErrback(lambda why: self._log.info("no spare keys: {why}", why=why.value))

    def _in_thread(self, function: Callable[..., _T], *args: Any) -> "defer.Deferred[_T]":
        pool = self._reactor.getThreadPool()
        return threads.deferToThreadPool(self._reactor, pool, function, *args)


def quickack_commands(namespace: str) -> list[list[str]]:
    """Return the commands that make loopback TCP of `namespace` acknowledge at once.

    Loopback is bound by delayed ACKs, not by CPU. Both local routes must be replaced, or it has
    no effect (ip-route(8), quickack).
    """
    route = "dev lo table local proto kernel scope host src 127.0.0.1 quickack 1".split()
    return [
        ["ip", "-n", namespace, "route", "replace", "local", destination, *route]
        for destination in ("127.0.0.1", "127.0.0.0/8")
    ]


def _prepare_namespace(namespace: str) -> None:
    for command in quickack_commands(namespace):
        command[0] = keys.find_program("ip")
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise NamespaceFailed(f"{namespace}: {done.stderr.strip()}")


def _in_namespace(namespace: str) -> list[str]:
    return [keys.find_program("ip"), "netns", "exec", namespace]


async def _all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once and wait for all; the first failure is raised and ends the others."""
    started = [defer.Deferred.fromCoroutine(coroutine) for coroutine in coroutines]
    try:
        await defer.gatherResults(started, consumeErrors=True)
    except defer.FirstError as first:
        for deferred in started:
            deferred.cancel()
        first.subFailure.raiseException()
