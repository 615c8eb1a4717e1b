"""Draws the model: how long questions take, and what upkeep costs, over the size of the network."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = (1100, 580)
INK, GRID, GOAL = "#222222", "#dddddd", "#c1121f"
LINES = ("#2a6f97", "#e09f3e", "#6a994e")
PARTS = ("#2a6f97", "#61a5c2", "#a9d6e5", "#e09f3e", "#6a994e")
TIMES = (70, 50, 520, 440)  # of the plot of seconds: x0, y0, x1, y1
COSTS = (640, 50, 1060, 440)  # of the bars of upkeep
TIME_LOGS = (-1.0, 2.25)  # of the seconds drawn
NODE_LOGS = (1.7, 6.3)  # of the nodes drawn
MOST_KILOBITS = 75.0
GOALS = (1.0, 60.0)  # seconds; kbit/s


class Plot:
    """Two plots side by side; each line is drawn for the median and the 95th percentile."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", SIZE, "white")
        self._pen = ImageDraw.Draw(self._image)
        self._pen.font = ImageFont.load_default(size=14)
        self._lines = 0

    @classmethod
    def over_nodes(cls) -> "Plot":
        """Return a plot with its axes."""
        plot = cls()
        plot._axes(TIMES, "seconds to an answer (full: median, hollow: p95), over nodes")
        for log in (-1, 0, 1, 2):
            plot._grid(TIMES, plot._time_y(10.0**log), f"{10.0**log:g}")
        for log in range(2, 7):
            plot._pen.text((plot._node_x(10**log) - 24, TIMES[3] + 8), f"{10**log:,}", fill=INK)
        plot._goal(TIMES, plot._time_y(GOALS[0]))
        plot._axes(COSTS, "upkeep in kbit/s, over nodes")
        for value in range(0, int(MOST_KILOBITS) + 1, 15):
            plot._grid(COSTS, plot._cost_y(value), str(value))
        plot._goal(COSTS, plot._cost_y(GOALS[1]))
        return plot

    def line(self, name: str, points: Sequence[tuple[int, float, float]]) -> None:
        """Draw (nodes, median, 95th percentile), in seconds."""
        colour = LINES[self._lines % len(LINES)]
        for which in (1, 2):
            drawn = [(self._node_x(one[0]), self._time_y(one[which])) for one in points]
            self._pen.line(drawn, fill=colour, width=2)
            for x, y in drawn:
                fill = colour if which == 1 else "white"
                self._pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=fill, outline=colour, width=2)
        self._legend(TIMES[0], TIMES[3] + 44 + 22 * self._lines, colour, name)
        self._lines += 1

    def bars(self, costs: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Draw (nodes, kbit/s by part) as bars of parts on top of each other."""
        width = (COSTS[2] - COSTS[0]) / max(1, len(costs))
        for number, (nodes, parts) in enumerate(costs):
            x, below = COSTS[0] + number * width, 0.0
            for colour, part in zip(PARTS, parts.values(), strict=True):
                top, bottom = self._cost_y(below + part), self._cost_y(below)
                self._pen.rectangle((x + 12, top, x + width - 12, bottom), fill=colour)
                below += part
            self._pen.text((x + 12, COSTS[3] + 8), f"{nodes:,}", fill=INK)
        for number, name in enumerate(costs[0][1] if costs else ()):
            left, top = COSTS[0] + 150 * (number % 3), COSTS[3] + 44 + 22 * (number // 3)
            self._legend(left, top, PARTS[number], name)

    def save(self, path: Path) -> None:
        """Write the PNG."""
        self._image.save(path, optimize=True)

    def _axes(self, box: tuple[int, int, int, int], title: str) -> None:
        x0, y0, x1, y1 = box
        self._pen.text((x0, 15), title, fill=INK)
        self._pen.line((x0, y0, x0, y1, x1, y1), fill=INK)

    def _grid(self, box: tuple[int, int, int, int], y: float, label: str) -> None:
        self._pen.line((box[0], y, box[2], y), fill=GRID)
        self._pen.text((box[0] - 36, y - 8), label, fill=INK)

    def _goal(self, box: tuple[int, int, int, int], y: float) -> None:
        for x in range(box[0], box[2], 12):
            self._pen.line((x, y, x + 6, y), fill=GOAL, width=2)
        self._pen.text((box[2] - 32, y - 18), "goal", fill=GOAL)

    def _legend(self, left: float, top: float, colour: str, name: str) -> None:
        self._pen.rectangle((left, top, left + 14, top + 14), fill=colour)
        self._pen.text((left + 22, top - 2), name, fill=INK)

    def _node_x(self, nodes: float) -> float:
        share = (math.log10(nodes) - NODE_LOGS[0]) / (NODE_LOGS[1] - NODE_LOGS[0])
        return TIMES[0] + (TIMES[2] - TIMES[0]) * share

    def _time_y(self, seconds: float) -> float:
        share = (math.log10(seconds) - TIME_LOGS[0]) / (TIME_LOGS[1] - TIME_LOGS[0])
        return TIMES[3] - (TIMES[3] - TIMES[1]) * min(1.0, share)

    def _cost_y(self, kilobits: float) -> float:
        return COSTS[3] - (COSTS[3] - COSTS[1]) * min(1.0, kilobits / MOST_KILOBITS)
