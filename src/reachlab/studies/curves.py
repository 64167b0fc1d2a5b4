"""``passk.png``: pass@k of the closed base and of arms; ``training.png``: what training did step by step.

Not covered: pass@k of arms beyond the episodes they have (an unbiased estimate needs k <= n).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reachlab import FloatArray, Json
from reachlab.measure import Interval, PassPoint, best_of, bounded_mean, pass_at_k
from reachlab.studies.canvas import COLORS, FRONTIER, GREY, MARKERS, new_figure, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Json]
"""Rows of tasks.parquet, or lines of metrics.jsonl."""
FARTHEST = 7.0
"""log10 of the largest k drawn, unless the pictured success needs more."""
TREATMENTS = {"base": COLORS["closed"], "sft": COLORS["shuffled"], "rft": COLORS["oracle"], "rl": COLORS["live"],
              "distil": COLORS["imagined"], "rl-random": COLORS["silent"]}  # fmt: skip


def passk(result: Json, rows: Rows, path: Path) -> None:
    """Two panels, hard and all test tasks: the closed base from its p0, arms from their counts with bands."""
    tests = [row for row in rows if row["split"] == "test"]
    with style():
        figure = new_figure(11, 4.6)
        panels = figure.subplots(1, 2, sharey=True)
        for ax, title, kept in (
            (panels[0], "Hard tasks", [row for row in tests if row["hard"]]),
            (panels[1], "All test tasks", tests),
        ):
            _pass_panel(ax, f"{title} ({len({row['task'] for row in kept}):,})", kept, result)
        panels[0].set_ylabel("pass@k")
        handles: dict[str, Any] = {}
        for ax in panels:
            handles |= {label: h for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=9.5)
        save(figure, path)


def arm_curve(rows: Rows, alpha: float) -> list[PassPoint]:
    """Unbiased pass@k with its band, for rows of one arm: a mean over training runs, tasks the unit."""
    runs = {seed: {r["task"]: r for r in rows if r["seed"] == seed} for seed in sorted({r["seed"] for r in rows})}
    # Row by row: the tasks of every run in one order, those without a scored episode left out.
    names = [n for n in next(iter(runs.values()), {}) if all(run.get(n, {}).get("episodes") for run in runs.values())]
    if not names:
        return []
    attempts, hits = (
        np.array([[run[name][key] for name in names] for run in runs.values()]) for key in ("episodes", "successes")
    )
    most = int(attempts.min())
    ks = [*(2**i for i in range(most.bit_length()) if 2**i < most), most]
    values = [np.mean([pass_at_k(n, c, k) for n, c in zip(attempts, hits, strict=True)], axis=0) for k in ks]
    return [PassPoint(k, bounded_mean(v, alpha).clip()) for k, v in zip(ks, values, strict=True)]


def base_curve(p0: FloatArray, ks: FloatArray) -> FloatArray:
    """Mean over tasks of 1-(1-p0)^k."""
    return np.array([float(best_of(p0, k).mean()) for k in ks.tolist()])


def _pass_panel(ax: Axes, title: str, rows: Rows, result: Json) -> None:
    ax.set_title(title)
    ax.set_xscale("log")
    ax.set_xlabel("attempts k")
    ax.set_xlim(0.9, 10**FARTHEST)
    ax.set_ylim(-0.03, 1.03)
    ax.grid(axis="y", color="#E8E8E8", linewidth=0.8)
    ax.set_axisbelow(True)
    k_acc, alpha = result["thresholds"]["k_acc"], result["thresholds"]["alpha_report"] / 2
    ax.axvline(k_acc, color="#666666", linewidth=1, linestyle=":")
    ax.annotate(f"k_acc = {k_acc:,}", (k_acc, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=9.5)  # fmt: skip
    if not rows:
        ax.text(0.5, 0.5, "no such tasks", transform=ax.transAxes, ha="center")
        return
    _base(ax, rows, result)
    silent = {a["name"] for a in result["arms"] if a["success"]["value"] is None}
    for name in dict.fromkeys(row["arm"] for row in rows):
        arm = next((a for a in result["arms"] if a["name"] == name), None)
        if arm is not None and name not in silent and _drawn(arm, result):
            _arm(ax, arm, arm_curve([row for row in rows if row["arm"] == name], alpha))


def _drawn(arm: Json, result: Json) -> bool:
    """Arms that could stand out: the rest (prompt and leak controls) lie on the base and are in the table."""
    exact = result["p0"].get("kind") == "exact"
    if arm["treatment"] == "base" and arm["evaluated"] == "closed":
        return not exact
    trained_closed = arm["evaluated"] == "closed"
    return bool(arm["primary"] or trained_closed or arm["evaluated"] in ("live", "oracle"))


def _base(ax: Axes, rows: Rows, result: Json) -> None:
    """Exact p0 gives the whole curve; a sampled one an upper bound by the pooled limit of mean p0."""
    ks = np.logspace(0, FARTHEST, 141)
    p0 = {row["task"]: row["p0"] for row in rows}
    if all(value is not None for value in p0.values()) and result["p0"].get("kind") == "exact":
        exact = base_curve(np.array(list(p0.values())), ks)
        ax.plot(ks, exact, color=FRONTIER, linewidth=2, label="base·closed (exact)")
        return
    known = result["p0"].get("hard") if all(row["hard"] for row in rows) else result["p0"]
    high = ((known or {}).get("ci") or (None, None))[1]
    if high is not None:
        ax.plot(ks, base_curve(np.array([high]), ks), color=FRONTIER, linewidth=1.5, linestyle="--",
                label="base·closed: upper bound")  # fmt: skip


def _arm(ax: Axes, arm: Json, points: Sequence[PassPoint]) -> None:
    if not points:
        return
    ks, bands = [p.k for p in points], [p.success for p in points]
    color = COLORS.get(arm["evaluated"], GREY)
    open_ = arm["trained"] not in (None, arm["evaluated"])
    ax.plot(
        ks,
        [b.value for b in bands],
        color=color,
        marker=MARKERS.get(arm["treatment"], "P"),
        markerfacecolor="white" if open_ else color,
        markersize=7 if arm["primary"] else 4.5,
        linewidth=2.2 if arm["primary"] else 1.2,
        label=arm["name"],
        zorder=4 if arm["primary"] else 3,
    )
    _band(ax, ks, bands, color)


def _band(ax: Axes, ks: Sequence[int], bands: Sequence[Interval], color: str) -> None:
    ax.fill_between(ks, [b.low for b in bands], [b.high for b in bands], color=color, linewidth=0,
                    alpha=0.05 if color == COLORS["closed"] else 0.12)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- training


def training(metrics: Rows, path: Path) -> None:
    """Reward, KL, entropy and calls per step of every training; colour is the treatment, dashed was trained closed."""
    panels: list[tuple[str, str, Callable[[Json], Any]]] = [
        ("Reward", "mean of the sampled episodes", lambda line: line.get("reward")),
        ("KL", "nats per transcript", lambda line: line.get("kl")),
        ("Entropy", "nats per policy token", lambda line: line.get("entropy")),
        ("Calls", "per episode", lambda line: line.get("calls")),
    ]
    groups: dict[tuple[str, str, int], list[Json]] = {}
    for line in metrics:
        groups.setdefault((line["treatment"], line["trained"], line["seed"]), []).append(line)
    with style():
        figure = new_figure(11, 3.4)
        for ax, (title, what, read) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            ax.set_title(title)
            ax.set_xlabel("update")
            ax.set_ylabel(what)
            for (treatment, world, _), lines in groups.items():
                points = [(line["step"], read(line)) for line in lines if read(line) is not None]
                # KL is not computed where nothing is charged for it: all zero there.
                if any(value for _, value in points) or (points and title != "KL"):
                    ax.plot(*zip(*points, strict=True), color=TREATMENTS.get(treatment, GREY), linewidth=1.3,
                            linestyle="--" if world == "closed" else "-")  # fmt: skip
            if not ax.lines:
                ax.text(0.5, 0.5, "nothing recorded", transform=ax.transAxes, ha="center")
        _trainings(figure, groups)
        save(figure, path)


def _trainings(figure: Any, groups: dict[tuple[str, str, int], list[Json]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=TREATMENTS.get(t, GREY), linestyle="--" if w == "closed" else "-", label=f"{t} in {w}")
        for t, w in dict.fromkeys((t, w) for t, w, _ in groups)
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9.5)
