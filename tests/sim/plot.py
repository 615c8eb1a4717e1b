"""Draws a report: hops over the size of the network, and what was found under each attack."""

import math
import statistics
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.sim.scenarios import Row

SIZE = (1000, 520)
INK, GRID, GOOD, BAD, MARK = "#222222", "#dddddd", "#2a6f97", "#c1121f", "#e09f3e"
LEFT = (70, 50, 440, 440)  # of the plot of hops: x0, y0, x1, y1
BARS = (700, 50, 950, 440)  # of the bars


def fit(rows: list[Row]) -> str:
    """Return the straight line through the hops of quiet networks over the logarithm of nodes."""
    points = [(math.log2(r.nodes), r.measured.hops) for r in rows if r.name == "all well"]
    if len(points) < 2:
        return "hops: too few sizes to fit"
    slope, height = statistics.linear_regression(*zip(*points, strict=True))
    return f"hops = {height:.2f} + {slope:.2f} log2(nodes), over {len(points)} sizes"


def draw(rows: list[Row], path: Path) -> None:
    """Write the PNG."""
    image = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=14)
    _hops(pen, font, [row for row in rows if row.name == "all well"])
    _found(pen, font, rows)
    image.save(path, optimize=True)


def _hops(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont, rows: list[Row]) -> None:
    x0, y0, x1, y1 = LEFT
    pen.text((x0, 15), "hops to the nearest node asked, over nodes", fill=INK, font=font)
    if not rows:
        return
    rows = sorted(rows, key=lambda row: row.nodes)
    pen.text((x0, y1 + 40), fit(rows), fill=INK, font=font)
    logs = [math.log2(row.nodes) for row in rows]
    low, high = min(logs) - 0.5, max(logs) + 0.5
    most = max(row.measured.hops for row in rows) + 1
    for hops in range(math.ceil(most)):
        y = y1 - (y1 - y0) * hops / most
        pen.line((x0, y, x1, y), fill=GRID)
        pen.text((x0 - 25, y - 8), str(hops), fill=INK, font=font)
    points = []
    for row, log in zip(rows, logs, strict=True):
        x = x0 + (x1 - x0) * (log - low) / (high - low)
        points.append((x, y1 - (y1 - y0) * row.measured.hops / most))
        pen.text((x - 15, y1 + 8), f"{row.nodes:,}", fill=INK, font=font)
    pen.line(points, fill=GOOD, width=3)
    for x, y in points:
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=GOOD)
    pen.line((x0, y0, x0, y1, x1, y1), fill=INK)


def _found(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont, rows: list[Row]) -> None:
    x0, y0, x1, y1 = BARS
    pen.text((x0 - 220, 15), "records found (mark: the goal)", fill=INK, font=font)
    if not rows:
        return
    step = (y1 - y0) / len(rows)
    for number, row in enumerate(rows):
        y = y0 + number * step
        label = f"{row.name}, {row.nodes:,}"
        pen.text((x0 - 220, y + step / 2 - 8), label[:34], fill=INK, font=font)
        end = x0 + (x1 - x0) * row.measured.found
        pen.rectangle((x0, y + 4, end, y + step - 4), fill=GOOD if row.met else BAD)
        pen.text((x1 + 4, y + step / 2 - 8), f"{row.measured.found:.1%}", fill=INK, font=font)
        if row.goal:
            mark = x0 + (x1 - x0) * row.goal
            pen.line((mark, y, mark, y + step), fill=MARK, width=2)
