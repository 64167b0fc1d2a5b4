"""A result for people: the terminal's tables, and ``report.md`` with its pictures beside result.json.

Command: ``reachlab report DIR``. Every number comes from result.json; nothing is computed here.
Not covered: the words of the verdict (``reachlab.measure.wording``) and of the estimates (``studies.reading``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from reachlab import Json
from reachlab.errors import CorruptRun
from reachlab.studies.markdown import markdown
from reachlab.studies.reading import (
    DASH,
    MATCH,
    REACH,
    SEEN,
    Column,
    Notes,
    arms,
    brief,
    cell,
    checks_line,
    claim_lines,
    leak_line,
    line,
    percent,
    short,
    tally,
)
from reachlab.studies.store import published, read_table

if TYPE_CHECKING:
    from reachlab.studies.curves import Rows

__all__ = ["markdown", "terminal", "write_report"]
BORDERS = {"C": "green", "E": "yellow", "I": "red", "U": "cyan"}


def write_report(out: Path, result: Json) -> None:
    """Write reach.png, passk.png, training.png and report.md beside result.json, from it and the tables there."""
    from reachlab.studies import curves, plots  # a terminal report needs no matplotlib

    plots.reach(result, out / "reach.png")
    curves.passk(result, read_table(out / "tasks.parquet").to_pylist(), out / "passk.png")
    curves.training(_metrics(out / "metrics.jsonl"), out / "training.png")
    with published(out / "report.md") as temporary:
        temporary.write_text(markdown(result), encoding="utf-8")


def _metrics(path: Path) -> Rows:
    """Lines of metrics.jsonl; a study without training has none."""
    if not path.exists():
        return []
    try:
        return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        again = f"reachlab report {path.parent}"
        raise CorruptRun(f"{path} cannot be read ({error}); write it again with: {again}") from error


def terminal(result: Json) -> RenderableType:
    """Verdict, arms, checks and what the claim is relative to."""
    notes = Notes()
    tests, seen = arms(result, "test"), arms(result, "train")
    hard = result["hard"]["tasks"]
    parts: list[RenderableType] = [_verdict(verdict) for verdict in result["verdicts"]]
    if result.get("plan"):
        parts += [_facts([("What would decide it", result["plan"]["sentence"])]), Text()]
    total = max((arm["tasks"] for arm in tests), default=0)
    title = f"Test tasks. success, bits: all {total:,}; the rest: the {hard:,} hard ones"
    wide = _table(f"{title}; {percent(result)} intervals", tests, (*REACH, *MATCH), notes)
    second = _table(f"In samples and bits; {percent(result)} intervals", tests, MATCH, notes)
    parts.append(_Fitting(wide, Group(_table(title, tests, REACH, notes), second)))
    if seen:
        parts.append(_table("Training tasks: closed arms should climb the frontier", seen, SEEN, notes))
    parts += [Text(f" {mark}  {reason}", style="dim") for mark, reason in notes.listed()]
    parts += [Text(), _facts(_checked(result)), *_violations(result), Text(), _facts(claim_lines(result))]
    return Group(*parts)


@dataclass(frozen=True, slots=True)
class _Fitting:
    """One table where the terminal is wide enough, else several."""

    wide: RenderableType
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fits = console.measure(self.wide, options=options.update(width=1000)).maximum <= options.max_width
        yield self.wide if fits else self.narrow


def _verdict(verdict: Json) -> Panel:
    rung = str(verdict["verdict"])
    title = Text(f" {rung} ", style="bold")
    border = BORDERS.get(rung[:1], "white")
    return Panel(Text(verdict["sentence"]), title=title, title_align="left", border_style=border)


def _table(title: str, rows: Sequence[Json], columns: Sequence[Column], notes: Notes) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", title_style="bold",
                  show_edge=False, pad_edge=False, padding=0)  # fmt: skip
    table.add_column("arm", no_wrap=True)
    for column in columns:
        table.add_column(column.head, justify="right", overflow="fold")
    for arm in rows:
        name = Text(short(arm) + (" *" if arm["primary"] else ""), style="bold" if arm["primary"] else "")
        table.add_row(name, *(_cell(arm, column, notes) for column in columns))
    if any(arm["primary"] for arm in rows):
        table.caption = Text("* primary arm, named before the run", style="dim")
        table.caption_justify = "left"
    return table


def _cell(arm: Json, column: Column, notes: Notes) -> Text:
    """The value with its interval below it, or a dash with the letter of the reason."""
    found = cell(arm, column, brief)
    text = Text(found.value or DASH)
    if found.reason:
        text.append(f" {notes.mark(found.reason)}", style="dim")
    if found.interval:
        text.append(f"\n{found.interval.replace(', ', ',')}", style="dim")
    return text


def _checked(result: Json) -> list[tuple[str, str]]:
    return [
        ("theorem checks", checks_line(result)),
        ("leak gate", leak_line(result)),
        ("interaction", line(result["interaction"])),
        ("faults", f"{result['faults']:,} episodes"),
    ]


def _violations(result: Json) -> list[Text]:
    return [Text(f"violated: {c['name']}: {c['detail']}", style="red") for c in tally(result["checks"])["violated"]]


def _facts(lines: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(Text(name), Text(text))
    return grid
