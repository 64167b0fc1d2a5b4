"""A map for people: ``boundary.md``, ``boundary.png``, the terminal's table. Every number is one of boundary.json."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reachlab import Json
from reachlab.measure.wording import number
from reachlab.studies.boundary.picture import picture
from reachlab.studies.boundary.run import arm
from reachlab.studies.reading import DASH, Notes, brief, spelled
from reachlab.studies.store import published


class Cell(NamedTuple):
    """A column of the table: an arm and one of its quantities."""

    head: str
    place: tuple[str, str | None, str, str]
    key: str


LIVE = (
    Cell("base live", ("base", None, "live", "test"), "success"),
    Cell("rl live", ("rl", "live", "live", "test"), "success"),
    Cell("paid, nats", ("rl", "live", "live", "test"), "spent"),
    Cell("closed would need, nats", ("rl", "live", "live", "test"), "required"),
    Cell("worth, closed samples", ("rl", "live", "live", "test"), "equivalent_k"),
    Cell("costs, closed samples", ("rl", "live", "live", "test"), "cost_k"),
)
OTHERS = (
    Cell("rl live, shuffled", ("rl", "live", "shuffled", "test"), "success"),
    Cell("imagined", ("rl", "live", "imagined", "test"), "success"),
    Cell("silent", ("rl", "live", "silent", "test"), "success"),
    Cell("rl closed, training tasks", ("rl", "closed", "closed", "train"), "success"),
    Cell("paid, nats", ("rl", "closed", "closed", "train"), "spent"),
    Cell("worth, closed samples", ("rl", "closed", "closed", "train"), "equivalent_k"),
    Cell("rl closed, fresh tasks", ("rl", "closed", "closed", "test"), "success"),
)
NARROW = (*LIVE[1:5], *OTHERS[3:5])
"""The columns that a terminal has room for."""
LEAD = ("p0", "drawn", "read")
THEORY = {"samples": "k for 1/2", "nats": "nats for 1/2", "optimum": "optimum", "calls": "least calls"}
"""What follows from p0 and the family alone: keys of a row, and how they are headed."""


def write(found: Json, out: Path) -> None:
    """``boundary.png`` and ``boundary.md``."""
    picture(found, out / "boundary.png")
    with published(out / "boundary.md") as temporary:
        temporary.write_text(markdown(found), encoding="utf-8")


def terminal(found: Json) -> RenderableType:
    """One row per dial value; below it the values whose verdict is not what theory draws."""
    notes = Notes()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for head in (found["spec"]["dial"], *LEAD):
        table.add_column(head, no_wrap=True)
    for cell in NARROW:
        table.add_column(cell.head, justify="right")
    for row in found["rows"]:
        table.add_row(*map(Text, (*_lead(row), *(_cell(row, cell, notes, "\n") for cell in NARROW))))
    foot = [Text(f" {mark}  {reason}", style="dim") for mark, reason in notes.listed()]
    return Group(table, *foot, Text(), *map(Text, agreement_lines(found)))


def markdown(found: Json) -> str:
    """The same for a page, with the picture: first theory and the live arms, then the rivals."""
    notes, dial = Notes(), found["spec"]["dial"]
    lines = [f"`{found['command']}`", "", "![The map](boundary.png)", ""]
    heads = [dial, *LEAD, *THEORY.values(), *(cell.head for cell in LIVE)]
    rows = [[*_lead(row), *(_number(row[key]) for key in THEORY), *_cells(row, LIVE, notes)] for row in found["rows"]]
    lines += [*_table(heads, rows), ""]
    rows = [[str(row["value"]), *_cells(row, OTHERS, notes)] for row in found["rows"]]
    lines += _table([dial, *(cell.head for cell in OTHERS)], rows)
    lines += ["", *(f"{mark}: {reason}  " for mark, reason in notes.listed())]
    lines += ["", *(f"- {line}" for line in agreement_lines(found))]
    return "\n".join(lines) + "\n"


def agreement_lines(found: Json) -> list[str]:
    """Whether each verdict falls in the region that theory draws for its tasks, and why not where it does not."""
    dial, rows = found["spec"]["dial"], found["rows"]
    inside = [str(row["value"]) for row in rows if row["inside"]]
    said = [f"{len(inside)} of {len(rows)} verdicts fall in the region that theory draws for their tasks."]
    for row in rows:
        if not row["inside"]:
            said.append(f"{dial} {row['value']}: drawn {row['region']}, read {row['verdict']}. {_why(row)}")
    said += [f"{dial} {row['value']}: violated: {', '.join(row['violated'])}" for row in rows if row["violated"]]
    return said


def _why(row: Json) -> str:
    """The tasks may lie in several regions; the rest is said by the verdict itself."""
    mixed = {name: share for name, share in (row["shares"] or {}).items() if share > 0}
    parts = ", ".join(f"{100 * share:.0f} % in {name}" for name, share in mixed.items())
    lead = f"Its tasks are not all in one region ({parts}). " if len(mixed) > 1 else ""
    return f"{lead}The verdict: {row['sentence']}"


def _lead(row: Json) -> list[str]:
    bound = "≤ " if row["p0"]["kind"] == "bound" else ""
    return [str(row["value"]), f"{bound}{row['p0']['value']:.2g}", row["region"], row["verdict"]]


def _cell(row: Json, cell: Cell, notes: Notes, gap: str) -> str:
    found = arm(row, *cell.place)
    if found is None:
        return f"{DASH} {notes.mark(_missing(row, cell))}"
    read = spelled(found[cell.key], limit=brief)
    return f"{read.value}{gap}{read.interval}".rstrip() if read.value else f"{DASH} {notes.mark(read.reason)}"


def _cells(row: Json, cells: tuple[Cell, ...], notes: Notes) -> list[str]:
    return [_cell(row, cell, notes, " ") for cell in cells]


def _missing(row: Json, cell: Cell) -> str:
    keys = ("treatment", "trained", "evaluated", "split")
    named = next((a for a in row["arms"] if tuple(a[k] for k in keys) == cell.place), None)
    return "this study has no such arm" if named is None else str(named["success"]["reason"])


def _number(value: float | None) -> str:
    return DASH if value is None else number(value)


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
