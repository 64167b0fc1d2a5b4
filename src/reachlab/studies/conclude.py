"""From a finished run directory to its result: analysis, tables, pictures.

Command: ``reachlab report DIR``. It samples nothing, so it can be repeated at any time.
Not covered: runs that are not finished (their missing chunks are named).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import reachlab
from reachlab import Json, World
from reachlab.envs.core import Interaction
from reachlab.errors import CorruptRun
from reachlab.measure import Analysis, analyse
from reachlab.studies.collect import ArmData, collect_arm, study_counts, write_tasks
from reachlab.studies.context import Context, open_run
from reachlab.studies.designs import Training
from reachlab.studies.matching import ledger, unmatched
from reachlab.studies.planning.advice import decisive, undecidable
from reachlab.studies.report import write_report
from reachlab.studies.store import published, read_json, read_lines, write_json

SCHEMA = "reachlab.result/1"


def conclude(out: Path, command: str = "") -> Json:
    """Analyse a finished run; writes result.json, tasks.parquet, metrics.jsonl, pictures and report.md."""
    context = open_run(out)
    missing = [str(p) for p in _expected(context) if not p.exists()]
    if missing:
        raise CorruptRun(f"{out} is not finished: {len(missing)} files are missing, first {missing[0]}; use --resume")
    data = [collect_arm(context, arm) for arm in context.spec.designed.arms]
    analysis = analyse(study_counts(context, data), context.spec.thresholds)
    result = _result(context, data, analysis, command)
    result["plan"] = _plan(result)
    write_tasks(context, data, analysis, out / "tasks.parquet")
    _write_metrics(context, out / "metrics.jsonl")
    write_json(out / "result.json", result)
    write_report(out, result)
    return result


def conclude_again(out: Path) -> Json:
    """``conclude`` for a run that may have been concluded before: the command that made it is kept."""
    before = out / "result.json"
    if not (out / "spec.json").exists():
        raise CorruptRun(f"{out} is no run directory: it has no spec.json")
    try:
        command = str(read_json(before)["command"])
    except (CorruptRun, KeyError, TypeError):
        command = ""  # not there yet, or broken: it is made anew
    return conclude(out, command)


def _expected(context: Context) -> list[Path]:
    paths = [context.store.base, context.store.p0("test"), context.store.p0("train")]
    for arm in context.spec.designed.arms:
        chunks = context.spec.chunks(arm.split)
        paths += [context.store.episodes(arm, run, c) for run in context.runs(arm) for c in range(chunks)]
    return paths


def _result(context: Context, data: Sequence[ArmData], analysis: Analysis, command: str) -> Json:
    spec, family = context.spec, context.family
    task = context.tasks("test")[0]
    budget = Interaction(family, task, World.LIVE).budget
    return {
        "schema": SCHEMA,
        "version": reachlab.__version__,
        "command": command,
        "spec": spec.to_json(),
        "seeds": {"study": spec.seed, "training_runs": spec.seeds},
        "family": {"name": family.name, "version": family.version, "mechanism": family.mechanism},
        "base": read_json(context.store.base),
        "decoder": {"temperature": 1.0, "top_k": None, "top_p": None},
        "verifier": {"name": type(task.verifier).__name__, "exact": task.verifier.exact},
        "budget": {"live": asdict(budget), "closed": asdict(budget.closed())},
        **analysis.to_json(),
        "cost": _cost(context, data),
    }


def _plan(result: Json) -> Json | None:
    """What would decide an UNDECIDED study, else None. Whatever goes wrong here must not lose the run."""
    if result["verdicts"][0]["verdict"] != "UNDECIDED":
        return None
    try:
        return decisive(result)
    except Exception as error:
        return undecidable(f"planning failed ({type(error).__name__}: {error})")


def _cost(context: Context, data: Sequence[ArmData]) -> Json:
    """The bill of the evaluation, and of every training. Seconds: a sum over episodes run side by side."""
    total = {name: sum(d.totals[name] for d in data) for name in data[0].totals}
    tokens = sum(total[f"cost_{part}"] for part in ("prompt", "policy", "observation"))
    parameters = read_json(context.store.base)["parameters"]  # None behind an endpoint
    return {
        "episodes": int(total["episodes"]),
        "tokens": int(tokens),
        "verifier_calls": int(total["cost_verifier_calls"]),
        "tool_calls": int(total["cost_calls"]),
        "flops": None if parameters is None else 2.0 * parameters * tokens,
        "rollout_seconds": total["seconds"],
        "training_tokens": {
            d.arm.name: _own_tokens(context, d.arm.training) for d in data if d.arm.training and d.arm.split == "test"
        },
        "trainings": ledger(context),
        "unmatched": unmatched(context) if context.spec.designed.matched else None,
    }


def _own_tokens(context: Context, training: Training) -> list[int]:
    return [context.store.status(*training, index)["tokens"] for index in range(context.spec.seeds)]


def _write_metrics(context: Context, path: Path) -> None:
    """One file of all trainings' metrics, each line with its training."""
    lines = []
    for treatment, world in context.spec.designed.trainings:
        for index in range(context.spec.seeds):
            name = {"treatment": str(treatment), "trained": str(world), "seed": index}
            source = context.store.policy(treatment, world, index) / "metrics.jsonl"
            lines += [json.dumps({**name, **line}) for line in read_lines(source)]
    with published(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))
