"""Settings from options, environment and file."""

from pathlib import Path

import pytest

from bitsnode.config import LOCAL, PUBLIC, BadSettings, BadSize, Settings, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("17", 17),
        ("1GB", 10**9),
        ("1 GiB", 1 << 30),
        ("500 mb", 5 * 10**8),
        ("2KiB", 2048),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Sizes are read as people write them."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1.5GB", "1 XB", "1GBB", "٣", "9" * 30])
def test_bad_sizes_are_refused(text: str) -> None:
    """What is not a size is not guessed at."""
    with pytest.raises(BadSize):
        parse_size(text)


def test_an_option_wins_over_the_file(tmp_path: Path) -> None:
    """The order is option, file, default."""
    (tmp_path / "config.toml").write_text('network = "local"\nstorage = "5MB"\nbootstrap = ["a"]\n')
    found = Settings.load(home=tmp_path)
    assert (found.network, found.storage, found.bootstrap) == (LOCAL, 5_000_000, ("a",))
    found = Settings.load(home=tmp_path, network="public", storage="7", bootstrap=["b"])
    assert (found.network, found.storage, found.bootstrap) == (PUBLIC, 7, ("b",))


@pytest.mark.parametrize(
    "text",
    [
        "netwrok = 'x'",
        "network = 3",
        "network = 'mars'",
        "bootstrap = 'x'",
        "bootstrap = [1]",
        "a = ",
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str) -> None:
    """A setting that cannot be honoured is an error, never ignored."""
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(Exception, match=r"\S") as caught:
        Settings.load(home=tmp_path)
    assert isinstance(caught.value, BadSettings) or "network" in str(caught.value)


def test_tor_is_reached_by_unix_socket_only(tmp_path: Path) -> None:
    """A TCP control port would be a way past the one door."""
    with pytest.raises(BadSettings, match="unix socket"):
        Settings.load(home=tmp_path, tor_control="127.0.0.1:9051")
    assert Settings.load(home=tmp_path, tor_control="unix:/a/b").tor_control == Path("/a/b")


def test_a_shop_attaches_to_a_tor_of_its_own(tmp_path: Path) -> None:
    """Never to that of the node."""
    (tmp_path / "config.toml").write_text('shop_tor_control = "unix:/a/shop"\n')
    found = Settings.load(home=tmp_path, tor_control="unix:/a/node")
    assert (found.tor_control, found.shop_tor_control) == (Path("/a/node"), Path("/a/shop"))
    with pytest.raises(BadSettings, match="another"):
        Settings.load(home=tmp_path, tor_control="unix:/a/shop")
