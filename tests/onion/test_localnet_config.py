"""The private Tor network: what its tors are told, its keys, its directory."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onion.localnet import NetworkFile, config, keys, layout, load_client_options
from onion.localnet.errors import (
    NetworkAlreadyRunning,
    NetworkFileDamaged,
    NoFreePort,
    NoRunningNetwork,
    ProgramMissing,
)

NOW = 1_790_000_000.0  # 2026-09-21
AUTHORITY = config.Authority(
    or_port=23_001, dir_port=23_000, identity="A" * 40, v3_identity="B" * 40
)
CERTIFICATE = f"""\
dir-key-certificate-version 3
fingerprint {"B" * 40}
dir-key-published 2026-09-20 00:00:00
"""
KEYS = keys.AuthorityKeys(
    identity="A" * 40,
    v3_identity="B" * 40,
    published=1_789_862_400.0,
    files={"authority_certificate": CERTIFICATE.encode(), "secret_id_key": b"\x00\xff"},
)
NETWORK = NetworkFile(
    tor_version="0.4.9.11",
    profile="default",
    supervisor=1,
    pids={"authority": 2},
    client_options={"TestingTorNetwork": "1", "DirAuthority": ["a", "b"]},
)


# What tors are told


def test_a_client_learns_of_the_authority_and_nothing_of_the_public_network() -> None:
    """The one DirAuthority line replaces tor's built-in authorities."""
    options = config.client_options(AUTHORITY, "default")
    line = f"authority orport=23001 no-v2 v3ident={'B' * 40} 127.0.0.1:23000 {'A' * 40}"
    assert options["DirAuthority"] == [line]
    assert options["TestingTorNetwork"] == "1"
    assert "KISTSchedRunInterval" not in options


def test_only_the_fast_profile_unpaces_the_scheduler() -> None:
    """A benchmark asks for it; everybody else gets what tor does on the public network."""
    options = config.client_options(AUTHORITY, "fast")
    assert options["KISTSchedRunInterval"] == "1 msec"


def test_every_address_a_relay_listens_on_is_loopback(tmp_path: Path) -> None:
    """A private network is of no use, and no danger, to anybody on another machine."""
    relay = config.Relay("relay0", tmp_path, tmp_path / "c", or_port=23_002)
    options = config.relay_options(relay, AUTHORITY, profile="default", owner_pid=1)
    options |= config.authority_options(23_000, NOW)
    for name in ("ORPort", "DirPort"):
        assert str(options[name]).startswith("127.0.0.1:")
    assert options["Address"] == options["OutboundBindAddress"] == "127.0.0.1"
    assert options["SocksPort"] == "0"
    assert options["ExitPolicy"] == "reject *:*"


@given(st.integers(min_value=10**9, max_value=4 * 10**9))
def test_the_first_vote_waits_until_it_is_asked_for(now: int) -> None:
    """Whatever second a boot begins, no vote happens by itself while relays still announce."""
    offset = int(str(config.authority_options(1, now)["TestingV3AuthVotingStartOffset"]))
    until = (offset - now) % config.VOTING_INTERVAL
    assert until > config.VOTING_INTERVAL - 10


@given(st.integers(min_value=10**9, max_value=4 * 10**9))
def test_an_asked_vote_is_due_at_once_but_not_in_the_past(now: int) -> None:
    """The consensus is valid from VOTE_LEAD seconds on: earlier is missed, later is waited for."""
    offset = int(config.vote_now(now).rpartition("=")[2])
    assert (offset - now) % config.VOTING_INTERVAL == config.VOTE_LEAD


def test_a_torrc_has_one_line_per_item() -> None:
    """A list becomes repeated options, as DirAuthority needs."""
    torrc = config.render_torrc({"DirAuthority": ["a 1", "b 2"], "ORPort": "1"})
    assert torrc == "DirAuthority a 1\nDirAuthority b 2\nORPort 1\n"


@pytest.mark.parametrize("value", ["1\nSocksPort 9050", "1\rX", "1\\"])
def test_a_value_cannot_smuggle_an_option_into_a_torrc(value: str) -> None:
    """A path with a line break is refused rather than read as another option."""
    with pytest.raises(ValueError, match="not one line"):
        config.render_torrc({"DataDirectory": value})


def test_every_relay_claims_the_same_bandwidth() -> None:
    """Read and write histories are equal, whole and in the past."""
    state = config.seeded_state(NOW)
    assert state.count("Maxima 10000000,10000000\n") == 2
    assert "BWHistoryWriteEnds 2026-09-21 14:13:00\n" in state


