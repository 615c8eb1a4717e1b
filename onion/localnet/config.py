"""What the tors of a private network are told: options, torrc text, seeded state, ports.

Pure, but for `free_ports`, which asks the kernel. Option names are those of tor(1); every value
that departs from tor's default has its reason beside it.
"""

import secrets
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from attrs import frozen

from onion.localnet.errors import NoFreePort

TorOptions = dict[str, str | list[str]]
"""torrc options; a list is one line per item."""

Profile = Literal["default", "fast"]

BROWSING = "browse"  # directory of the client tor for browsers
AUTHORITY = "authority"  # nickname of the directory authority, a relay as well
VOTING_INTERVAL = 300  # seconds; the shortest that tor takes outside its first vote
VOTE_DELAY = 2  # seconds; MIN_VOTE_SECONDS_TESTING in tor's dirauth code
DIST_DELAY = 2  # seconds; MIN_DIST_SECONDS_TESTING
# Seconds from asking for a vote to its consensus. Less than the two delays: tor does at once what
# is overdue, and there is no other authority to wait for. With 1 the second could pass meanwhile.
VOTE_LEAD = 2
CONSENSUS_INTERVALS = 3  # intervals for which a consensus stays valid: 15 minutes
SEEDED_BANDWIDTH = 10_000_000  # bytes/s that every relay claims to have seen in itself
HISTORY_INTERVAL = 86_400  # seconds covered by one bandwidth history value

LOOPBACK = "127.0.0.1"
# Below Linux' and macOS' ephemeral ranges, so that no outgoing connection holds one of them.
FIRST_PORT, LAST_PORT = 20_000, 32_000


@frozen
class Relay:
    """One tor of the network: where it lives and listens.

    `dir_port` is None for all but the directory authority. `control` is a unix socket path of at
    most 107 bytes.
    """

    nickname: str
    directory: Path
    control: Path
    or_port: int
    dir_port: int | None = None

    @property
    def cookie(self) -> Path:
        """File that holds the 32-byte control cookie."""
        return self.directory / "cookie"

    @property
    def log(self) -> Path:
        """Log of this tor, level notice."""
        return self.directory / "notice.log"


@frozen
class Authority:
    """What the others must know of the directory authority.

    Both fingerprints are 40 upper-case hex digits (SHA-1 of an RSA key): `identity` of the
    relay's key, `v3_identity` of the key that signs the consensus.
    """

    or_port: int
    dir_port: int
    identity: str
    v3_identity: str

    @property
    def line(self) -> str:
        """The value of tor's DirAuthority option."""
        return (
            f"{AUTHORITY} orport={self.or_port} no-v2 v3ident={self.v3_identity} "
            f"{LOOPBACK}:{self.dir_port} {self.identity}"
        )


def client_options(authority: Authority, profile: Profile) -> TorOptions:
    """Return what a client tor needs to join the network, and nothing else."""
    options: TorOptions = {
        "TestingTorNetwork": "1",
        "DirAuthority": [authority.line],
        # With five relays one missing descriptor would already stop a client at the default 0.6.
        "PathsNeededToBuildCircuits": "0.25",
        "ClientUseIPv6": "0",
        # All is on 127.0.0.1: countries mean nothing, and the files cost each tor 8 MB.
        "GeoIPFile": "/dev/null",
        "GeoIPv6File": "/dev/null",
    }
    if profile == "fast":
        # The default of 10 ms paces every cell on loopback; see README.md.
        options["KISTSchedRunInterval"] = "1 msec"
    return options


def relay_options(
    relay: Relay, authority: Authority, *, profile: Profile, owner_pid: int
) -> TorOptions:
    """Return the options of one relay that dies with the process `owner_pid`."""
    return client_options(authority, profile) | {
        "DataDirectory": str(relay.directory),
        "Log": f"notice file {relay.log}",
        "ControlSocket": f"unix:{relay.control}",
        "CookieAuthentication": "1",
        "CookieAuthFile": str(relay.cookie),
        "__OwningControllerProcess": str(owner_pid),
        "SocksPort": "0",
        "AvoidDiskWrites": "1",
        "ShutdownWaitLength": "0",
        "Nickname": relay.nickname,
        "Address": LOOPBACK,
        "OutboundBindAddress": LOOPBACK,
        "ORPort": f"{LOOPBACK}:{relay.or_port} IPv4Only",
        "AddressDisableIPv6": "1",
        "AssumeReachable": "1",
        "ContactInfo": "private network",
        "ExitRelay": "0",
        "ExitPolicy": "reject *:*",
        "NumCPUs": "1",
        "BandwidthRate": "1 GBytes",
        "BandwidthBurst": "1 GBytes",
    }


