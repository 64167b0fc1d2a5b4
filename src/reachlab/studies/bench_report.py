"""A bench for people: ``bench.md``, ``bench.png`` and the terminal's table. Every number is one of bench.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reachlab import Json
from reachlab.studies.bench import COLUMNS, RIVALS
from reachlab.studies.canvas import COLORS, new_figure, place, save, style
from reachlab.studies.plots import SPENT, SURPLUS, ends
from reachlab.studies.reading import DASH, Notes, brief, spelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def terminal(found: Json) -> RenderableType:
    """One row per family, the sentences below."""
    notes = Notes()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("family", "verdict"):
        table.add_column(head, no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.head, justify="right")
    for row in found["rows"]:
        cells = [_cell(row[column.key], notes, "\n") for column in COLUMNS]
        table.add_row(Text(row["family"]), Text(row["verdict"]), *map(Text, cells))
    beside = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("family", "arm", *(column.head for column in RIVALS)):
        beside.add_column(head)
    for name, rival in _beside(found):
        beside.add_row(name, rival["arm"], *(_cell(rival[c.key], notes, "\n") for c in RIVALS))
    foot = [Text(f" {mark}  {reason}", style="dim") for mark, reason in notes.listed()]
    tables = [table, Text(), beside] if beside.row_count else [table]
    sentences = [Text(row["sentence"]) for row in found["rows"]]
    return Group(*tables, *foot, Text(), *sentences, Text(family_wise(found), style="dim"))


def markdown(found: Json) -> str:
    """The same for a page, with the picture."""
    notes = Notes()
    heads = ["family", "mechanism", "verdict", *(column.head for column in COLUMNS)]
    lines = [f"`{found['command']}`", "", _row(heads), _row(["---"] * len(heads))]
    for row in found["rows"]:
        cells = [_cell(row[column.key], notes, " ") for column in COLUMNS]
        lines.append(_row([row["family"], row["mechanism"], row["verdict"], *cells]))
    if any(row["beside"] for row in found["rows"]):
        heads = ["family", "arm", *(column.head for column in RIVALS)]
        lines += ["", _row(heads), _row(["---"] * len(heads))]
        lines += [_row([n, r["arm"], *(_cell(r[c.key], notes, " ") for c in RIVALS)]) for n, r in _beside(found)]
    lines += ["", *(f"{mark}: {reason}  " for mark, reason in notes.listed())]
    lines += ["", "![Mechanisms](bench.png)", "", *(f"- {row['sentence']}" for row in found["rows"])]
    lines += ["", family_wise(found)]
    return "\n".join(lines) + "\n"


def family_wise(found: Json) -> str:
    """How far the errors of the verdicts add up: Bonferroni, whatever their dependence."""
    errors = [row["alpha"] for row in found["rows"]]
    alone = f"Each verdict at one-sided {max(errors):g}"
    return f"{alone}; that any of the {len(errors)} reads creation by chance: at most {sum(errors):g} (Bonferroni)."


def _beside(found: Json) -> list[tuple[str, Json]]:
    return [(row["family"], rival) for row in found["rows"] for rival in row["beside"]]


def picture(found: Json, path: Path) -> None:
    """Left: what paid for the success on hard tasks. Right: bits gained against bits imported."""
    with style():
        figure = new_figure(9.5, 1.6 + 0.55 * max(4, len(found["rows"])))
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1.0))
        _paid(left, found["rows"])
        _bits(right, found["rows"])
        save(figure, path)


def _cell(estimate: Json, notes: Notes, gap: str) -> str:
    read = spelled(estimate, limit=brief)
    if not read.value:
        return f"{DASH} {notes.mark(read.reason)}"
    return f"{read.value}{gap}{read.interval}".rstrip()


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _paid(ax: Axes, rows: list[Json]) -> None:
    ax.set_title("What paid on the hard tasks")
    for y, row in enumerate(reversed(rows)):
        spent, surplus = row["spent_hard"]["value"], row["surplus_nats"]
        if spent is not None:
            ax.barh([y], [spent], color=SPENT, height=0.5)
        if spent is not None and surplus["value"] is not None:
            ax.barh([y], [max(surplus["value"], 0.0)], left=[spent], color=SURPLUS, height=0.5)
            low, high = ends(surplus)
            error = [[surplus["value"] - low], [high - surplus["value"]]]
            ax.errorbar([spent + surplus["value"]], [y], xerr=error, color="black", elinewidth=1.2, capsize=3)
    ax.set_yticks(range(len(rows)), [f"{row['family']}  {row['verdict']}" for row in reversed(rows)])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(left=0)
    ax.set_xlabel("nats, rl·live")
    ax.barh([-9], [0], color=SPENT, label="spent: the weights paid")
    ax.barh([-9], [0], color=SURPLUS, label="surplus: the world paid")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=8.5)


def _bits(ax: Axes, rows: list[Json]) -> None:
    ax.set_title("Nothing gained that was not imported")
    both = [(row["bits_imported"], row["bits_gained"], row["family"]) for row in rows]
    shown = [(x, y, name) for x, y, name in both if x["value"] is not None and y["value"] is not None]
    crosses = [(x["value"], y["value"], ends(x), ends(y), 0.0) for x, y, _ in shown]
    least = min([2.0, *(max(low, 1.0) for _, _, (low, _), _, _ in crosses)])
    widest = 1.15 * max([8.0, *(right for _, _, (_, right), _, _ in crosses)])
    highest = 1.15 * max([8.0, *(high for _, _, _, (_, high), _ in crosses)])
    ax.set_xscale("log", base=2)  # one family may import a hundred times as much as another
    edge = [least * (widest / least) ** (n / 64) for n in range(65)]
    ax.fill_between(edge, edge, max(widest, highest), color="#D0D0D0", alpha=0.5, linewidth=0)
    ax.plot(edge, edge, color="#808080", linewidth=1)
    for x, y, (left, right), (low, high), _ in crosses:
        errors = [[x - left], [right - x]], [[y - low], [high - y]]
        ax.errorbar([x], [y], xerr=errors[0], yerr=errors[1], fmt="o", color=COLORS["live"], capsize=2)
    ax.set_xlim(least, widest)
    ax.set_ylim(min([0.0, *(low for _, _, _, (low, _), _ in crosses)]), highest)
    ax.xaxis.set_major_formatter("{x:g}")
    place(ax, [(name, x["value"], y["value"], 0.0, False) for x, y, name in shown], crosses)
    ax.set_xlabel("bits imported")
    ax.set_ylabel("bits gained over imagined")
