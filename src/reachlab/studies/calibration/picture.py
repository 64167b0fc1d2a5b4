"""``calibration.png``: false creation by world, power by size of the study, coverage of every printed interval.

Not covered: numbers; all of them are in result.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachlab import Json
from reachlab.studies.calibration.tally import LEAST_COVERAGE, LEAST_POWER, MOST_FALSE
from reachlab.studies.canvas import COLORS, FRONTIER, GREY, new_figure, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = {"hash-untrained": ":"}
"""A curve that lies on another one."""
WORLD_COLORS = (COLORS["live"], COLORS["oracle"], COLORS["imagined"], COLORS["shuffled"], COLORS["closed"])


def calibration(result: Json, path: Path) -> None:
    """Three panels: what the verdict gets wrong, what it sees, what the intervals cover."""
    null = [row for row in result["worlds"] if not row["creation"]]
    with style():
        figure = new_figure(14, 6.4)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
        _false(left, null)
        _power(middle, result["power"], result["spec"]["profile"]["size"])
        _coverage(right, result["coverage"])
        save(figure, path)


def _whiskers(ax: Axes, x: float, low: float, high: float, y: float, color: str) -> None:
    ax.plot([low, high], [y, y], color=color, linewidth=1.5, solid_capstyle="butt", zorder=2)
    ax.plot([x], [y], "o", color=color, markersize=5, zorder=3)


def _false(ax: Axes, null: list[Json]) -> None:
    for y, row in enumerate(reversed(null)):
        found = row["false_creation"]
        low, high = found["ci"]
        _whiskers(ax, 100 * found["value"], 100 * low, 100 * high, y, COLORS["live"])
    ax.axvline(100 * MOST_FALSE, color=FRONTIER, linestyle="--", linewidth=1)
    ax.set_yticks(range(len(null)), [f"{row['name']} ({row['truth']})" for row in reversed(null)], fontsize=8.5)
    ax.set_xlim(left=-0.05)
    ax.set_xlabel("studies read as creation, %")
    ax.set_title("Worlds without creation: false creation")


def _power(ax: Axes, power: list[Json], size: Json) -> None:
    usual = [row for row in power if row["episodes"] == size["episodes"] and row["seeds"] == size["seeds"]]
    names = dict.fromkeys(row["world"] for row in usual)
    for name, color in zip(names, WORLD_COLORS, strict=False):
        rows: list[Any] = sorted((row for row in usual if row["world"] == name), key=lambda row: int(row["tasks"]))
        x, y = [row["tasks"] for row in rows], [100 * row["power"]["value"] for row in rows]
        band = [[100 * row["power"]["ci"][side] for row in rows] for side in (0, 1)]
        ax.fill_between(x, band[0], band[1], color=color, alpha=0.12, linewidth=0)
        ax.plot(x, y, marker="o", color=color, markersize=4, label=name, linestyle=LINES.get(name, "-"))
    ax.axhline(100 * LEAST_POWER, color=FRONTIER, linestyle="--", linewidth=1)
    ax.axvline(size["tasks"], color=GREY, linewidth=1)
    ax.set_xlabel(f"test tasks ({size['episodes']} episodes each, {size['seeds']} training run)")
    ax.set_ylabel("studies that find it, %")
    ax.set_title("Worlds with creation: power")
    ax.legend(loc="center left", fontsize=9)


def _coverage(ax: Axes, coverage: list[Json]) -> None:
    names = list(dict.fromkeys(row["interval"] for row in coverage))
    for row in coverage:
        found = row["coverage"]
        low, high = found["ci"]
        y = len(names) - 1 - names.index(row["interval"])
        _whiskers(ax, 100 * found["value"], 100 * low, 100 * high, y, GREY if row["conservative"] else COLORS["live"])
    ax.axvline(100 * LEAST_COVERAGE, color=FRONTIER, linestyle="--", linewidth=1)
    ax.axvline(95, color=GREY, linewidth=1)
    ax.set_yticks(range(len(names)), reversed(names), fontsize=8.5)
    ax.set_xlabel("covers the truth, % (grey: conservative)")
    ax.set_title("Printed 95 % intervals")