def test_free_ports_pass_over_one_in_use() -> None:
    """A second network beside the first finds other ports."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = config.free_ports(3, port)
    assert len(set(ports)) == 3
    assert min(ports) > port


def test_too_few_free_ports_are_said() -> None:
    """There is nothing above port 65,535."""
    with pytest.raises(NoFreePort, match="9 are needed"):
        config.free_ports(9, 65_530)


# Keys


def test_spare_keys_are_private_and_used_once(tmp_path: Path) -> None:
    """No two networks share an authority."""
    path = tmp_path / "cache" / "spare.json"
    keys.keep_spare(path, KEYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert keys.take_spare(path, NOW) == KEYS
    assert keys.take_spare(path, NOW) is None


@pytest.mark.parametrize("days", [-30, 30])
def test_spare_keys_of_another_time_are_not_used(tmp_path: Path, days: int) -> None:
    """Neither expired ones nor those of a clock that was ahead; they are removed."""
    keys.keep_spare(tmp_path / "spare", KEYS)
    assert keys.take_spare(tmp_path / "spare", NOW + days * 86_400) is None
    assert not (tmp_path / "spare").exists()


def test_spare_keys_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    """Who reads the authority's key can vote for it."""
    keys.keep_spare(tmp_path / "spare", KEYS)
    (tmp_path / "spare").chmod(0o644)
    assert keys.take_spare(tmp_path / "spare", NOW) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"version": 2}', b" " * (1 << 17)]
)
def test_damaged_spare_keys_cost_only_the_time_to_make_new_ones(
    tmp_path: Path, content: bytes
) -> None:
    """A broken cache never stops a network."""
    (tmp_path / "spare").write_bytes(content)
    (tmp_path / "spare").chmod(0o600)
    assert keys.take_spare(tmp_path / "spare", NOW) is None
    assert not (tmp_path / "spare").exists()


def test_spare_keys_cannot_write_outside_their_directory(tmp_path: Path) -> None:
    """A file name with a path in it is passed over."""
    keys.keep_spare(tmp_path / "spare", KEYS)
    document = json.loads((tmp_path / "spare").read_text())
    document["files"]["../../evil"] = ""
    (tmp_path / "spare").write_text(json.dumps(document))
    taken = keys.take_spare(tmp_path / "spare", NOW)
    assert taken is not None
    assert set(taken.files) == {"authority_certificate", "secret_id_key"}


def test_keys_are_not_shown() -> None:
    """A log of the object holds no key."""
    assert "xff" not in repr(KEYS)


def test_a_missing_tor_is_said_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person reads what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(keys, "EXTRA_PATH", ())
    with pytest.raises(ProgramMissing, match=r"apt install tor.*tor-gencert"):
        keys.find_program("tor-gencert")


# The directory


def test_client_options_of_a_running_network_are_read_back(tmp_path: Path) -> None:
    """What one process writes another reads, lists included."""
    lock = layout.DirectoryLock(tmp_path)
    NETWORK.write(tmp_path)
    assert stat.S_IMODE((tmp_path / "network.json").stat().st_mode) == 0o600
    assert load_client_options(tmp_path) == NETWORK.client_options
    lock.release()


def test_a_dead_network_is_not_joined(tmp_path: Path) -> None:
    """What a killed supervisor left behind does not look like a network."""
    layout.DirectoryLock(tmp_path).release()
    NETWORK.write(tmp_path)
    with pytest.raises(NoRunningNetwork, match="bitsnode localnet up"):
        load_client_options(tmp_path)


def test_no_directory_is_no_network(tmp_path: Path) -> None:
    """A directory that was never used gives the same sentence."""
    with pytest.raises(NoRunningNetwork, match=str(tmp_path)):
        load_client_options(tmp_path / "none")


def test_a_booting_network_is_not_joined(tmp_path: Path) -> None:
    """Until it is ready there is nothing to join."""
    lock = layout.DirectoryLock(tmp_path)
    with pytest.raises(NoRunningNetwork):
        load_client_options(tmp_path)
    lock.release()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": "1"}', b'{"version": 1}', b"\xff\xff"],
)
def test_a_damaged_description_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """No traceback for a file cut short."""
    lock = layout.DirectoryLock(tmp_path)
    (tmp_path / "network.json").write_bytes(content)
    with pytest.raises(NetworkFileDamaged, match="cannot be read"):
        load_client_options(tmp_path)
    lock.release()


def test_a_newer_description_is_refused(tmp_path: Path) -> None:
    """What a later version wrote is not guessed at."""
    lock = layout.DirectoryLock(tmp_path)
    (tmp_path / "network.json").write_text('{"version": 2}')
    with pytest.raises(NetworkFileDamaged, match="newer bits"):
        load_client_options(tmp_path)
    lock.release()


def test_a_directory_has_one_network(tmp_path: Path) -> None:
    """The second is refused while the first lives."""
    lock = layout.DirectoryLock(tmp_path)
    with pytest.raises(NetworkAlreadyRunning, match="already running"):
        layout.DirectoryLock(tmp_path)
    lock.release()
    layout.DirectoryLock(tmp_path).release()


def test_clearing_removes_only_what_a_network_made(tmp_path: Path) -> None:
    """Homes of nodes in the same directory stay."""
    for name in ("authority", "relay0", "relay12", "relay-notes", "node0"):
        (tmp_path / name).mkdir()
    layout.make_sockets(tmp_path)
    NETWORK.write(tmp_path)
    layout.clear(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["node0", "relay-notes"]


def test_sockets_of_a_deep_directory_are_put_where_their_path_is_short(tmp_path: Path) -> None:
    """A unix socket path has at most 107 bytes; the short place is private and goes again."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    short = layout.make_sockets(deep)
    assert len(str(short / "authority.control")) <= 103
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    layout.clear(deep)
    assert not short.exists()
    assert os.listdir(deep) == []
