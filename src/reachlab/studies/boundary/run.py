"""Run the studies of a map and read each: where theory puts its tasks, what its verdict says, what its arms did.

Each study has a folder of its own in the map's, and goes on where it was stopped.

::

    MAP/spec.json                       what was asked for
    MAP/<dial>-<value>/                 a run directory (``studies.store``)
    MAP/boundary.json, boundary.md, boundary.png

A study's own report is about its hard tasks; here every number is over all test (or training) tasks of a dial value,
since their p0 is (nearly) one and the same. Not covered: the picture (``picture``), the words (``report``).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from reachlab import Arm, Estimate, FloatArray, Json, Thresholds, Treatment, World, record_to_json
from reachlab.errors import BadValue
from reachlab.measure import ArmCounts, Check, Setting, curve, ledger
from reachlab.measure.analysis import see
from reachlab.measure.axes import costs
from reachlab.measure.contrasts import mean_over, nats
from reachlab.registry import Spec
from reachlab.studies.boundary import theory
from reachlab.studies.boundary.spec import SCHEMA, BoundarySpec
from reachlab.studies.collect import collect_arm, study_counts
from reachlab.studies.context import Context, open_run
from reachlab.studies.jobs import Report
from reachlab.studies.store import claim, published, read_lines
from reachlab.studies.study import run_each

BLOCKS = 10
"""Points of the curve that closed training climbs."""
MOST_CALLS = 64
"""Up to which the fewest calls that could do are looked for."""
SEEN = Arm(Treatment.RL, World.CLOSED, World.CLOSED, "train")
"""The arm that must climb the frontier."""


def boundary(
    spec: BoundarySpec,
    out: Path | str,
    *,
    workers: int | None = None,
    resume: bool = False,
    report: Report = lambda done, total, running: None,
    command: str = "",
) -> Json:
    """Run what is not finished, and read all. Raises CorruptRun for an *out* that holds something else."""
    from reachlab.studies.boundary.report import write

    out = Path(out)
    claim(out, spec.to_json(), resume, "map")
    studies = spec.studies()
    results = run_each(studies, out, workers=workers, report=report, command=command)
    places = zip(studies, spec.values, results, strict=True)
    rows = [read(out / name, value, result) for name, value, result in places]
    found: Json = {"schema": SCHEMA, "command": command, "spec": spec.to_json(), **located(rows)}
    with published(out / "boundary.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write(found, out)
    return found


def read(folder: Path, value: Any, result: Json) -> Json:
    """One dial value: its p0, its verdict, the theory's budgets come later (``located``), its arms."""
    context = open_run(folder)
    th = context.spec.thresholds
    counts = study_counts(context, [collect_arm(context, arm) for arm in context.spec.designed.arms])
    setting, agreement = see(counts, th)
    verdict = result["verdicts"][0]
    return {
        "value": value,
        "p0": _p0(setting, agreement),
        "shares": None if counts.test.p0 is None else theory.shares(counts.test.p0, th),
        "verdict": verdict["verdict"],
        "sentence": verdict["sentence"],
        "mechanism": result["family"]["mechanism"],
        "violated": [c["name"] for c in result["checks"] if c["status"] == "violated"],
        "optimum": None if counts.test.optimum is None else float(counts.test.optimum.mean()),
        "calls": _calls(context),
        "allowed": context.family.budget.calls,
        "closed_tokens": counts.closed_tokens,
        "thresholds": record_to_json(th),
        "arms": [arm_row(setting, arm) for arm in counts.arms],
        "frontier_train": _frontier(counts.train.p0 if counts.train is not None else None),
        "climb": climb(context),
    }


def _p0(setting: Setting, agreement: Check) -> Json:
    """Mean p0 by enumeration, and the upper limit that stands in for it where nothing shows that it is exact."""
    test, everything = setting.study.test, setting.everything
    limit = setting.reach(World.CLOSED, everything).upper(setting.thresholds.alpha_report / 2)
    enumerated = None if test.p0 is None else float(test.p0.mean())
    return {"enumerated": enumerated, "limit": limit, "agreement": agreement.status, "detail": agreement.detail}


