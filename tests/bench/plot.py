"""Draws the history: a line for each row, its ratios over all runs, the newest filled.

The axis is logarithmic; the thick line is the baseline itself. A short mark is a goal that is a
ratio. Green met its goal, red missed it, blue has none.
"""

import math
import re
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.bench.row import Row

WIDTH, STEP, TOP = 1100, 22, 60
LABELS = 520  # pixels for what is measured
LOW, HIGH = 0.01, 100.0
INK, GRID, GOOD, BAD, PLAIN, MARK = (
    "#222222",
    "#dddddd",
    "#2d6a4f",
    "#c1121f",
    "#2a6f97",
    "#e09f3e",
)
_GOAL = re.compile(r"[<>]= ([0-9.]+)$")


def draw(rows: dict[str, list[Row]], path: Path) -> None:
    """Write the PNG.

    Args:
        rows: by what they measure, each from the oldest run to the newest.
        path: of the file.
    """
    image = Image.new("RGB", (WIDTH, TOP + STEP * len(rows) + 20), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=12)
    pen.text((10, 10), "ratio to the baseline of the same run", fill=INK, font=font)
    bottom = image.height - 15
    for power in range(-2, 3):
        x = _x(10.0**power)
        pen.line((x, TOP - 10, x, bottom), fill=INK if power == 0 else GRID, width=1 + (power == 0))
        pen.text((x - 10, TOP - 28), f"{10.0**power:g}", fill=INK, font=font)
    for number, (what, runs) in enumerate(rows.items()):
        y = TOP + STEP * number
        pen.text((10, y), what[:84], fill=INK, font=font)
        _runs(pen, runs, y + STEP // 2 - 2)
    image.save(path, optimize=True)


def _runs(pen: ImageDraw.ImageDraw, runs: list[Row], y: int) -> None:
    newest = runs[-1]
    goal = _GOAL.match(newest["goal"])
    if goal:
        x = _x(float(goal[1]))
        pen.line((x, y - 8, x, y + 8), fill=MARK, width=3)
    colour = PLAIN if newest["goal"] == "none" else GOOD if newest["met"] else BAD
    points = [_x(float(run["ratio"])) for run in runs if _is_ratio(run)]
    for x in points[:-1]:
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), outline=colour)
    for x in points[-1:]:
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour)


def _is_ratio(run: Row) -> bool:
    return run["ratio"].replace(".", "", 1).isdigit()


def _x(ratio: float) -> float:
    inside = min(HIGH, max(LOW, ratio))
    share = (math.log10(inside) - math.log10(LOW)) / (math.log10(HIGH) - math.log10(LOW))
    return LABELS + (WIDTH - LABELS - 30) * share
