"""C6 of a restore: killed at any moment, it leaves nothing, or all."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from bitsnode.backup.errors import RestoreFinished
from bitsnode.backup.making import Made
from bitsnode.backup.restore import complete
from tests.backup.conftest import bring_back, tree

CHILD = Path(__file__).with_name("restore_child.py")
ROOT = Path(__file__).parents[2]
NEVER = 1_000_000


def killed(folder: Path, made: Made, numbers: list[int]) -> int:
    """Restore into a folder for each number, and be killed there; return the count of one whole."""
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), str(made.path), *map(str, numbers)],
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
    killed(folder, made, numbers)
    whole = tree(folder / "warm")
    return [examine(folder / str(number), made, whole) for number in numbers]


def test_c6_a_restore_that_is_killed_leaves_nothing_or_all(made: Made, tmp_path: Path) -> None:
    """At some dozens of points, among them all around the moment from which it is restored."""
    (tmp_path / "first").mkdir()
    last = killed(tmp_path / "first", made, [NEVER])
    assert last > 60
    numbers = sorted({1 + secrets.randbelow(last - 16) for _ in range(12)})
    numbers += list(range(last - 15, last + 2))
    left = check_points(tmp_path, made, numbers)
    # what was there stays there: the later it died, the more
    assert left == sorted(left, key=["nothing", "finished", "all"].index)
    assert set(left) == {"nothing", "finished", "all"}
    again = tmp_path / "killed" / str(numbers[0])
    bring_back(again, made.path)  # and what left nothing can be done again
    assert tree(again).keys() == tree(tmp_path / "killed" / "warm").keys()


@pytest.mark.slow
def test_c6_a_restore_that_is_killed_anywhere_leaves_nothing_or_all(
    made: Made, tmp_path: Path
) -> None:
    """At every single point."""
    (tmp_path / "first").mkdir()
    last = killed(tmp_path / "first", made, [NEVER])
    left = check_points(tmp_path, made, list(range(1, last + 2)))
    assert left == sorted(left, key=["nothing", "finished", "all"].index)
    for number, found in enumerate(left, 1):
        if found == "nothing":
            bring_back(tmp_path / "killed" / str(number), made.path)
