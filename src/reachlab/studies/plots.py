"""``reach.png``: success against KL on hard and on training tasks, and what paid for the success.

Every mark is a number of result.json. The files are deterministic: same result, same bytes (with one matplotlib).
matplotlib is loaded when a picture is drawn, and never through pyplot.
Not covered: curves over k and over training (``studies.curves``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reachlab import Json
from reachlab.measure.wording import number
from reachlab.studies.canvas import COLORS, FRONTIER, GREY, MARKERS, new_figure, place, save, style
from reachlab.studies.reading import SILENCE, arms, estimate, short, silent, tasks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPENT, SURPLUS = "#8C8C8C", "#0072B2"
LINEAR = 0.1
"""Nats below which the axis is linear, so that the base's 0 can be shown."""
LABELLED = 0.05
"""Success from which a point is named in the picture; those on the floor are told by colour and shape."""


class Dot(NamedTuple):
    """One arm in the plane: spent nats and success with their intervals."""

    arm: Json
    x: float
    y: float
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]
    offset: float = 0.0
    """Points by which the mark is moved sideways."""


def reach(result: Json, path: Path) -> None:
    """Three panels: hard tasks, training tasks, required nats as spent + surplus."""
    with style():
        figure = new_figure(11, 5.2)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 1.0, 1.05))
        _hard(left, result)
        _seen(middle, result)
        _paid(right, result)
        _legend(figure, result)
        save(figure, path)


def dots(result: Json, split: str) -> list[Dot]:
    """The arms of a split that have both coordinates; on the test split both are those of the hard tasks."""
    keys = ("spent_hard", "success_hard") if split == "test" else ("spent_nats", "success")
    out = []
    for arm in arms(result, split):
        x, y = (estimate(arm, key) for key in keys)
        if x["value"] is not None and y["value"] is not None:
            out.append(Dot(arm, x["value"], y["value"], ends(x), ends(y)))
    return _dodged(out)


def ends(found: Json) -> tuple[float, float]:
    """The limits of an estimate; an open end is drawn at the value."""
    low, high = found.get("ci") or (None, None)
    value = found["value"]
    return min(value, value if low is None else low), max(value, value if high is None else high)


def _hard(ax: Axes, result: Json) -> None:
    total, hard = tasks_of(result, "test"), result["hard"]["tasks"]
    ax.set_title(f"Hard tasks ({hard:,} of {total:,} test tasks)")
    shown = dots(result, "test")
    _plane(ax, result.get("frontier_hard", []), shown)
    if result.get("frontier_hard"):
        ax.text(0.03, 0.97, "no reweighting of the closed\nbase gets up here", transform=ax.transAxes, va="top",
                color=FRONTIER, style="italic", fontsize=9.5)  # fmt: skip
    for dot in shown:
        _mark(ax, dot, COLORS.get(dot.arm["evaluated"], GREY))
    _name(ax, [d for d in shown if d.y >= LABELLED or d.arm["primary"]], shown)


def _seen(ax: Axes, result: Json) -> None:
    ax.set_title(f"Training tasks ({tasks_of(result, 'train'):,})")
    shown = dots(result, "train")
    _plane(ax, result.get("frontier_train", []), shown)
    for dot in shown:
        _mark(ax, dot, COLORS["closed"] if dot.arm["evaluated"] == "closed" else GREY)
    _name(ax, shown, shown)


def _plane(ax: Axes, frontier: Sequence[Json], shown: Sequence[Dot]) -> None:
    """The axes and the frontier with the region below it, which reweighting alone can reach."""
    most = max([1.0, *(d.x_ends[1] for d in shown), *(p["kl"] for p in frontier)])
    ax.set_xscale("symlog", linthresh=LINEAR, linscale=0.9)
    ax.set_xlim(-0.055, most * 4.5)
    ticks = [0.0, *(t for t in (0.1, 1.0, 10.0, 100.0, 1000.0) if t <= most * 1.9)]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_ylim(-0.04, 1.04)
    ax.set_xlabel("KL to the closed base, nats (linear below 0.1)")
    ax.set_ylabel("success")
    ax.grid(axis="y", color="#E8E8E8", linewidth=0.8)
    ax.set_axisbelow(True)
    if not frontier:
        ax.text(0.5, 0.5, "no frontier" if shown else "nothing to show", transform=ax.transAxes, ha="center")
        return
    x = [p["kl"] for p in frontier] + [most * 4.5]
    y = [p["success"] for p in frontier] + [frontier[-1]["success"]]
    ax.fill_between(x, y, -0.04, color=FRONTIER, alpha=0.08, linewidth=0)
    ax.plot(x, y, color=FRONTIER, linewidth=1.8, zorder=2)


def _dodged(shown: Sequence[Dot]) -> list[Dot]:
    """Arms at exactly 0 nats and about the same success would hide one another: they stand side by side."""
    out = list(shown)
    for i, dot in enumerate(shown):
        group = [j for j, other in enumerate(shown) if dot.x == other.x == 0 and abs(dot.y - other.y) < 0.03]
        if len(group) > 1:
            out[i] = dot._replace(offset=6.0 * (group.index(i) - (len(group) - 1) / 2))
    return out


def _mark(ax: Axes, dot: Dot, color: str) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure: Any = ax.figure
    moved = ax.transData + ScaledTranslation(dot.offset / 72, 0, figure.dpi_scale_trans)
    arm, open_ = dot.arm, dot.arm["trained"] not in (None, dot.arm["evaluated"])
    ax.errorbar(
        [dot.x],
        [dot.y],
        xerr=[[dot.x - dot.x_ends[0]], [dot.x_ends[1] - dot.x]],
        yerr=[[dot.y - dot.y_ends[0]], [dot.y_ends[1] - dot.y]],
        fmt=MARKERS.get(arm["treatment"], "P"),
        color=color,
        markerfacecolor="white" if open_ else color,
        markeredgecolor="black" if arm["primary"] else color,
        markeredgewidth=1.6 if arm["primary"] else 1.1,
        markersize=11 if arm["primary"] else 6.5,
        elinewidth=1.0,
        capsize=2,
        transform=moved,
        zorder=5 if arm["primary"] else 4,
    )


