"""A reading on a terminal: the sentence, the ladder with its reasons, the numbers behind them.

Not covered: any number that the reading does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from reachlab import Json
from reachlab.measure.wording import number
from reachlab.studies.reading import DASH, Notes, brief, line, percent, spelled

STYLES = {"holds": "bold green", "excluded": "dim", "not decidable": "yellow"}
ROWS = (
    ("base_success", "base success", ""),
    ("arm_success", "arm success", ""),
    ("gain", "gain, paired", ""),
    ("required_nats", "required nats", "≥ "),
    ("spent_nats", "spent nats", ""),
    ("surplus_nats", "surplus nats", "≥ "),
    ("cost_ratio", "k at equal cost", ""),
    ("best_of_k", "base, best of k", "≤ "),
    ("above_best_of_k", "arm above that", "≥ "),
    ("equivalent_k", "equivalent k", "≥ "),
    ("newly_within_reach", "newly in reach", "≥ "),
    ("leak", "leak contrast", ""),
)
"""Key of an estimate, its name, and which way it points where it is a bound."""


def terminal(reading: Json) -> RenderableType:
    """Everything a referee needs on one screen or two."""
    notes, hard = Notes(), reading["estimates_hard"]
    blocks = [(f"all {reading['table']['tasks']:,} tasks", reading["estimates"])]
    blocks += [(f"{reading['hard']['tasks']:,} hard", hard)] if hard else []
    title = Text(f" {reading['verdict']} ", style="bold")
    parts: list[RenderableType] = [
        Panel(Text(reading["sentence"]), title=title, title_align="left"),
        _ladder(reading),
        _numbers(f"Base and arm; {percent(reading)} intervals", blocks, notes),
    ]
    parts += [Text(f" {mark}  {reason}", style="dim") for mark, reason in notes.listed()]
    parts += [_strata(reading["strata"])] if reading["strata"] else []
    parts += [_curves(reading["pass_at_k"]), Text(), _facts(reading)]
    return Group(*parts)


def _table(title: str, *heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", title_style="bold", pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", overflow="fold", no_wrap=not i)
    return table


def _ladder(reading: Json) -> Table:
    table = _table("The ladder", "rung", "status", "why")
    for column in table.columns[1:]:
        column.justify = "left"
    table.columns[1].no_wrap = True
    for step in reading["ladder"]:
        table.add_row(step["rung"], Text(step["status"], style=STYLES[step["status"]]), Text(step["why"]))
    error = number(reading["thresholds"]["alpha"])
    table.caption = Text(f"each limit here errs with {error}, unless it says otherwise", style="dim")
    table.caption_justify = "left"
    return table


def _numbers(title: str, blocks: Sequence[tuple[str, Json]], notes: Notes) -> Table:
    table = _table(title, "", *(name for name, _ in blocks))
    for key, name, bound in ROWS:
        table.add_row(name, *(_cell(found[key], notes, bound) for _, found in blocks))
    return table


def _strata(strata: Sequence[Json]) -> Table:
    table, notes = _table("By stratum", "stratum", "tasks", "region", "base", "arm", "gain"), Notes()
    for row in strata:
        cells = [_cell(row[key], notes) for key in ("base_success", "arm_success", "gain")]
        table.add_row(Text(row["stratum"]), f"{row['tasks']:,}", row["region"], *cells)
    return table


def _curves(points: Sequence[Json]) -> Table:
    """pass@k at powers of four and at the last k."""
    table, notes = _table("pass@k", "k", "base", "arm", "difference"), Notes()
    for i, point in enumerate(points):
        if i % 2 == 0 or i == len(points) - 1:
            table.add_row(f"{point['k']:,}", *(_cell(point[key], notes) for key in ("base", "arm", "difference")))
    return table


def _cell(found: Json, notes: Notes, bound: str = "") -> Text:
    read = spelled(found, bound, brief)
    if not read.value:
        return Text(f"{DASH} {notes.mark(read.reason)}")
    text = Text(read.value)
    return text.append(f" {read.interval.replace(', ', ',')}", style="dim") if read.interval else text


def _facts(reading: Json) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in [*_reach_lines(reading), *_gain_lines(reading), *(("note", note) for note in reading["notes"])]:
        grid.add_row(Text(name), Text(text))
    return grid


def _reach_lines(reading: Json) -> list[tuple[str, str]]:
    """Whether the base was tried often enough to call tasks inaccessible."""
    reach, k_acc = reading["base_reach"], reading["thresholds"]["k_acc"]
    where = "hard tasks" if reading["estimates_hard"] else "tasks"
    most, share = number(reach["upper"]), f"{100 * reach['accessible_at_most']:.0f} %"
    tried = f"{reach['hits']:,} successes in {reach['attempts']:,} attempts on {reach['tasks']:,} {where}"
    enough = f"{reach['attempts_without_a_hit']:,} attempts without a success would bring U below t for a verdict"
    more = f"; {enough}" if not reach["hits"] and reach["attempts"] < reach["attempts_without_a_hit"] else ""
    inside, beyond = (f"{reach[key]:,}" for key in ("accessible_one_by_one", "inaccessible_one_by_one"))
    lines = [
        (
            "base reach",
            f"{tried}: mean p0 is at most U = {most}, so at most {share} of them have p0 >= t = {number(reach['t'])}, "
            f"accessible in {k_acc:,} attempts{more}",
        ),
        (
            "task by task",
            f"{inside} shown accessible, {beyond} inaccessible, the others open: a task needs "
            f"{reach['attempts_at_each']:,} attempts without a success to be certified",
        ),
    ]
    if reach["unsolved"]:
        low, k = number(reach["unsolved_upper"]), reach["unsolved_certified_k"]
        shown = f"by itself each is shown to have p0 < {low}: out of reach of {k:,} attempts, not of {k_acc:,}"
        shown = shown if k < k_acc else shown.partition(", not of")[0]
        lines.append(("never solved", f"{reach['unsolved']:,} tasks; {shown}"))
    return lines


def _gain_lines(reading: Json) -> list[tuple[str, str]]:
    support, flow = reading["support"], reading["support"]["flow"]
    lines = [
        (f"missed by {p['k']:,}", f"{line(p['gain'])} of the gain, at {line(p['missed'])} of the tasks")
        for p in reading["located"]
    ]
    kept = f"not available ({support['srr'].get('reason')})"
    if flow is not None:
        counts = ", ".join(f"{flow[key]:,} {key}" for key in ("preserved", "expanded", "shrunk", "out"))
        kept = f"{counts} in {support['attempts']:,} attempts each; McNemar p {support['mcnemar']:.2g}"
        rates = ((name.upper(), support[name]) for name in ("srr", "ndr", "sds", "nscr"))
        lines.append(("support rates", "; ".join(f"{name} {line(rate)}" for name, rate in rates)))
    lines.append(("support flow", kept))
    beyond = f"expanded {line(support['expanded'])}, shrunk {line(support['shrunk'])}"
    if k := support["corrected_k"]:
        again = line(support["placebo"])
        beyond = f"{beyond} of the tasks at k = {k:,}, where a second base run by itself expands {again}"
    lines.append(("less a rerun", beyond))
    tau = number(1 - 0.5 ** (1 / reading["thresholds"]["tau_attempts"]))
    lines.append((f"cover@{tau}", f"base {line(support['cover_base'])}, arm {line(support['cover_arm'])}"))
    return lines