def browsing_options(place: Relay, client: TorOptions, *, port: int, owner_pid: int) -> TorOptions:
    """Return the options of a client tor for the browser of a person at this machine.

    Only here SOCKS is a TCP port, as browsers know no other; it takes onion addresses alone.
    """
    return client | {
        "ClientOnly": "1",
        "DataDirectory": str(place.directory),
        "Log": f"notice file {place.log}",
        "ControlSocket": f"unix:{place.control}",
        "CookieAuthentication": "1",
        "CookieAuthFile": str(place.cookie),
        "__OwningControllerProcess": str(owner_pid),
        "SocksPort": f"{LOOPBACK}:{port} OnionTrafficOnly",
        "DormantCanceledByStartup": "1",
    }


def authority_options(dir_port: int, now: float) -> TorOptions:
    """Return what the directory authority needs beyond `relay_options`.

    Its first vote is put as far away as tor allows (nearly 300 s), so that it happens when it is
    asked for and not at whatever second the boot began. `now` is in seconds since 1970.
    """
    return {
        "AuthoritativeDirectory": "1",
        "V3AuthoritativeDirectory": "1",
        "DirPort": f"{LOOPBACK}:{dir_port} IPv4Only",
        "TestingV3AuthInitialVotingInterval": str(VOTING_INTERVAL),
        "TestingV3AuthInitialVoteDelay": str(VOTE_DELAY),
        "TestingV3AuthInitialDistDelay": str(DIST_DELAY),
        "TestingV3AuthVotingStartOffset": str(int(now - VOTE_LEAD) % VOTING_INTERVAL),
        "V3AuthVotingInterval": str(VOTING_INTERVAL),
        "V3AuthVoteDelay": str(VOTE_DELAY),
        "V3AuthDistDelay": str(DIST_DELAY),
        "V3AuthNIntervalsValid": str(CONSENSUS_INTERVALS),
        "TestingDirAuthVoteGuard": "*",
        "TestingDirAuthVoteHSDir": "*",
        "TestingMinFastFlagThreshold": "0",
        "TestingAuthDirTimeToLearnReachability": "0",
        "AuthDirTestReachability": "0",
    }


def vote_now(now: float) -> str:
    """Return the control command that makes the authority vote at once.

    The consensus is then valid `VOTE_LEAD` seconds after `now` (seconds since 1970).
    """
    offset = (int(now) + VOTE_LEAD) % VOTING_INTERVAL
    return f"SETCONF TestingV3AuthVotingStartOffset={offset}"


def render_torrc(options: Mapping[str, str | Sequence[str]]) -> str:
    r"""Return torrc text for `options`.

    Raises:
        ValueError: a value holds a line break, which would start another option, or ends in a
            backslash, which would join the next line to it (torrc(5)).
    """
    lines = []
    for name, value in options.items():
        for item in [value] if isinstance(value, str) else value:
            if "\n" in item or "\r" in item or item.endswith("\\"):
                raise ValueError(f"the value of {name} is not one line: {item!r}")
            lines.append(f"{name} {item}\n")
    return "".join(lines)


def seeded_state(now: float) -> str:
    """Return a tor state file with the same bandwidth history for every relay.

    Without it the relays publish 0 or whatever they happened to see, the consensus mixes weights
    of 0 and 1, and most boots stick at 95%. `now` is in seconds since 1970.
    """
    ends = datetime.fromtimestamp(now - 20, UTC).strftime("%Y-%m-%d %H:%M:%S")
    total = SEEDED_BANDWIDTH // 10_000 * HISTORY_INTERVAL
    return "".join(
        f"BWHistory{way}Ends {ends}\n"
        f"BWHistory{way}Interval {HISTORY_INTERVAL}\n"
        f"BWHistory{way}Values {total},{total}\n"
        f"BWHistory{way}Maxima {SEEDED_BANDWIDTH},{SEEDED_BANDWIDTH}\n"
        for way in ("Read", "Write")
    )


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Return `count` TCP ports on which 127.0.0.1 is free now, from `first` or a random one up.

    Raises:
        NoFreePort: fewer than `count` are free.
    """
    if first is None:
        first = FIRST_PORT + secrets.randbelow((LAST_PORT - FIRST_PORT) * 3 // 4)
    held: list[socket.socket] = []
    try:
        for port in range(first, 65_536):
            if len(held) == count:
                break
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as tor binds
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                probe.close()
            else:
                held.append(probe)
        if len(held) < count:
            raise NoFreePort(f"{count} are needed")
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()
