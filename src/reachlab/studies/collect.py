"""From the run directory to the plain counts that ``reachlab.measure`` reads, and to ``tasks.parquet``.

Not covered: any statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reachlab import SUCCESS, Arm, Json, Scores, Split, StopReason, Treatment, World
from reachlab.errors import CorruptRun
from reachlab.measure import Analysis, ArmCounts, StudyCounts, TaskSet
from reachlab.studies.context import Context
from reachlab.studies.matching import unmatched, whole_path
from reachlab.studies.store import published, read_json, read_table

FAULTS = [str(reason) for reason in StopReason if reason.is_fault]
SCORES = [f.name for f in fields(Scores)]
COSTS = ("cost_prompt", "cost_policy", "cost_observation", "cost_calls", "cost_verifier_calls")
COLUMNS = ("task_seed", "split", "world", "reward", "stop", "seconds", *COSTS, *SCORES)


@dataclass(frozen=True, slots=True)
class ArmData:
    """Per-task sums and means of one arm, (S, N) each; means are NaN where nothing counts."""

    arm: Arm
    successes: np.ndarray
    episodes: np.ndarray
    faults: np.ndarray
    means: dict[str, np.ndarray]
    """Mean scores over the episodes that have them; ``bits`` over successful ones; ``tokens`` of inference."""
    spent_se: np.ndarray
    """Standard error of mean spent nats."""
    totals: dict[str, float]
    """Sums over all episodes, for the bill."""
    training_tokens: np.ndarray
    """(S,) of training, with the teacher's where there was one."""
    no_signal: str
    not_available: str


def collect_arm(context: Context, arm: Arm) -> ArmData:
    """Read every chunk of an arm. Raises CorruptRun where a chunk is not what its name says."""
    tasks = context.tasks(arm.split)
    place = {task.seed: n for n, task in enumerate(tasks)}
    runs = [_read(context, arm, index) for index in context.runs(arm)]
    tables = runs if arm.training else [pa.concat_tables(runs)]  # repeats of the base are more of the same
    seeds = len(tables)
    missing = context.abilities.missing(arm)
    statuses = [context.store.status(*arm.training, i) for i in range(seeds)] if arm.training else []
    shape = (seeds, len(tasks))
    counts = {name: np.zeros(shape, dtype=np.int64) for name in ("successes", "episodes", "faults")}
    names = [*SCORES, "tokens"]
    means, spent_se = {name: np.full(shape, np.nan) for name in names}, np.full(shape, np.nan)
    for s, table in enumerate(tables):
        column = {name: np.array(table[name].to_pylist()) for name in COLUMNS}
        if not len(column["task_seed"]):
            continue
        column["tokens"] = column["cost_prompt"] + column["cost_policy"] + column["cost_observation"]
        at = np.array([place[seed] for seed in column["task_seed"].tolist()])
        fault = np.isin(column["stop"], FAULTS)
        won = (column["reward"] >= SUCCESS) & ~fault
        size = shape[1]
        counts["faults"][s] = np.bincount(at[fault], minlength=size)
        counts["episodes"][s] = np.bincount(at[~fault], minlength=size)
        counts["successes"][s] = np.bincount(at[won], minlength=size)
        for name in names:
            values = column[name].astype(float)
            counted = (won if name == "bits" else ~fault) & ~np.isnan(values)
            means[name][s] = _mean(values, at, counted, size)
        spent = column["spent"].astype(float)
        counted = ~fault & ~np.isnan(spent)
        square = _mean(spent**2, at, counted, size)
        n = np.maximum(np.bincount(at[counted], minlength=size), 1)
        spent_se[s] = np.sqrt(np.maximum(square - means["spent"][s] ** 2, 0) / np.maximum(n - 1, 1))
    totals = {name: float(sum(np.sum(t[name].to_numpy()) for t in tables)) for name in (*COSTS, "seconds")}
    totals["episodes"] = float(sum(len(t) for t in tables))
    silent = [status["reason"] for status in statuses if not status["signal"]]
    paid = [whole_path(context, *arm.training, i).tokens for i in range(seeds)] if arm.training else [0]
    return ArmData(arm, **counts, means=means, spent_se=spent_se, totals=totals, training_tokens=np.array(paid, float),
                   no_signal=silent[0] if silent else "", not_available=missing)  # fmt: skip


def study_counts(context: Context, data: Sequence[ArmData]) -> StudyCounts:
    """The record that ``measure.analyse`` takes."""
    closed = next(d for d in data if d.arm == Arm(Treatment.BASE, None, World.CLOSED))
    return StudyCounts(
        family=context.family.name.capitalize(),
        mechanism=context.family.mechanism,
        test=_task_set(context, "test"),
        train=_task_set(context, "train"),
        arms=tuple(_counts(d) for d in data),
        primary=context.primary.name,
        closed_tokens=_closed_tokens(closed),
        hard_strata=_hard_strata(context),
        matched=context.spec.designed.matched and not unmatched(context),
        transfer="" if context.spec.trained_on is None else context.taught.name.capitalize(),
    )


