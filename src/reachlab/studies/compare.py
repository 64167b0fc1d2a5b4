"""Two finished runs side by side: success of each arm, and its difference, paired on the tasks both have.

Command: ``reachlab compare DIR DIR``. Differences are second less first.
Not covered: newly solved and newly lost tasks (McNemar), verdicts over several families.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from reachlab import Estimate, FloatArray, Json
from reachlab.errors import CorruptRun
from reachlab.measure import Interval
from reachlab.measure.contrasts import difference
from reachlab.studies.reading import DASH, Notes, brief, silent, spelled
from reachlab.studies.store import read_json, read_table

CLAIM = ("base", "decoder", "verifier", "budget", "thresholds")
"""What a claim is relative to: where two runs differ in it, the comparison says so."""
COLUMNS = ("arm", "task", "split", "seed", "hard", "episodes", "successes")


class _Rates(NamedTuple):
    """One arm of one run: (S, N) success rates by run and task, and which tasks are hard."""

    tasks: list[str]
    rates: FloatArray
    hard: dict[str, bool]


class _Run(NamedTuple):
    path: Path
    result: Json
    arms: dict[str, Json]
    rows: dict[str, list[Json]]


def compare(first: Path, second: Path) -> Json:
    """Arms both runs have, with 95 % intervals. Raises CorruptRun for a folder that holds no finished run."""
    a, b = _read(Path(first)), _read(Path(second))
    reason = _unlike(a, b)
    names = [name for name in a.arms if name in b.arms]
    entries = [_arm(name, a, b, reason) for name in names]
    paired = bool(entries) and all(entry["paired"] for entry in entries)
    if not reason and not paired:
        reason = "the runs have no arm in common" if not entries else "arms without common tasks are compared unpaired"
    return {
        "schema": "reachlab.comparison/1",
        "first": _summary(a),
        "second": _summary(b),
        "paired": paired,
        "note": reason,
        "differs": [key for key in CLAIM if a.result.get(key) != b.result.get(key)],
        "arms": entries,
        "only_first": [name for name in a.arms if name not in b.arms],
        "only_second": [name for name in b.arms if name not in a.arms],
    }


def comparison(result: Json) -> RenderableType:
    """The verdicts one above the other, then a row for each arm."""
    notes = Notes()
    panels = [_panel(name, result[name]) for name in ("first", "second")]
    how = "paired on common tasks" if result["paired"] else "unpaired"
    title = f"Success, and second less first, {how}" + (f": {result['note']}" if result["note"] else "")
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", title_style="bold")
    table.add_column("arm", no_wrap=True)
    for head in ("tasks", "first", "second", "difference", "on hard"):
        table.add_column(head, justify="right", overflow="fold")
    for arm in result["arms"]:
        cells = [_cell(arm[key], notes) for key in ("first", "second", "difference", "difference_hard")]
        table.add_row(Text(arm["name"]), f"{arm['tasks']:,}", *cells)
    foot = [Text(f" {mark}  {reason}", style="dim") for mark, reason in notes.listed()]
    alone = [
        Text(f"only in the {name}: {', '.join(result[f'only_{name}'])}", style="dim")
        for name in ("first", "second")
        if result[f"only_{name}"]
    ]
    differs = [Text(f"the runs differ in: {', '.join(result['differs'])}")] if result["differs"] else []
    return Group(*panels, *differs, table, *foot, *alone)


# -------------------------------------------------------------------------------------------------------- reading


def _read(folder: Path) -> _Run:
    path = folder / "result.json"
    if not path.is_file():
        raise CorruptRun(f"{folder} holds no result.json: not a finished run; finish it with --resume first")
    if not (folder / "tasks.parquet").is_file():
        raise CorruptRun(f"{folder} holds no tasks.parquet; write it again with: reachlab report {folder}")
    result: Any = read_json(path)
    if not isinstance(result, dict) or not {"arms", "verdicts", "family", "thresholds"} <= result.keys():
        raise CorruptRun(f"{path} is not the result of a study")
    rows: dict[str, list[Json]] = {}
    for row in read_table(folder / "tasks.parquet", COLUMNS).to_pylist():
        rows.setdefault(row["arm"], []).append(row)
    return _Run(folder, result, {arm["name"]: arm for arm in result["arms"]}, rows)


def _unlike(a: _Run, b: _Run) -> str:
    """Why equal task ids would not be equal tasks, or empty."""
    if a.result["family"] != b.result["family"]:
        return "the families differ: equal task ids are not the same tasks"
    options = [run.result.get("spec", {}).get("family", {}).get("options", {}) for run in (a, b)]
    return "" if options[0] == options[1] else "the families' options differ: equal task ids are not the same tasks"


def _summary(run: _Run) -> Json:
    result = run.result
    return {
        "path": str(run.path),
        "family": result["family"]["name"],
        "policy": result.get("base", {}).get("policy", ""),
        "seeds": result.get("seeds", {}),
        "verdicts": [{"verdict": v["verdict"], "sentence": v["sentence"]} for v in result["verdicts"]],
    }


def _rates(rows: Sequence[Json]) -> _Rates:
    """Rows of one arm in any order; tasks without a scored episode in some run are NaN there."""
    seeds = sorted({row["seed"] for row in rows})
    tasks = list(dict.fromkeys(row["task"] for row in sorted(rows, key=lambda r: r["task"])))
    rates = np.full((len(seeds), len(tasks)), np.nan)
    at_seed, at_task = ({key: i for i, key in enumerate(keys)} for keys in (seeds, tasks))
    for row in rows:
        if row["episodes"]:
            rates[at_seed[row["seed"]], at_task[row["task"]]] = row["successes"] / row["episodes"]
    return _Rates(tasks, rates, {row["task"]: bool(row["hard"]) for row in rows})


# ------------------------------------------------------------------------------------------------------- contrasts


def _arm(name: str, a: _Run, b: _Run, unlike: str) -> Json:
    first, second = a.arms[name], b.arms[name]
    quiet = next((arm["success"]["reason"] for arm in (first, second) if silent(arm)), "")
    left, right = _rates(a.rows.get(name, [])), _rates(b.rows.get(name, []))
    common = [] if unlike else [task for task in left.tasks if task in right.hard]
    alpha = a.result["thresholds"]["alpha_report"] / 2
    missing = Estimate.missing(quiet) if quiet else None
    both = missing or _contrast(left, right, common, alpha, hard=False)
    hard = missing or _contrast(left, right, common, alpha, hard=True)
    return {
        "name": name,
        "split": first["split"],
        "paired": bool(common),
        "tasks": len(common) if common else min(len(left.tasks), len(right.tasks)),
        "first": first["success"],
        "second": second["success"],
        "difference": both.to_json(),
        "difference_hard": hard.to_json(),
    }


def _contrast(left: _Rates, right: _Rates, common: Sequence[str], alpha: float, *, hard: bool) -> Estimate:
    """Second less first; on hard tasks, those that both runs certified."""
    if common:
        kept = [t for t in common if not hard or (left.hard[t] and right.hard[t])]
        found = _paired(_pick(left, kept), _pick(right, kept), alpha)
    else:
        halves = [_pick(side, [t for t in side.tasks if not hard or side.hard[t]]) for side in (left, right)]
        found = _unpaired(halves[0], halves[1], alpha)
    if found is None or math.isnan(found.value):
        return Estimate.missing("no hard tasks" if hard else "no scored episode")
    return found.estimate()


def _pick(side: _Rates, tasks: Sequence[str]) -> FloatArray:
    place = {task: i for i, task in enumerate(side.tasks)}
    return side.rates[:, [place[task] for task in tasks]]


def _paired(left: FloatArray, right: FloatArray, alpha: float) -> Interval | None:
    if left.shape[0] != right.shape[0]:  # unequal numbers of training runs cannot be paired one by one
        left, right = left.mean(axis=0, keepdims=True), right.mean(axis=0, keepdims=True)
    return difference([(1.0, right), (-1.0, left)], np.ones(left.shape[1], dtype=bool), alpha)


def _unpaired(left: FloatArray, right: FloatArray, alpha: float) -> Interval | None:
    """Each side's limit at half the error: the difference of limits then holds at the whole of it."""
    sides = [difference([(1.0, rates)], np.ones(rates.shape[1], dtype=bool), alpha / 2) for rates in (left, right)]
    a, b = sides
    return None if a is None or b is None else Interval(b.value - a.value, b.low - a.high, b.high - a.low)


# --------------------------------------------------------------------------------------------------------- printing


def _panel(name: str, run: Json) -> Panel:
    text = "\n".join(verdict["sentence"] for verdict in run["verdicts"])
    title = Text(f" {name}: {run['path']} ({run['policy']}) ")
    return Panel(Text(text), title=title, title_align="left")


def _cell(found: Json, notes: Notes) -> Text:
    """The value with its interval below it, or a dash with the letter of the reason."""
    read = spelled(found, limit=brief)
    if not read.value:
        return Text(f"{DASH} {notes.mark(read.reason)}")
    text = Text(read.value)
    return text.append(f"\n{read.interval.replace(', ', ',')}", style="dim") if read.interval else text
