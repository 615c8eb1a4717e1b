"""One home, one process, nobody else."""

import os
from pathlib import Path

import pytest

from bitsnode.home import HomeInUse, HomeLock, HomeOpen


def test_a_second_node_on_the_same_home_is_refused(tmp_path: Path) -> None:
    """Two nodes on one home would corrupt it; the second one is told who is there."""
    first = HomeLock(tmp_path / "home")
    with pytest.raises(HomeInUse, match=f"process {os.getpid()}"):
        HomeLock(tmp_path / "home")
    first.release()
    HomeLock(tmp_path / "home").release()


def test_a_home_open_to_others_is_refused(tmp_path: Path) -> None:
    """Keys and links are kept in the home, so it must be private."""
    tmp_path.chmod(0o755)
    with pytest.raises(HomeOpen, match="chmod 700"):
        HomeLock(tmp_path)
    assert not (tmp_path / "node.lock").exists()


def test_a_new_home_is_private(tmp_path: Path) -> None:
    """A home that bits makes can be entered by its owner alone."""
    HomeLock(tmp_path / "a" / "home").release()
    assert (tmp_path / "a" / "home").stat().st_mode & 0o777 == 0o700