def arm_row(setting: Setting, counts: ArmCounts) -> Json:
    """What one arm reached, what it paid, and what closed reweighting would have to: over all tasks of its split."""
    arm, alpha = counts.arm, setting.thresholds.alpha_report / 2
    everything = np.ones(counts.successes.shape[1], dtype=bool)
    silent = Estimate.missing(counts.missing) if counts.missing else None
    numbers = {
        "success": silent or ledger.success_rate(counts, everything, alpha, "no scored episode"),
        "spent": silent or ledger.spent(counts, everything, alpha),
        "required": silent or ledger.required(setting, counts, everything, alpha),
        "equivalent_k": silent or ledger.equivalent_k(setting, counts, everything, alpha),
        "cost_k": silent or _cost(setting, counts, alpha),
    }
    place = {"name": arm.name, "treatment": str(arm.treatment), "evaluated": str(arm.evaluated), "split": arm.split}
    trained = None if arm.trained is None else str(arm.trained)
    return {**place, "trained": trained, **{key: e.to_json() for key, e in numbers.items()}}


def _cost(setting: Setting, counts: ArmCounts, alpha: float) -> Estimate:
    """Closed samples that cost as many tokens as one episode of the arm."""
    known = costs(setting, counts)
    if known is None or math.isnan(mean_over(known, mask := np.ones(known.shape[1], dtype=bool))):
        return Estimate.missing("tokens not available")
    return nats(known, mask, alpha).estimate()


def _frontier(p0: FloatArray | None) -> list[Json]:
    return [] if p0 is None else [point._asdict() for point in curve(p0)]


def _calls(context: Context) -> int | None:
    """The fewest calls with which the best live policy reaches these tasks; None if none does, or it is not known."""
    spec, task = context.spec.family, context.tasks("test")[0]
    if not hasattr(context.family, "calls"):
        return context.family.budget.calls if context.family.optimum(task) >= theory.REACHED else None

    def optimum(calls: int) -> float:
        dials = {**spec.options, "calls": calls}
        try:
            return float(Spec(spec.name, dials).build("families").optimum(task))
        except BadValue:  # more than this family allows
            return 0.0

    return theory.calls_for(optimum, theory.REACHED, MOST_CALLS)


def climb(context: Context) -> list[Json]:
    """Success and spent nats of rl closed on its own training episodes, in blocks of updates: a curve, not a test."""
    store = context.store
    if not store.status(Treatment.RL, World.CLOSED, 0)["signal"]:
        return []
    lines = read_lines(store.policy(Treatment.RL, World.CLOSED, 0) / "metrics.jsonl")
    blocks = [b.tolist() for b in np.array_split(np.array(lines, dtype=object), min(BLOCKS, len(lines)))]
    out = []
    for block in blocks:
        paid = [line["kl"] for line in block if "kl" in line]  # a group without both outcomes makes no update
        won = [line["reward"] for line in block if "reward" in line]
        if paid and won:
            out.append({"kl": float(np.mean(paid)), "success": float(np.mean(won))})
    return out


def located(rows: list[Json]) -> Json:
    """Every row in its place on the map: p0, region, what theory asks there, and whether the verdict agrees.

    Enumerated p0 may be used at every value of the dial if the closed base's frequency agrees with it at one where
    that can be seen, and contradicts it nowhere: the base, family and format are the same. Else the upper limit stands
    in.
    """
    statuses = {row["p0"]["agreement"] for row in rows}
    exact = "holds" in statuses and "violated" not in statuses
    out = []
    for row in rows:
        th, p0 = Thresholds(**row["thresholds"]), row["p0"]
        at = p0["enumerated"] if exact and p0["enumerated"] is not None else p0["limit"]
        kind = "exact" if exact and p0["enumerated"] is not None else "bound"
        place = theory.region(at, th)
        drawn = {"region": str(place), "samples": _finite(theory.samples_for(at, theory.REACHED)),
                 "nats": _finite(theory.nats_for(at, theory.REACHED))}  # fmt: skip
        inside = theory.READ_AS.get(row["verdict"]) == place
        out.append({**row, "p0": {**p0, "value": at, "kind": kind}, **drawn, "inside": inside})
    return {"rows": sorted(out, key=lambda row: -row["p0"]["value"]), "thresholds": rows[0]["thresholds"]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def arm(row: Json, treatment: str, trained: str | None, evaluated: str, split: str = "test") -> Json | None:
    """An arm of a row, if it is there and had a signal."""
    wanted = {"treatment": treatment, "trained": trained, "evaluated": evaluated, "split": split}
    found = next((a for a in row["arms"] if all(a[k] == v for k, v in wanted.items())), None)
    return found if found is not None and found["success"]["value"] is not None else None
