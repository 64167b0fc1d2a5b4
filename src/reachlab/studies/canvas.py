"""What all pictures share: style, colours, deterministic files, direct labels that do not run into one another.

Labels are placed greedily; where nothing is free the least bad place is taken. Not covered: what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachlab.studies.store import published

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

COLORS = {
    "closed": "#333333",
    "silent": "#56B4E9",
    "imagined": "#CC79A7",
    "shuffled": "#E69F00",
    "live": "#0072B2",
    "oracle": "#009E73",
}
"""By the world an arm is evaluated in (Okabe and Ito's palette: safe for colour-blind readers)."""
MARKERS = {"base": "o", "sft": "s", "rft": "D", "rl": "^", "distil": "v", "rl-random": "X", "rft-search": "p"}
GREY, FRONTIER = "#B8B8B8", "#D55E00"
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 160,
}
Label = tuple[str, float, float, float, bool]
"""Text, x, y (data), points the mark is moved sideways, bold."""
Cross = tuple[float, float, tuple[float, float], tuple[float, float], float]
"""x, y, limits in x, limits in y (data), points moved sideways: a mark with error bars."""
OFFSETS = [
    (dx * scale, dy * scale)
    for scale in (1.0, 1.7, 2.6)
    for dx, dy in ((9, 6), (-9, 6), (9, -6), (-9, -6), (0, 11), (0, -11), (12, 0), (-12, 0))
]
"""In points, nearest first."""
RADIUS = 5.0
"""Of a mark, in points."""


@contextmanager
def style() -> Iterator[None]:
    """The defaults of matplotlib and ours, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        parameters: Any = matplotlib.rcParams  # its keys are typed one by one
        parameters.update(STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Published whole, without the version stamp that would change its bytes."""
    with published(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def place(ax: Axes, labels: Sequence[Label], crosses: Sequence[Cross]) -> None:
    """Name points. Keeps clear of marks, error bars, curves, other text, the border of *ax* and earlier names."""
    figure: Any = ax.figure
    figure.draw_without_rendering()  # the layout must stand before anything can be measured
    renderer, unit = figure.canvas.get_renderer(), figure.dpi / 72
    frame = ax.get_window_extent(renderer)
    marks = [_boxes(ax, cross, unit)[0] for cross in crosses]
    taken = [box for cross in crosses for box in _boxes(ax, cross, unit)] + _lines(ax, unit)
    taken += [text.get_window_extent(renderer) for text in ax.texts]
    for label in labels:
        (px, py), moved = ax.transData.transform((label[1], label[2])), label[3] * unit
        own = min(range(len(marks)), key=lambda n: _apart(marks[n], px + moved, py), default=-1)
        best: tuple[float, Any, Any] | None = None
        for dx, dy in OFFSETS:
            note = _note(ax, label, dx, dy)
            box = note.get_window_extent(renderer)
            cost = sum(_overlap(box, other) for other in taken) + 4 * _outside(box, frame)
            cost += _mistaken(box, marks, own)
            note.remove()
            if best is None or cost < best[0] - 1e-6:
                best = (cost, note, box)
        assert best is not None
        ax.add_artist(best[1])
        taken.append(best[2])


def _mistaken(box: Bbox, marks: Sequence[Bbox], own: int) -> float:
    """What a name costs that stands nearer to another mark than to its own: as much as all of it hidden."""
    if own < 0:
        return 0.0
    gaps = [_gap(box, mark) for mark in marks]
    nearer = any(gap < gaps[own] - 1 for n, gap in enumerate(gaps) if n != own)
    return float(box.width * box.height) if nearer else 0.0


def _apart(mark: Bbox, px: float, py: float) -> float:
    return float(abs((mark.x0 + mark.x1) / 2 - px) + abs((mark.y0 + mark.y1) / 2 - py))


def _gap(a: Bbox, b: Bbox) -> float:
    """Pixels between two boxes; 0 where they touch."""
    across, along = max(a.x0 - b.x1, b.x0 - a.x1, 0.0), max(a.y0 - b.y1, b.y0 - a.y1, 0.0)
    return float((across**2 + along**2) ** 0.5)


def _note(ax: Axes, label: Label, dx: float, dy: float) -> Any:
    from matplotlib.patheffects import withStroke

    text, x, y, moved, bold = label
    return ax.annotate(
        text,
        (x, y),
        xytext=(dx + moved, dy),
        textcoords="offset points",
        ha="left" if dx > 0 else "right" if dx < 0 else "center",
        va="bottom" if dy > 0 else "top" if dy < 0 else "center",
        fontsize=9.5,
        fontweight="bold" if bold else "normal",
        zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )


def _boxes(ax: Axes, cross: Cross, unit: float) -> list[Bbox]:
    """Pixels that a mark and its error bars cover."""
    from matplotlib.transforms import Bbox

    x, y, across, along, moved = cross
    shift = moved * unit

    def at(point: tuple[float, float]) -> tuple[float, float]:
        px, py = ax.transData.transform(point)
        return float(px) + shift, float(py)

    (px, py), r = at((x, y)), RADIUS * unit
    left, right = at((across[0], y))[0], at((across[1], y))[0]
    low, high = at((x, along[0]))[1], at((x, along[1]))[1]
    return [
        Bbox.from_extents(px - r, py - r, px + r, py + r),
        Bbox.from_extents(left, py - unit, right, py + unit),
        Bbox.from_extents(px - unit, low, px + unit, high),
    ]


def _lines(ax: Axes, unit: float) -> list[Bbox]:
    """Small boxes along every curve of the axes that has many points."""
    import numpy as np
    from matplotlib.transforms import Bbox

    out = []
    for line in ax.get_lines():
        points = ax.transData.transform(np.asarray(line.get_xydata(), dtype=float))
        if len(points) < 8:
            continue
        for a, b in zip(points[:-1], points[1:], strict=True):
            steps = max(2, int(np.hypot(*(b - a)) / (3 * unit)))
            for px, py in np.linspace(a, b, steps):
                out.append(Bbox.from_extents(px - unit, py - unit, px + unit, py + unit))
    return out


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return float(max(width, 0) * max(height, 0))


def _outside(box: Bbox, frame: Bbox) -> float:
    return float(box.width * box.height) - _overlap(box, frame)
