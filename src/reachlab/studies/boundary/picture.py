"""``boundary.png``: the phase diagram. Lines are theory, drawn from p0 alone; marks are measured arms.

Left: what an arm is worth in closed samples. Middle: what it paid in nats, against what closed reweighting would have
to. Right: training closed climbs the frontier on its training tasks (``climbing``). Before it, where they change with
the dial, the fewest calls that could do. Every mark is a number of boundary.json.
Not covered: numbers with their intervals in words (``report``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reachlab import Json, Thresholds
from reachlab.measure.wording import number
from reachlab.studies.boundary import theory
from reachlab.studies.boundary.climbing import climbing
from reachlab.studies.boundary.run import arm
from reachlab.studies.canvas import COLORS, FRONTIER, GREY, MARKERS, new_figure, save, style
from reachlab.studies.plots import ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDS = {"E1": "#F2F2F2", "E2": "#FBE9D3", "C": "#DCEBF7"}
"""Behind the regions, easy to hard."""
SAID = {"E1": "E1\ncore", "E2": "E2\ntail", "C": "C1, C2\nout of reach"}
NONE = 0.3
"""Where 0 closed samples stand on a logarithmic axis."""
POINTS = 200
"""Of a line."""


class Shown(NamedTuple):
    """An arm that is drawn, and by how much of a decade of p0 it stands aside."""

    label: str
    treatment: str
    trained: str | None
    evaluated: str
    split: str = "test"
    aside: float = 0.0


ARMS = (
    Shown("rl, live", "rl", "live", "live"),
    Shown("base, live", "base", None, "live", aside=0.16),
    Shown("rl closed, its training tasks", "rl", "closed", "closed", "train", -0.16),
    Shown("rl live, results shuffled", "rl", "live", "shuffled", aside=0.3),
    Shown("base, closed", "base", None, "closed", aside=-0.3),
)
"""The arms of the map; those of the other worlds without information are in the table."""


def picture(found: Json, path: Path) -> None:
    """The map of one family. Tasks that the base never solves have no place on a logarithmic axis of p0."""
    found = {**found, "rows": [row for row in found["rows"] if row["p0"]["value"] > 0]}
    with style():
        varied = len({row["calls"] for row in found["rows"]}) > 1
        figure = new_figure(18 if varied else 14, 5.6)
        panels = figure.subplots(1, 3 + varied, width_ratios=(1.2, 1.1, *([0.8] * varied), 0.95))
        _samples(panels[0], found)
        _nats(panels[1], found)
        if varied:
            _calls(panels[2], found)
        climbing(panels[-1], found)
        _legend(figure)
        save(figure, path)


def _difficulty(ax: Axes, found: Json, top: float) -> np.ndarray:
    """The axis that the panels share, easy to hard, and the regions behind it. Returns p0 along it."""
    th = Thresholds(**found["thresholds"])
    values = [row["p0"]["value"] for row in found["rows"]]
    easy, hard = min(1.0, max([*values, th.tau]) * 3), min([*values, th.t]) / 3
    ax.set_xscale("log")
    ax.set_xlim(easy, hard)
    borders = {"E1": (easy, th.tau), "E2": (th.tau, th.t), "C": (th.t, hard)}
    for name, (start, end) in borders.items():
        ax.axvspan(end, start, color=BANDS[name], linewidth=0, zorder=0)
        ax.text(float(np.sqrt(start * end)), top, SAID[name], ha="center", va="top", fontsize=9.5, fontweight="bold",
                color="#555555", linespacing=1.25)  # fmt: skip
    ticks = [f"{row['value']}\n{row['p0']['value']:.0e}".replace("e-0", "e-") for row in found["rows"]]
    ax.set_xticks(values, ticks)
    ax.minorticks_off()
    ax.set_xlabel(f"{found['spec']['dial']}, and closed p0: harder to the right")
    return np.geomspace(easy, hard, POINTS)


def _samples(ax: Axes, found: Json) -> None:
    """What an arm's success is worth in closed samples."""
    ax.set_title("Worth how many closed samples?")
    th = Thresholds(**found["thresholds"])
    worth = [ends(a["equivalent_k"])[1] for row in found["rows"] for _, a in _arms(row) if _known(a, "equivalent_k")]
    top = max([1e4, *worth]) * 100
    ax.set_yscale("log")
    ax.set_ylim(NONE / 2, top)
    p0 = _difficulty(ax, found, top * 0.6)
    k = np.array([theory.samples_for(float(p), theory.REACHED) for p in p0])
    ax.plot(p0, k, color=FRONTIER, linewidth=2, zorder=2)
    ax.axhline(th.k_acc, color="#808080", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ax.text(p0[0] / 1.25, th.k_acc * 1.25, f"k_acc = {th.k_acc:,}", color="#606060", fontsize=9)
    decades = 10 ** np.arange(0, np.log10(top), 2)
    ax.set_yticks([NONE, *decades], ["0", *(f"$10^{{{round(np.log10(k))}}}$" for k in decades)])
    for row in found["rows"]:
        for shown, found_arm in _arms(row):
            if _known(found_arm, "equivalent_k"):
                _mark(ax, row, shown, found_arm, "equivalent_k", least=NONE)
    ax.set_ylabel("closed samples k (best-of-k as good as the arm)")
    if found["rows"]:
        _tokens(ax, found)


def _tokens(ax: Axes, found: Json) -> None:
    """The same budget in tokens, on the right."""
    each = float(np.mean([row["closed_tokens"] for row in found["rows"]]))

    def tokens(k: Any) -> Any:
        return np.asarray(k) * each

    def samples(count: Any) -> Any:
        return np.asarray(count) / each

    other = ax.secondary_yaxis("right", functions=(tokens, samples))
    other.set_ylabel(f"tokens (a closed sample takes {each:.0f})", fontsize=9, color="#606060")
    other.tick_params(colors="#606060", labelsize=8.5)
    other.spines["right"].set_visible(False)


def _nats(ax: Axes, found: Json) -> None:
    """What an arm paid; a thin line leads up to what closed reweighting would have had to pay for its success."""
    ax.set_title("Paid how many nats?")
    required = [ends(a["required"])[1] for row in found["rows"] for _, a in _arms(row) if _known(a, "required")]
    spent = [ends(a["spent"])[1] for row in found["rows"] for _, a in _arms(row) if _known(a, "spent")]
    top = max([4.0, *required, *spent]) * 1.3
    ax.set_ylim(-0.05 * top, top)
    p0 = _difficulty(ax, found, top * 0.985)
    for tau, width in ((0.5, 2.0), (0.9, 1.2)):
        line = np.array([theory.nats_for(float(p), tau) for p in p0])
        ax.plot(p0, line, color=FRONTIER, linewidth=width, linestyle="-" if tau == 0.5 else (0, (5, 2)), zorder=2)
        _along(ax, found, tau, 0.8 * top)
    ax.text(0.98, 0.17, "filled, below the line:\nthe world paid", transform=ax.transAxes, ha="right", va="bottom",
            fontsize=9.5, style="italic", color=COLORS["live"], zorder=7, path_effects=_halo())  # fmt: skip
    for row in found["rows"]:
        for shown, found_arm in _arms(row):
            if not _known(found_arm, "spent"):
                continue
            _mark(ax, row, shown, found_arm, "spent")
            if shown is ARMS[0] and _known(found_arm, "required"):
                at = _place(row, shown)
                span = found_arm["spent"]["value"], found_arm["required"]["value"]
                ax.plot([at, at], span, color=COLORS["live"], linewidth=1.1, linestyle=":", zorder=3)
                ax.plot([at], [span[1]], marker="_", color=COLORS["live"], markersize=9, zorder=3)
    ax.set_ylabel("KL to the base, nats")


def _along(ax: Axes, found: Json, tau: float, most: float) -> None:
    """A line's name, on it, between the hardest two dial values where it is not above *most*."""
    values = [row["p0"]["value"] for row in found["rows"]]
    between = [float(np.sqrt(a * b)) for a, b in zip(values, values[1:], strict=False)] or values
    if not between:
        return
    at = next((p for p in reversed(between) if theory.nats_for(p, tau) <= most), between[0])
    ax.text(at, theory.nats_for(at, tau), f"R = {number(tau)}", color=FRONTIER, fontsize=9, ha="center", va="center",
            zorder=4, path_effects=_halo())  # fmt: skip


def _halo() -> list[Any]:
    """Keeps words readable where lines run behind them."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=4, foreground=BANDS["C"])]


def _calls(ax: Axes, found: Json) -> None:
    """The fewest calls with which the best live policy solves half, and how many there are."""
    ax.set_title("How many calls?")
    rows = [row for row in found["rows"] if row["calls"] is not None]
    top = 1.45 * max(row["allowed"] for row in found["rows"])
    ax.set_ylim(0, top)
    _difficulty(ax, found, top * 0.985)
    ax.plot([row["p0"]["value"] for row in rows], [row["calls"] for row in rows], color=COLORS["live"], marker="_",
            markersize=14, markeredgewidth=2.5, linewidth=0.8, linestyle=":", zorder=3)  # fmt: skip
    ax.plot([row["p0"]["value"] for row in found["rows"]], [row["allowed"] for row in found["rows"]], color="#808080",
            linewidth=1, linestyle=(0, (4, 3)), zorder=2)  # fmt: skip
    ax.set_ylabel("fewest calls that can solve half (dashed: allowed)")


def _arms(row: Json) -> list[tuple[Shown, Json]]:
    found = [(s, arm(row, s.treatment, s.trained, s.evaluated, s.split)) for s in ARMS]
    return [(shown, one) for shown, one in found if one is not None]


def _known(found_arm: Json, key: str) -> bool:
    return found_arm[key]["value"] is not None


def _place(row: Json, shown: Shown) -> float:
    return float(row["p0"]["value"] * 10.0**-shown.aside)


def _mark(ax: Axes, row: Json, shown: Shown, found_arm: Json, key: str, least: float = 0.0) -> None:
    """Filled where the arm solves half of its tasks."""
    value, color = found_arm[key], COLORS.get(shown.evaluated, GREY)
    low, high = ends(value)
    at, y = _place(row, shown), max(value["value"], least)
    filled = found_arm["success"]["value"] >= theory.REACHED
    ax.errorbar([at], [y], yerr=[[max(y - max(low, least), 0)], [max(high - y, 0)]], fmt=MARKERS[shown.treatment],
                color=color, markerfacecolor=color if filled else "white", markersize=7.5 if shown is ARMS[0] else 6,
                elinewidth=1.1, capsize=2, zorder=6 if shown is ARMS[0] else 5)  # fmt: skip


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    def entry(label: str, **more: Any) -> Line2D:
        return Line2D([], [], markersize=7, label=label, **more)

    marks = [entry(s.label, linestyle="", marker=MARKERS[s.treatment], color=COLORS[s.evaluated]) for s in ARMS]
    marks.append(entry("open: solves less than half", linestyle="", marker="o", color="#555555", mfc="white"))
    lines = [
        entry("where closed reweighting solves half", color=FRONTIER, linewidth=2),
        entry("nats it would need for the arm's success", color=COLORS["live"], linestyle=":", marker="_"),
    ]
    figure.legend(handles=[*marks, *lines], ncols=4, loc="outside lower center", fontsize=9.5, columnspacing=1.6)
