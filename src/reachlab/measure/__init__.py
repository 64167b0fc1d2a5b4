"""The mathematics: frontier, limits, ledger, theorem checks and the verdict. NumPy and SciPy only; no torch, no I/O.

``analyse(StudyCounts(...), Thresholds())`` turns plain per-task counts into everything a report prints. It cannot
know whether a language-model study or a tabular calibration made them.

==============  ====================================================================================================
intervals       limits of means over tasks that hold at 0, at 1 and at one-sided errors of 1e-7
frontier        kl, tilts, R(delta), D(p), best-of-k, equivalent k, free energy
dual            limits of required nats, surplus and equivalent k over a population of tasks
estimators      unbiased pass@k and pass@(k,T), Cover@tau, with bands
flow            support flow (SRR, NDR, SDS, NSCR) and what resampling alone does of it
significance    McNemar, Holm, TOST
product         success on a whole against the product of its parts
bootstrap       paired hierarchical bootstrap over tasks and training runs
extrapolation   zero-inflated beta-binomial: pass@k beyond the attempts there are
richness        distinct behaviours at equal n: Good-Turing, Chao1, rarefaction
sequential      confidence sequences, and attempts given to the tasks that are undecided
reach           what the base reaches in a world: exact, sampled or bounded
records         the input: tasks, arms, study
contrasts       means and differences over tasks, paired, with training runs
setting         hard, tail and core tasks
axes            divergence, compute, support; the leak gate
checks          theorem checks
ledger          the estimates of one arm
dynamics        tasks gained and lost by the primary arm
evidence        everything the decision table looks at
verdict         the decision table
wording         the sentence
analysis        all of it, in the shape of result.json
==============  ====================================================================================================

Not covered: rollouts, files, plots. See ``reachlab.studies``.
"""

from reachlab.measure.analysis import Analysis, Judgement, analyse, judge
from reachlab.measure.axes import Axes, Leak
from reachlab.measure.bootstrap import paired_bootstrap
from reachlab.measure.checks import Check
from reachlab.measure.dynamics import Support, support_dynamics
from reachlab.measure.estimators import (
    CoverPoint,
    PassPoint,
    PassTurnsPoint,
    cover_at,
    cover_curve,
    pass_at_k,
    pass_curve,
    pass_surface,
    successes_within,
)
from reachlab.measure.evidence import Evidence, gather
from reachlab.measure.extrapolation import ZeroInflatedFit, extrapolate, fit_zero_inflated, predicted_pass
from reachlab.measure.flow import (
    Flow,
    PlaceboCorrected,
    corrected_at,
    corrected_by_rerun,
    flow_sweep,
    net_flow,
    placebo_share,
    support_flow,
)
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
from reachlab.measure.product import Part, ProductRule, product_rule
from reachlab.measure.reach import Reach
from reachlab.measure.records import ArmCounts, StudyCounts, TaskSet
from reachlab.measure.richness import RichnessComparison, chao1, compare_richness, rarefied, unseen_mass
from reachlab.measure.sequential import Access, allocate, attempts_to_decide, classify, confidence_sequence
from reachlab.measure.setting import Setting, make_setting
from reachlab.measure.significance import equivalent, holm, mcnemar, tost
from reachlab.measure.verdict import Rung, Verdict, decide

__all__ = [
    "Access",
    "Analysis",
    "ArmCounts",
    "ArmEntry",
    "Axes",
    "Check",
    "CoverPoint",
    "Evidence",
    "Flow",
    "Interval",
    "Judgement",
    "Leak",
    "Part",
    "PassPoint",
    "PassTurnsPoint",
    "PlaceboCorrected",
    "Point",
    "ProductRule",
    "Reach",
    "RichnessComparison",
    "Rung",
    "Setting",
    "StudyCounts",
    "Support",
    "TaskSet",
    "Verdict",
    "ZeroInflatedFit",
    "allocate",
    "analyse",
    "attempts_to_decide",
    "best_of",
    "best_of_bound",
    "best_of_kl",
    "bounded_mean",
    "chao1",
    "classify",
    "clopper_pearson",
    "compare_richness",
    "confidence_sequence",
    "corrected_at",
    "corrected_by_rerun",
    "cover_at",
    "cover_curve",
    "curve",
    "decide",
    "entry",
    "equivalent",
    "equivalent_k",
    "extrapolate",
    "fit_zero_inflated",
    "flow_sweep",
    "free_energy",
    "frontier_gap",
    "frontier_success",
    "gather",
    "holm",
    "judge",
    "kl",
    "least_free_energy",
    "make_setting",
    "mcnemar",
    "net_flow",
    "paired_bootstrap",
    "pass_at_k",
    "pass_curve",
    "pass_surface",
    "placebo_share",
    "pooled_upper",
    "positive_mean",
    "predicted_pass",
    "product_rule",
    "rarefied",
    "required_nats",
    "successes_within",
    "support_dynamics",
    "support_flow",
    "tilt",
    "tilt_kl",
    "tost",
    "unseen_mass",
]
