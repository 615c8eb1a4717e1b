"""A tor that can be used: one that we launched, or one that was running already."""

from pathlib import Path
from typing import Any

import attrs

from onion.control import TorControl
from onion.heartbeat import HeartbeatTimes
from onion.once import Once
from onion.process import TorOptions, TorPlace, TorProcess


@attrs.frozen
class TorSettings:
    """Which tor to use, and how.

    Attributes:
        home: directory of the node; a tor of our own lives in its "tor".
        control: control socket of a running tor to attach to; None launches our own.
        binary: the program to launch; None finds it.
        extra_options: torrc options added for a tor that we launch.
        exits: also reach names outside of onion services, on a SOCKS socket of its own.
        heartbeat: when a tor that does not answer counts as lost.
    """

    home: Path
    control: Path | None = None
    binary: str | None = None
    extra_options: TorOptions = attrs.field(factory=dict)
    exits: bool = False
    heartbeat: HeartbeatTimes = attrs.field(factory=HeartbeatTimes)


class RunningTor:
    """A tor with a control connection of ours.

    Attributes:
        control: the control connection.
        socks: the unix socket of its SOCKS port.
        exit_socks: the unix socket of its SOCKS port for names outside, if exits are wanted.
        lost: fires with the reason when it is gone.
    """

    def __init__(
        self,
        control: TorControl,
        socks: Path,
        process: TorProcess | None,
        exit_socks: Path | None = None,
    ) -> None:
        self.control = control
        self.socks = socks
        self.exit_socks = exit_socks
        self._process = process
        self.lost: Once[str] = Once()
        control.lost.then(self.lost.fire)
        if process is not None:
            process.ended.then(self.lost.fire)

    @classmethod
    async def launch(cls, reactor: Any, settings: TorSettings, sockets: Path) -> "RunningTor":
        """Start a tor of our own that ends with this process, even if that is killed.

        Raises:
            TorError: it is not there, too old, or does not start.
        """
        place = TorPlace.make(settings.home, sockets, settings.exits)
        process = await TorProcess.start(reactor, place, settings.extra_options, settings.binary)
        try:
            control = await TorControl.connect(reactor, place.control, settings.heartbeat)
            # Until here tor looked every 15 s for the process that its torrc names; from here
            # it ends as soon as this connection does (control-spec section 3.23).
            await control.command("TAKEOWNERSHIP")
        except BaseException:
            await process.stop()
            raise
        return cls(control, place.socks, process, place.exit_socks)

    @classmethod
    async def attach(
        cls, reactor: Any, settings: TorSettings, control_socket: Path
    ) -> "RunningTor":
        """Use a tor that is running already; its one SOCKS port is then also the one for exits.

        Raises:
            TorError: it cannot be controlled, is too old, or has no SOCKS port on a unix socket.
        """
        control = await TorControl.connect(reactor, control_socket, settings.heartbeat)
        try:
            socks = await control.socks_socket()
        except BaseException:
            control.close()
            raise
        return cls(control, socks, None, socks if settings.exits else None)

    @property
    def pid(self) -> int | None:
        """Process id of a tor that we launched."""
        return self._process.pid if self._process else None

    async def stop(self) -> None:
        """Let go of it: a tor of ours ends, another one forgets our services."""
        self.control.close()
        if self._process is not None:
            await self._process.stop()
