"""The reading of a table: verdict, ladder, and the estimates that a referee would ask for, as one JSON object.

Every interval comes from ``reachlab.measure``; printed ones are two-sided at ``alpha_report``. Numbers are objects
``{value, ci, kind}``, or ``{value: null, reason}``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reachlab import Estimate, IntArray, Json, Thresholds, World, record_to_json
from reachlab.errors import BadValue
from reachlab.measure import Interval, Reach, Setting, bounded_mean, clopper_pearson, entry, judge, pass_at_k
from reachlab.measure.analysis import contrasts
from reachlab.measure.axes import axes
from reachlab.measure.dynamics import support_dynamics
from reachlab.measure.flow import placebo_share
from reachlab.measure.ledger import spent, success_rate
from reachlab.measure.records import Mask
from reachlab.studies.published import located
from reachlab.studies.published.ladder import ladder
from reachlab.studies.published.located import runs, soft, solved
from reachlab.studies.published.table import Published, study_counts

SCHEMA = "reachlab.reading/1"
MOST_ROWS = 24
"""Strata that are listed one by one."""
MOST_CELLS = 10**7
"""Tasks times the k of ``support.corrected_k``: its memory grows with it, to about a gigabyte here."""
NEEDS = {
    "spent_nats": ("spent_nats", "surplus_nats"),
    "cost_ratio": ("cost_ratio", "best_of_k", "above_best_of_k"),
    "shuffled_c": ("leak",),
}
"""Column, and the estimates that are missing without it."""


def reading(published: Published, hard: Sequence[str] = (), thresholds: Thresholds | None = None) -> Json:
    """What the ladder reads in a table; *hard*: strata named hard before the counts were seen, or ``ALL``."""
    th = thresholds or Thresholds()
    if th.k_acc <= th.tau_attempts:
        raise BadValue("k_acc", th.k_acc, f"above {th.tau_attempts}: within so many attempts a task is in easy reach")
    judged = judge(study_counts(published, hard), th)
    setting = judged.setting
    verdict, doubt = located.survive(setting, judged.verdict)
    everything, some = setting.everything, bool(setting.hard.any())
    return {
        "schema": SCHEMA,
        "table": {"name": published.name, "tasks": len(published.tasks), "lacks": list(published.lacks)},
        "thresholds": record_to_json(th),
        "hard": {"tasks": int(setting.hard.sum()), "strata": list(setting.study.hard_strata), "k_acc": th.k_acc},
        "verdict": str(verdict.rung),
        "sentence": verdict.sentence,
        "ladder": [step._asdict() for step in ladder(setting, verdict, doubt)],
        "estimates": estimates(setting, everything, published.lacks),
        "estimates_hard": estimates(setting, setting.hard, published.lacks) if some else None,
        "base_reach": base_reach(setting, setting.hard if some else everything),
        "strata": _strata(setting),
        "located": _located(setting),
        "pass_at_k": _curves(setting),
        "support": _support(setting),
        "notes": _notes(published, setting),
    }


def estimates(setting: Setting, mask: Mask, lacks: Sequence[str] = ()) -> Json:
    """The ledger of base and arm on the masked tasks, as if these were the hard ones."""
    arm, alpha = setting.study.arm(setting.study.primary), _printed(setting)
    seen = replace(setting, hard=mask, tail=setting.tail & ~mask, core=setting.core & ~mask)
    upper, numbers = setting.reach(World.CLOSED, mask).upper(alpha), entry(seen, arm)
    above = axes(seen, arm, World.CLOSED, alpha).compute
    found = {
        **_successes(setting, mask),
        "base_upper": Estimate(upper, (0.0, upper), "bound", "upper limit of the base's mean success, attempts pooled"),
        "required_nats": numbers.required_nats,
        "spent_nats": spent(arm, mask, alpha),
        "surplus_nats": numbers.surplus_nats,
        "cost_ratio": numbers.cost_matched_k,
        "best_of_k": numbers.closed_at_cost_matched_k,
        "above_best_of_k": above.estimate("bound") if above else Estimate.missing("tokens not available"),
        "equivalent_k": numbers.equivalent_k,
        "newly_within_reach": numbers.newly_within_reach,
        "leak": contrasts(seen)["leak"],
    }
    missing = {key: column for column, keys in NEEDS.items() if column in lacks for key in keys}
    found |= {key: Estimate.missing(f"needs the column {column}") for key, column in missing.items()}
    return {key: value.to_json() for key, value in found.items()}


def _successes(setting: Setting, mask: Mask) -> dict[str, Estimate]:
    arm, alpha = setting.study.arm(setting.study.primary), _printed(setting)
    gain = setting.gain(arm, mask, alpha)
    return {
        "base_success": solved(setting, mask).estimate(),
        "arm_success": success_rate(arm, mask, alpha, "no tasks"),
        "gain": gain.estimate() if gain else Estimate.missing("no tasks"),
    }


def base_reach(setting: Setting, mask: Mask) -> Json:
    """Whether the base was tried often enough to say that tasks are inaccessible: U against t, and task by task.

    At most U/t of the tasks have p0 >= t (Markov). ``certified_k``: the largest k_acc at which U would be below t;
    ``unsolved_certified_k``: the same of a single task that all its attempts missed, with the fewest attempts.
    """
    th, alpha = setting.thresholds, _printed(setting)
    (n, c), _ = runs(setting, mask)
    reach = setting.reach(World.CLOSED, mask)
    upper = reach.upper(alpha)
    missed = n[c == 0]
    unsolved = Reach(World.CLOSED, hits=0, attempts=int(missed.min())) if missed.size else None
    reached, beyond = _one_by_one(n, c, th.t, alpha)
    return {
        "tasks": int(mask.sum()),
        "hits": int(c.sum()),
        "attempts": int(n.sum()),
        "upper": upper,
        "t": th.t,
        "accessible_at_most": min(1.0, upper / th.t),
        "certified_k": math.floor(reach.equivalent_k(0.5, alpha)),
        "attempts_without_a_hit": _attempts(th.t, th.alpha / 2),
        "accessible_one_by_one": reached,
        "inaccessible_one_by_one": beyond,
        "attempts_at_each": _attempts(th.t, alpha),
        "unsolved": int((c == 0).sum()),
        "unsolved_upper": None if unsolved is None else unsolved.upper(alpha),
        "unsolved_certified_k": None if unsolved is None else math.floor(unsolved.equivalent_k(0.5, alpha)),
    }


def _one_by_one(n: IntArray, c: IntArray, t: float, alpha: float) -> tuple[int, int]:
    """Tasks shown to have p0 >= t, and p0 < t, by their own counts; each errs with *alpha*."""
    kinds, tasks = np.unique(np.stack([n, c], axis=1), axis=0, return_counts=True)
    limits = [clopper_pearson(hits, attempts, alpha) for attempts, hits in kinds.tolist()]
    reached, beyond = ([limit.low >= t for limit in limits], [limit.high < t for limit in limits])
    return int(tasks[reached].sum()), int(tasks[beyond].sum())


def _printed(setting: Setting) -> float:
    return setting.thresholds.alpha_report / 2


def _attempts(t: float, alpha: float) -> int:
    """Attempts without a success after which an upper limit is below *t*."""
    return math.ceil(math.log(alpha) / math.log1p(-t))


def _json(interval: Interval) -> Json:
    return interval.estimate().to_json() or {}


def _strata(setting: Setting) -> list[Json]:
    """Each stratum with the region that the table puts it in; empty if there is one only, or very many."""
    names, out = setting.study.test.names(), []
    for name in names if 1 < len(names) <= MOST_ROWS else ():
        mask = setting.study.test.stratum(name)
        region = next((r for r in ("hard", "tail", "core") if (mask & getattr(setting, r)).any()), "unplaced")
        found = {key: value.to_json() for key, value in _successes(setting, mask).items()}
        out.append({"stratum": name, "tasks": int(mask.sum()), "region": region, **found})
    return out


def _located(setting: Setting) -> list[Json]:
    """The part of the gain at tasks that few, and that nearly all of the attempts of the base miss."""
    base, arm = runs(setting, setting.everything)
    most, alpha = located.most_attempts(base, setting.thresholds), _printed(setting)
    out = []
    for k in sorted({min(setting.thresholds.tau_attempts, most), most} - {0}):
        missed, gain = located.missed_share(base, k, alpha), located.missed_gain(base, arm, k, alpha)
        out.append({"k": k, "missed": _json(missed), "gain": _json(gain)})
    return out


def _curves(setting: Setting) -> list[Json]:
    """pass@k of both and the paired difference, at powers of two up to the fewest attempts of either."""
    base, arm = runs(setting, setting.everything)
    most, alpha, out = min(int(base[0].min()), int(arm[0].min()), located.MOST_K), _printed(setting), []
    for k in (2**i for i in range(most.bit_length())):
        one, other = pass_at_k(*base, k), pass_at_k(*arm, k)
        limits = bounded_mean(one, alpha), bounded_mean(other, alpha), bounded_mean(other - one, alpha, -1.0, 1.0)
        out.append({"k": k, **dict(zip(("base", "arm", "difference"), map(_json, limits), strict=True))})
    return out


def _support(setting: Setting) -> Json:
    """Tasks gained and lost, with what a second run of the base would gain and lose by itself."""
    base, arm = runs(setting, setting.everything)
    cells = base[0].size * min(int(base[0].min()) // 2, int(arm[0].min()))
    if cells > MOST_CELLS:
        raise BadValue("tasks times attempts (of the arm, half of the base's)", cells, f"at most {MOST_CELLS:,}")
    found = support_dynamics(setting, setting.study.arm(setting.study.primary)).to_json()
    if found["flow"] is not None:  # a ratio without a denominator
        empty = Estimate.missing("no task in these supports").to_json()
        found |= {key: empty for key in ("srr", "ndr", "sds", "nscr") if found[key]["value"] is None}
    few = Estimate.missing("needs two attempts of the base at each task").to_json()
    k = int(found["corrected_k"])
    if not k:
        return {**found, "expanded": few, "shrunk": few, "placebo": few}
    return {**found, "placebo": placebo_share(base, k, _printed(setting)).estimate().to_json()}


def _notes(published: Published, setting: Setting) -> list[str]:
    """What a reader should know before believing a rung."""
    out = ["the arm counts as trained and evaluated with the affordance, the base as evaluated without it"]
    if setting.hard.any():
        out.append("the hard strata count as named before anyone saw these counts")
        if soft(setting):
            out.append("the tasks named hard are not hard for the base: its mean success on them is above t")
    if published.unread:
        out.append(f"columns not read: {', '.join(published.unread)}")
    return out
