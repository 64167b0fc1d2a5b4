"""The mathematics: frontier, limits, ledger, theorem checks and the verdict. NumPy and SciPy only; no torch, no I/O.

``analyse(StudyCounts(...), Thresholds())`` turns plain per-task counts into everything a report prints. It cannot
know whether a language-model study or a tabular calibration made them.

==============  ====================================================================================================
intervals       limits of means over tasks that hold at 0, at 1 and at one-sided errors of 1e-7
frontier        kl, tilts, R(delta), D(p), best-of-k, equivalent k, free energy
estimators      unbiased pass@k with bands
reach           what the base reaches in a world: exact, sampled or bounded
records         the input: tasks, arms, study
contrasts       means and differences over tasks, paired, with training runs
setting         hard, tail and core tasks
axes            divergence, compute, support; the leak gate
checks          theorem checks
ledger          the estimates of one arm
evidence        everything the decision table looks at
verdict         the decision table
wording         the sentence
analysis        all of it, in the shape of result.json
==============  ====================================================================================================

Not covered: rollouts, files, plots. See ``reachlab.studies``.
"""

from reachlab.measure.analysis import Analysis, Judgement, analyse, judge
from reachlab.measure.axes import Axes, Leak
from reachlab.measure.checks import Check
from reachlab.measure.estimators import PassPoint, pass_at_k, pass_curve
from reachlab.measure.evidence import Evidence, gather
from reachlab.measure.flow import Flow, support_flow
from reachlab.measure.frontier import (
    Point,
    best_of,
    best_of_bound,
    best_of_kl,
    curve,
    equivalent_k,
    free_energy,
    frontier_gap,
    frontier_success,
    kl,
    least_free_energy,
    required_nats,
    tilt,
    tilt_kl,
)
from reachlab.measure.intervals import Interval, bounded_mean, clopper_pearson, pooled_upper, positive_mean
from reachlab.measure.ledger import ArmEntry, entry
from reachlab.measure.reach import Reach
from reachlab.measure.records import ArmCounts, StudyCounts, TaskSet
from reachlab.measure.setting import Setting, make_setting
from reachlab.measure.verdict import Rung, Verdict, decide

__all__ = [
    "Analysis",
    "ArmCounts",
    "ArmEntry",
    "Axes",
    "Check",
    "Evidence",
    "Flow",
    "Interval",
    "Judgement",
    "Leak",
    "PassPoint",
    "Point",
    "Reach",
    "Rung",
    "Setting",
    "StudyCounts",
    "TaskSet",
    "Verdict",
    "analyse",
    "best_of",
    "best_of_bound",
    "best_of_kl",
    "bounded_mean",
    "clopper_pearson",
    "curve",
    "decide",
    "entry",
    "equivalent_k",
    "free_energy",
    "frontier_gap",
    "frontier_success",
    "gather",
    "judge",
    "kl",
    "least_free_energy",
    "make_setting",
    "pass_at_k",
    "pass_curve",
    "pooled_upper",
    "positive_mean",
    "required_nats",
    "support_flow",
    "tilt",
    "tilt_kl",
]