def _name(ax: Axes, named: Sequence[Dot], shown: Sequence[Dot]) -> None:
    crosses = [(d.x, d.y, d.x_ends, d.y_ends, d.offset) for d in shown]
    place(ax, [(short(d.arm), d.x, d.y, d.offset, bool(d.arm["primary"])) for d in named], crosses)


def _paid(ax: Axes, result: Json) -> None:
    """Required nats of each arm on the hard tasks: what its weights paid and what the world paid."""
    ax.set_title("What paid on the hard tasks")
    rows = [arm for arm in arms(result, "test") if (arm["required_nats"]["value"] or 0) > 0]
    rows = [arm for arm in rows if estimate(arm, "spent_hard")["value"] is not None]
    ax.set_xlabel("required nats = spent + surplus")
    if not rows:
        why = "no arm is above the closed base" if result["hard"]["tasks"] else "no hard tasks"
        ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center")
        ax.set_yticks([])
        return
    for y, arm in enumerate(reversed(rows)):
        _bar(ax, y, arm)
    ax.set_yticks(range(len(rows)), [short(arm) for arm in reversed(rows)])
    for label, arm in zip(ax.get_yticklabels(), reversed(rows), strict=True):
        label.set_fontweight("bold" if arm["primary"] else "normal")
    ax.set_ylim(-0.6, max(len(rows), 3) - 0.1)
    ax.set_xlim(0, 1.05 * max(ax.dataLim.x1, 1e-6))
    least = " at least" if any(arm["surplus_nats"].get("kind") == "bound" for arm in rows) else ""
    ax.barh([-9], [0], color=SPENT, label="spent: the weights paid")
    ax.barh([-9], [0], color=SURPLUS, label=f"surplus: the world paid{least}")
    ax.legend(loc="upper left", fontsize=9.5, ncols=1, borderaxespad=0.1)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _bar(ax: Axes, y: int, arm: Json) -> None:
    spent, surplus = estimate(arm, "spent_hard")["value"], arm["surplus_nats"]
    ax.barh([y], [spent], color=SPENT, height=0.5)
    if surplus["value"] is None:
        return
    required = spent + surplus["value"]
    if surplus["value"] > 0:
        ax.barh([y], [surplus["value"]], left=[spent], color=SURPLUS, height=0.5)
        _inside(ax, spent, y, surplus["value"], SURPLUS)
    _inside(ax, 0.0, y, spent, SPENT)
    low, high = ends(surplus)
    ax.errorbar([required], [y], xerr=[[surplus["value"] - low], [high - surplus["value"]]], color="black",
                elinewidth=1.2, capsize=3)  # fmt: skip


def _inside(ax: Axes, left: float, y: int, value: float, color: str) -> None:
    """The number in the middle of its part, where the error bar seldom is."""
    from matplotlib.patheffects import withStroke

    if value >= 0.6:
        ax.annotate(number(value), (left + value / 2, y), ha="center", va="center", color="white", fontsize=8.5,
                    fontweight="bold", zorder=6,
                    path_effects=[withStroke(linewidth=3, foreground=color)])  # fmt: skip


def _legend(figure: Figure, result: Json) -> None:
    """Outside the axes: colours in the first row, shapes in the second, the frontier last."""
    from matplotlib.lines import Line2D

    def entry(label: str, marker: str = "", color: str = "#555555", **more: Any) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=color, markersize=7, label=label, **more)

    shown = [arm for arm in arms(result, "test") if not silent(arm)]
    worlds = [w for w in COLORS if any(a["evaluated"] == w for a in shown)]
    treatments = [t for t in MARKERS if any(a["treatment"] == t for a in shown)]
    first = [entry("evaluated in:"), *(entry(w, "o", COLORS[w]) for w in worlds)]
    second = [entry("treatment:"), *(entry(t, MARKERS[t]) for t in treatments)]
    second.append(entry("open: trained in another world", "o", markerfacecolor="white"))
    length = max(len(first), len(second))
    rows = [row + [entry(" ")] * (length - len(row)) for row in (first, second)]
    figure.legend(handles=[e for pair in zip(*rows, strict=True) for e in pair], ncols=length,
                  loc="outside lower center", fontsize=9.5, handletextpad=0.1, columnspacing=1.2)  # fmt: skip
    _headline(figure, result)


def _headline(figure: Figure, result: Json) -> None:
    """Above the panels: what the curve is, and the arms that are nowhere because they have no episodes."""
    from matplotlib.lines import Line2D

    kind = "exact" if result["p0"].get("kind") == "exact" else "upper bound"
    handles = []
    if any(result.get(key) for key in ("frontier_hard", "frontier_train")):
        label = f"frontier: the most any closed reweighting reaches ({kind})"
        handles.append(Line2D([], [], color=FRONTIER, linewidth=1.8, label=label))
    for word in SILENCE:
        quiet = [short(a) for a in arms(result, "test") if silent(a) and a["success"]["reason"].startswith(word)]
        shown = ", ".join(quiet[:4]) + (f" and {len(quiet) - 4} more" if len(quiet) > 4 else "")
        handles += [Line2D([], [], linestyle="", label=f"{word}: {shown}")] if quiet else []
    if handles:
        figure.legend(handles=handles, loc="outside upper center", fontsize=9.5, ncols=2)
