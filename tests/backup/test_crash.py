"""C6 of backups: killed at any moment, a backup or a restore leaves nothing, or all."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from bitsnode.backup.errors import RestoreFinished
from bitsnode.backup.making import COPIES, Made, make
from bitsnode.backup.restore import complete
from tests.backup.conftest import NOW, SEED, bring_back, tree

CHILD = Path(__file__).with_name("killed_child.py")
ROOT = Path(__file__).parents[2]
NEVER = 1_000_000


def killed(folder: Path, other: Path, numbers: list[int], work: str = "restore") -> int:
    """Do the work once for each number, and be killed there; return the count of one whole."""
    done = subprocess.run(
        [sys.executable, str(CHILD), work, str(folder), str(other), *map(str, numbers)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int((done.stdout.split() or ["0"])[-1])


def examine(home: Path, made: Made, whole: dict[str, bytes]) -> str:
    """Start a node on a home, as far as restores go; return what there is."""
    home.mkdir(mode=0o700, exist_ok=True)  # it may have died before it made one
    finished = False
    try:
        complete(home)
    except RestoreFinished:
        finished = True
    found = tree(home)
    if not found.keys() - {"node.lock"}:
        assert not finished
        assert {path.name for path in home.iterdir()} <= {"node.lock"}
        return "nothing"
    assert found.keys() == whole.keys()
    for path in ("keys/onion.seed", "market/relay.key", "market/custody.db"):
        assert found[path] == whole[path]
    return "finished" if finished else "all"


def check_points(tmp_path: Path, made: Made, numbers: list[int]) -> list[str]:
    """Kill restores at these points, and return what each left."""
    folder = tmp_path / "killed"
    folder.mkdir()
    killed(folder, made.path, numbers)
    whole = tree(folder / "warm")
    return [examine(folder / str(number), made, whole) for number in numbers]


def test_c6_a_restore_that_is_killed_leaves_nothing_or_all(made: Made, tmp_path: Path) -> None:
    """At some dozens of points, among them all around the moment from which it is restored."""
    (tmp_path / "first").mkdir()
    last = killed(tmp_path / "first", made.path, [NEVER])
    assert last > 60
    numbers = sorted({1 + secrets.randbelow(last - 16) for _ in range(8)})
    numbers += list(range(last - 15, last + 2))
    left = check_points(tmp_path, made, numbers)
    # what was there stays there: the later it died, the more
    assert left == sorted(left, key=["nothing", "finished", "all"].index)
    assert set(left) == {"nothing", "finished", "all"}
    again = tmp_path / "killed" / str(numbers[0])
    bring_back(again, made.path)  # and what left nothing can be done again
    assert tree(again).keys() == tree(tmp_path / "killed" / "warm").keys()


def test_c6_a_backup_that_is_killed_leaves_none_or_a_whole_one(home: Path, tmp_path: Path) -> None:
    """At some dozens of points; what was begun is gone after the next start or the next backup."""
    first, folder = tmp_path / "first", tmp_path / "killed"
    first.mkdir()
    folder.mkdir()
    last = killed(first, home, [NEVER], "make")
    numbers = sorted({1 + secrets.randbelow(last - 8) for _ in range(8)})
    numbers += list(range(last - 7, last + 2))
    killed(folder, home, numbers, "make")
    there = [number for number in numbers if (folder / str(number)).exists()]
    assert 0 < len(there) < len(numbers)
    # each is whole; which ones are there is not told by their numbers alone, since a backup that
    # died leaves copies to the next one, which has more to do
    for number in there:
        bring_back(tmp_path / f"new{number}", folder / str(number))
    assert numbers[0] not in there
    make(home, SEED, folder / str(numbers[0]), NOW)  # in spite of the draft that is there
    assert not (folder / f".{numbers[0]}.draft").exists()
    (home / COPIES).mkdir(exist_ok=True)
    complete(home)
    assert not (home / COPIES).exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_c6_a_restore_that_is_killed_anywhere_leaves_nothing_or_all(
    made: Made, tmp_path: Path
) -> None:
    """At every single point."""
    (tmp_path / "first").mkdir()
    last = killed(tmp_path / "first", made.path, [NEVER])
    left = check_points(tmp_path, made, list(range(1, last + 2)))
    assert left == sorted(left, key=["nothing", "finished", "all"].index)
    for number, found in enumerate(left, 1):
        if found == "nothing":
            bring_back(tmp_path / "killed" / str(number), made.path)
