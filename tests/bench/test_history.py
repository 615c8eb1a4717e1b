"""What a run has found is kept, told and drawn."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.bench import history, table
from tests.bench.plot import draw
from tests.bench.row import Row, at_least


def line(what: str, ratio: float, benchmark: str = "fetch", time: str = "2026-01-01T00:00:00Z"):
    """A row as the history has it."""
    run = history.Run(time, "abc", history.machine(), 0.5)
    found = at_least(what, "1 s", "2 s", ratio, 0.9)
    (kept,) = history.lines(run, benchmark, [found]).splitlines()
    return kept


def test_runs_are_added_and_read_by_row(tmp_path: Path) -> None:
    """Rows of one benchmark stay together, each from the oldest run to the newest."""
    file = tmp_path / "history.jsonl"
    assert history.read(file) == []
    history.append(line("one", 0.5) + "\n" + line("other", 1, "soak") + "\n", file)
    history.append(line("new", 2) + "\n" + line("one", 1.0) + "\n", file)
    rows = history.by_row(history.read(file))
    assert list(rows) == ["one", "new", "other"]
    assert [run["ratio"] for run in rows["one"]] == ["0.50", "1.00"]
    assert [run["met"] for run in rows["one"]] == [False, True]


def test_the_readme_gets_a_new_table_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands between the marks goes; what stands around them stays."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}old\n{table.END}after\n")
    monkeypatch.setattr(table, "README", readme)
    table.into_readme([json.loads(line("one", 1.0))])
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| one | 1 s | 2 s | 1.00 | >= 0.9 | met |" in text
    assert "old" not in text


def test_a_plot_has_a_line_for_each_row(tmp_path: Path) -> None:
    """Also for a row without a ratio, and for one beyond the axis."""
    rows: dict[str, list[Row]] = {
        str(ratio): [json.loads(line(str(ratio), ratio))] for ratio in (0.0001, 1.0, 9999.0)
    }
    rows["-"] = [rows["1.0"][0] | {"ratio": "-"}]
    draw(rows, tmp_path / "plot.png")
    draw({"1.0": rows["1.0"]}, tmp_path / "short.png")
    with Image.open(tmp_path / "plot.png") as four, Image.open(tmp_path / "short.png") as one:
        assert four.width == one.width
        assert four.height > one.height
