"""Support dynamics of the primary arm against the closed base, as a report prints them.

Membership after the same number of attempts at each task; of several training runs the first is read, since a task
cannot be in half a support. Not covered: statements about reach that need no threshold on single tasks (``axes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reachlab import Estimate, Json, World
from reachlab.measure.estimators import cover_at
from reachlab.measure.flow import Counts, Flow, corrected_at, flow_sweep, support_flow
from reachlab.measure.intervals import Interval
from reachlab.measure.records import ArmCounts
from reachlab.measure.setting import Setting

UNEQUAL = "needs as many attempts of the base as of the arm at each task"
FEW = "needs two attempts of the base at each task"
SWEEP = (0.0, 0.05, 0.1, 0.25, 0.5)
"""Success rates above which a task counts as in the support."""


@dataclass(frozen=True, slots=True)
class Support:
    """Tasks gained and lost, with what resampling alone would do; 95 % intervals."""

    attempts: int
    """Per task, of each; 0 where they are not equal."""
    flow: Flow | None
    srr: Estimate
    ndr: Estimate
    sds: Estimate
    nscr: Estimate
    mcnemar: float | None
    """Exact two-sided p of no flow beyond resampling."""
    corrected_k: int
    expanded: Estimate
    """Share of tasks newly solved by the arm in ``corrected_k`` attempts, less what the base newly solves itself."""
    shrunk: Estimate
    cover_arm: Estimate
    """Cover@tau of the arm: share of tasks with success at least tau."""
    cover_base: Estimate
    sweep: tuple[Json, ...]

    def to_json(self) -> Json:
        out: Json = {}
        for key in self.__dataclass_fields__:
            value: Any = getattr(self, key)
            if isinstance(value, Flow):
                value = _parts(value)
            out[key] = value.to_json() if isinstance(value, Estimate) else list(value) if key == "sweep" else value
        return out


def support_dynamics(setting: Setting, counts: ArmCounts) -> Support:
    """The support dynamics of *counts* against the closed base on all test tasks."""
    alpha, tau = setting.thresholds.alpha_report / 2, setting.thresholds.tau
    base, arm = _run(setting.study.base(World.CLOSED, counts.arm.split)), _run(counts)
    flow = None if base is None or arm is None or not np.array_equal(base[0], arm[0]) else support_flow(base, arm)
    least = 0 if base is None or arm is None else min(int(base[0].min()) // 2, int(arm[0].min()))
    corrected = corrected_at(base, arm, least, alpha) if base is not None and arm is not None and least else None
    dynamics = {name: _metric(flow, name, alpha) for name in ("srr", "ndr", "sds", "nscr")}
    sweep = [] if flow is None or base is None or arm is None else flow_sweep(base, arm, SWEEP).items()
    return Support(
        attempts=0 if flow is None or base is None else int(base[0].max()),
        flow=flow,
        **dynamics,
        mcnemar=None if flow is None else flow.p_value(),
        corrected_k=least,
        expanded=_printed(corrected.expanded if corrected else None, FEW),
        shrunk=_printed(corrected.shrunk if corrected else None, FEW),
        cover_arm=_cover(arm, tau, alpha),
        cover_base=_cover(base, tau, alpha),
        sweep=tuple({"eps": eps, **_parts(found)} for eps, found in sweep),
    )


def _parts(flow: Flow) -> dict[str, int]:
    return {"preserved": flow.preserved, "expanded": flow.expanded, "shrunk": flow.shrunk, "out": flow.out}


def _run(counts: ArmCounts | None) -> Counts | None:
    """(n, c) of the pooled base or the first training run; None where a task was never scored."""
    if counts is None or counts.missing or counts.successes.shape[1] == 0:
        return None
    rows = slice(None) if counts.pooled else slice(1)
    n, c = counts.episodes[rows].sum(axis=0), counts.successes[rows].sum(axis=0)
    return (n, c) if n.min() > 0 else None


def _metric(flow: Flow | None, name: str, alpha: float) -> Estimate:
    return _printed(None if flow is None else getattr(flow, name)(alpha), UNEQUAL)


def _printed(interval: Interval | None, missing: str) -> Estimate:
    return Estimate.missing(missing) if interval is None else interval.estimate(reason="no such task in either support")


def _cover(run: Counts | None, tau: float, alpha: float) -> Estimate:
    return Estimate.missing("a task was never scored") if run is None else cover_at(*run, tau, alpha).estimate()