def _closed_tokens(closed: ArmData) -> float:
    """Tokens of one closed sample; 1 where no closed episode was scored, so that ratios stay finite."""
    tokens = closed.means["tokens"]
    return float(np.nanmean(tokens)) if np.isfinite(tokens).any() else 1.0


def _hard_strata(context: Context) -> tuple[str, ...]:
    """Strata whose policy-free bound is below the accessibility threshold: hard whatever the base, before any run."""
    bounds: dict[str, list[float | None]] = {}
    for task in context.tasks("test"):
        bounds.setdefault(task.stratum, []).append(context.family.p0_bound(task))
    t = context.spec.thresholds.t
    return tuple(name for name, known in bounds.items() if all(b is not None and b < t for b in known))


def write_tasks(context: Context, data: Sequence[ArmData], analysis: Analysis, path: Path) -> None:
    """``tasks.parquet``: a row per arm, task, split and seed. p0 is given where the analysis took it as exact."""
    hard, exact = analysis.hard, analysis.p0.kind == "exact"
    rows: list[Json] = []
    for d in data:
        tasks, p0 = context.tasks(d.arm.split), _p0(context, d.arm.split) if exact else None
        for s, n in np.ndindex(d.successes.shape):
            rows.append(
                {
                    "arm": d.arm.name,
                    "task": tasks[n].id,
                    "split": d.arm.split,
                    "seed": s,
                    "stratum": tasks[n].stratum,
                    "hard": bool(hard[n]) if d.arm.split == "test" else None,
                    "episodes": int(d.episodes[s, n]),
                    "successes": int(d.successes[s, n]),
                    "faults": int(d.faults[s, n]),
                    "p0": None if p0 is None else float(p0[n]),
                    "p0_kind": analysis.p0.kind,
                    "spent_nats": _or_none(d.means["spent"][s, n]),
                    "kl_se": _or_none(d.spent_se[s, n]),
                    "bits_imported": _or_none(d.means["bits"][s, n]) if d.arm.evaluated == "live" else None,
                    "cost_tokens": _or_none(d.means["tokens"][s, n]),
                }
            )
    with published(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)


def _read(context: Context, arm: Arm, index: int) -> pa.Table:
    chunks = range(context.spec.chunks(arm.split))
    return pa.concat_tables([_chunk(context, arm, index, c) for c in chunks])


def _chunk(context: Context, arm: Arm, index: int, chunk: int) -> pa.Table:
    """One chunk, held against its name: these tasks, this world and split, so many episodes each, or none at all."""
    path = context.store.episodes(arm, index, chunk)
    table = read_table(path, COLUMNS)
    expected = [t.seed for t in context.chunk(arm.split, chunk) for _ in range(context.spec.profile.episodes)]
    place = {(str(arm.evaluated), arm.split)}
    there = set(zip(table["world"].to_pylist(), table["split"].to_pylist(), strict=True))
    if len(table) and (sorted(table["task_seed"].to_pylist()) != sorted(expected) or there != place):
        raise CorruptRun(f"{path} holds other episodes than its name says; delete it and run again with --resume")
    return table


def _mean(values: np.ndarray, at: np.ndarray, counted: np.ndarray, size: int) -> np.ndarray:
    total = np.bincount(at[counted], weights=values[counted], minlength=size)
    n = np.bincount(at[counted], minlength=size)
    mean: np.ndarray = np.divide(total, n, out=np.full(size, np.nan), where=n > 0)
    return mean


def _counts(d: ArmData) -> ArmCounts:
    live = d.arm.evaluated == "live"
    return ArmCounts(
        d.arm,
        d.successes,
        d.episodes,
        faults=d.faults,
        spent=d.means["spent"],
        spent_reasoning=d.means["spent_reasoning"],
        spent_call=d.means["spent_call"],
        spent_answer=d.means["spent_answer"],
        log_ratio=d.means["log_ratio"],
        bits=d.means["bits"] if live else None,
        tokens=d.means["tokens"],
        training_tokens=d.training_tokens,
        no_signal=d.no_signal,
        not_available=d.not_available,
    )


def _p0(context: Context, split: Split) -> np.ndarray | None:
    p0 = read_json(context.store.p0(split))["p0"]
    return None if p0 is None else np.array(p0)


def _task_set(context: Context, split: Split) -> TaskSet:
    tasks, family = context.tasks(split), context.family_of(split)
    bounds = [family.p0_bound(task) for task in tasks]
    known = [b for b in bounds if b is not None]
    return TaskSet(
        ids=tuple(task.id for task in tasks),
        strata=tuple(task.stratum for task in tasks),
        p0=_p0(context, split),
        bound=np.array(known) if len(known) == len(tasks) else None,
        optimum=np.array([family.optimum(task) for task in tasks]),
    )


def _or_none(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
