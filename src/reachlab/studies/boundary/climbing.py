"""The panel of training closed: success against nats on its own training tasks, under the frontier of each dial value.

Not covered: the other panels, which share the axis of p0 (``picture``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reachlab import Json
from reachlab.studies.boundary.run import arm
from reachlab.studies.plots import ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def climbing(ax: Axes, found: Json) -> None:
    """Training closed, on its own tasks: where there is a signal it climbs, and never leaves the frontier."""
    from matplotlib import colormaps

    ax.set_title("Training closed climbs the frontier")
    rows = [row for row in found["rows"] if row["frontier_train"]]
    for place, row in enumerate(rows):
        color = colormaps["copper"](0.1 + 0.75 * place / max(len(rows) - 1, 1))
        curve = row["frontier_train"]
        ax.plot([p["kl"] for p in curve], [p["success"] for p in curve], color=color, linewidth=1.6, zorder=2)
        middle = min(curve, key=lambda p: abs(p["success"] - 0.56))
        ax.annotate(str(row["value"]), (middle["kl"], middle["success"]), xytext=(-7, 3), textcoords="offset points",
                    color=color, fontsize=9.5, fontweight="bold", ha="center")  # fmt: skip
        ax.plot([p["kl"] for p in row["climb"]], [p["success"] for p in row["climb"]], color=color, linewidth=1.0,
                marker=".", markersize=4, linestyle=":", zorder=3)  # fmt: skip
        reached = arm(row, "rl", "closed", "closed", "train")
        if reached is not None and reached["spent"]["value"] is not None:
            x, y = reached["spent"], reached["success"]
            ax.errorbar([x["value"]], [y["value"]], xerr=_errors(x), yerr=_errors(y), fmt="^", color=color,
                        markersize=8, elinewidth=1, capsize=2, zorder=5)  # fmt: skip
    ax.set_xlim(left=-0.3)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("KL to the base on the training tasks, nats")
    ax.set_ylabel("success")
    quiet = [str(row["value"]) for row in rows if not row["climb"]]
    if quiet:
        ax.text(0.98, 0.03, f"no success to learn from: {', '.join(quiet)}", transform=ax.transAxes, ha="right",
                fontsize=9.5, style="italic", color="#555555")  # fmt: skip
    if not rows:
        ax.text(0.5, 0.5, "no frontier: p0 is not exact", transform=ax.transAxes, ha="center")


def _errors(found: Json) -> list[list[float]]:
    low, high = ends(found)
    return [[found["value"] - low], [high - found["value"]]]
