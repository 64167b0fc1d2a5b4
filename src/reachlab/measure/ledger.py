"""What each arm reached, spent and cost: the entries of ``arms`` in result.json.

Required, surplus, equivalent k and reach are on the hard tasks; printed intervals are two-sided at alpha_report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from reachlab import Estimate, Json, Treatment, World
from reachlab.measure import dual
from reachlab.measure import frontier as f
from reachlab.measure.axes import costs, newly, surplus
from reachlab.measure.contrasts import any_mean, mean_over, nats, success, success_bits
from reachlab.measure.intervals import Interval, bounded_mean
from reachlab.measure.reach import Reach
from reachlab.measure.records import ArmCounts, Mask
from reachlab.measure.setting import Setting

NO_HARD = "no hard tasks"
NO_SPENT = "not available: the policy tells no full log-probabilities"
NO_CHOICE = "not available: a search chooses among samples, and a choice has no log-probabilities"
OF_SAMPLES = ("spent_nats", "log_ratio_nats", "surplus_nats", "free_energy_gap", "bits_gained", "bits_imported")
"""What is known of an arm only if its episodes are plain samples of its policy."""


@dataclass(frozen=True, slots=True)
class ArmEntry:
    """One arm of result.json, field for field."""

    name: str
    treatment: str
    trained: str | None
    evaluated: str
    split: str
    primary: bool
    tasks: int
    episodes: int
    success: Estimate
    success_hard: Estimate
    spent_nats: Estimate
    """Over all tasks; ``meta["hard"]`` has it on the hard tasks, where it adds to the surplus."""
    spent_by_class: dict[str, Estimate]
    log_ratio_nats: Estimate
    required_nats: Estimate
    surplus_nats: Estimate
    free_energy_gap: Estimate
    equivalent_k: Estimate
    cost_matched_k: Estimate
    closed_at_cost_matched_k: Estimate
    break_even_tasks: Estimate
    bits_gained: Estimate
    bits_imported: Estimate
    newly_within_reach: Estimate
    lost: Estimate

    def to_json(self) -> Json:
        out: Json = {}
        for key in self.__dataclass_fields__:
            value: Any = getattr(self, key)
            if isinstance(value, dict):
                value = {k: v.to_json() for k, v in value.items()}
            out[key] = value.to_json() if isinstance(value, Estimate) else value
        return out


def _printed(interval: Interval | None, missing: str, kind: Any = "sampled", reason: str = "") -> Estimate:
    if interval is None or math.isnan(interval.value):
        return Estimate.missing(missing)
    return interval.estimate(kind, reason)


def spent(counts: ArmCounts, mask: Mask, alpha: float) -> Estimate:
    """Mean spent nats over the masked tasks; exactly 0 for the base."""
    values = counts.nats()
    if values is None:
        return Estimate.missing(NO_SPENT)
    return _printed(nats(values, mask, alpha), NO_SPENT, "exact" if counts.pooled and not values.any() else "sampled")


def success_rate(counts: ArmCounts, mask: Mask, alpha: float, missing: str) -> Estimate:
    """Mean success over the masked tasks."""
    return _printed(success(counts, mask, alpha), missing)


def surplus_nats(setting: Setting, counts: ArmCounts, alpha: float) -> Estimate:
    """Required - spent on the hard tasks against the closed base."""
    if not setting.hard.any():
        return Estimate.missing(NO_HARD)
    closed = setting.reach(World.CLOSED, setting.hard)
    above = surplus(closed, counts, setting.hard, alpha)
    return _printed(above, NO_SPENT, "sampled" if closed.kind == "exact" else "bound")


def newly_within_reach(setting: Setting, counts: ArmCounts, alpha: float) -> Estimate:
    """Least share of the hard tasks that the closed base does not reach and this arm does."""
    if not setting.hard.any():
        return Estimate.missing(NO_HARD)
    th, closed = setting.thresholds, setting.reach(World.CLOSED, setting.hard)
    share = newly(closed, counts, setting.hard, alpha, th.tau, th.t)
    return Estimate.missing(NO_HARD) if share is None else _printed(share.clip(), NO_HARD, "bound")


def _against_closed(
    setting: Setting, counts: ArmCounts, mask: Mask, alpha: float
) -> tuple[Reach, Interval, float] | Estimate:
    """(the closed base's reach, the arm's success, the error that each may take), or why there is none."""
    reach = setting.reach(World.CLOSED, mask, counts.arm.split)
    if not mask.any() or reach.kind == "missing":
        return Estimate.missing(NO_HARD if not mask.any() else "the base was not evaluated closed")
    share = alpha / (1 + int(reach.random))
    p = success(counts, mask, share)
    return Estimate.missing("no scored episode") if math.isnan(p.value) else (reach, p, share)


def required(setting: Setting, counts: ArmCounts, mask: Mask, alpha: float) -> Estimate:
    """D(p) against the closed base: what reweighting would have to spend for this arm's success."""
    rival = _against_closed(setting, counts, mask, alpha)
    if isinstance(rival, Estimate):
        return rival
    reach, p, share = rival
    if reach.p0 is None:
        low = reach.required(p.low, share)
        return Interval(reach.required(p.value, share), low, math.inf).estimate("bound", "at least kl(p, U)")
    interval = dual.required_limits(reach.p0, counts.success()[:, mask], share, reach.top)
    if not math.isfinite(interval.value):
        return Estimate.missing("success is above the share of tasks with p0 > 0")
    return interval.estimate("sampled")


def equivalent_k(setting: Setting, counts: ArmCounts, mask: Mask, alpha: float) -> Estimate:
    """Closed samples with a perfect verifier that reach this arm's success."""
    rival = _against_closed(setting, counts, mask, alpha)
    if isinstance(rival, Estimate):
        return rival
    reach, p, share = rival
    if reach.p0 is not None:
        found = dual.equivalent_k_limits(reach.p0, counts.success()[:, mask], share, reach.top)
    else:
        found = Interval(reach.equivalent_k(p.value, share), reach.equivalent_k(p.low, share), math.inf)
    k, low, high = found.value, found.low, found.high
    if math.isfinite(k):
        return Interval(k, low, high).estimate("sampled" if reach.kind == "exact" else "bound")
    if math.isfinite(low) and low > 0:
        return Interval(low, low, math.inf).estimate("bound", "no number of samples matches the mean; at least this")
    return Estimate.missing("no number of closed samples reaches it")


def break_even(setting: Setting, counts: ArmCounts, mask: Mask, k: Estimate) -> Estimate:
    """Test tasks above which training tokens pay, against best-of-equivalent-k of the closed base.

    training / (k * closed tokens - arm tokens); missing where sampling is the cheaper one for any number of tasks.
    """
    if counts.training_tokens is None or not np.any(counts.training_tokens > 0):
        return Estimate.missing("no training")
    if counts.tokens is None or k.value is None:
        return Estimate.missing(k.reason or "tokens not available")
    training = float(np.mean(counts.training_tokens))
    arm = mean_over(counts.mean_of(counts.tokens), mask)

    def tasks(samples: float | None) -> float:
        saved = (samples * setting.study.closed_tokens if samples is not None else math.inf) - arm
        return training / saved if saved > 0 else math.inf

    low, high = k.ci or (k.value, k.value)
    interval = Interval(tasks(k.value), tasks(high), tasks(low if low is not None else 0.0))
    if not math.isfinite(interval.value):
        return Estimate.missing("sampling the closed base is cheaper at any number of tasks")
    return interval.estimate()


def bits_gained(setting: Setting, counts: ArmCounts, mask: Mask, alpha: float) -> Estimate:
    """log2 mean p_live - log2 mean p_imagined of the same policy; missing at zero imagined successes.

    Both limits are over tasks: pooled attempts say what these tasks do, and other tasks would have been as unlike.
    """
    imagined = setting.study.same_policy(counts, World.IMAGINED)
    if counts.arm.evaluated != World.LIVE or imagined is None:
        return Estimate.missing("needs the same policy evaluated live and imagined")
    p, q = (success(c, mask, alpha / 2) for c in (counts, imagined))
    if not p.value > 0 or not q.value > 0:
        return Estimate.missing(f"live success {p.value:.3g}, imagined {q.value:.3g}: both must be seen")
    low = math.log2(p.low) if p.low > 0 else -math.inf
    high = math.log2(p.high) - (math.log2(q.low) if q.low > 0 else -math.inf)
    return Interval(math.log2(p.value) - math.log2(q.value), low - math.log2(q.high), high).estimate()


def lost(setting: Setting, counts: ArmCounts, alpha: float) -> Estimate:
    """Least share of the tasks within the closed base's reach (p0 >= tau) that fell out of the arm's.

    Tasks that stayed have success >= tau, so 1 - mean/tau of them left at least; by stratum, then averaged.
    """
    core, tau, total = setting.core, setting.thresholds.tau, int(setting.core.sum())
    if not total or counts.arm.split != "test":
        return Estimate.missing("no test task is within the closed base's reach")
    names = [n for n in setting.study.test.names() if (setting.study.test.stratum(n) & core).any()]
    value = low = 0.0
    for name in names:
        mask = setting.study.test.stratum(name) & core
        p, weight = success(counts, mask, alpha / len(names)), int(mask.sum()) / total
        value += weight * max(0.0, 1 - (0.0 if math.isnan(p.value) else p.value) / tau)
        low += weight * max(0.0, 1 - p.high / tau)
    return Interval(value, low, math.inf).estimate("bound")


def gap(setting: Setting, counts: ArmCounts, mask: Mask, alpha: float) -> Estimate:
    """R(spent) - p for an arm evaluated closed, over all its tasks."""
    p0, values = setting.p0(counts.arm.split), counts.nats()
    if counts.arm.evaluated != World.CLOSED or p0 is None or values is None:
        return Estimate.missing("needs an arm evaluated closed, exact p0 and spent nats")
    paid, p = nats(values, mask, alpha / 2), success(counts, mask, alpha / 2)
    if math.isnan(paid.value) or math.isnan(p.value):
        return Estimate.missing("no scored episode")
    low, high = f.frontier_success(p0, paid.low) - p.high, f.frontier_success(p0, min(paid.high, 1e6)) - p.low
    return Interval(f.frontier_gap(p0, p.value, paid.value), low, high).estimate()


def entry(setting: Setting, counts: ArmCounts) -> ArmEntry:
    """Every number of one arm; an arm without signal reads so everywhere."""
    arm, study = counts.arm, setting.study
    alpha = setting.thresholds.alpha_report / 2
    tasks = study.tasks(arm.split)
    everything = np.ones(tasks.size if tasks else 0, dtype=bool)
    hard = setting.hard if arm.split == "test" else np.zeros(everything.size, dtype=bool)
    numbers = _numbers(setting, counts, everything, hard, alpha)
    if arm.treatment == Treatment.SEARCH:
        chosen = Estimate.missing(NO_CHOICE)
        numbers |= dict.fromkeys(OF_SAMPLES, chosen)
        numbers["spent_by_class"] = dict.fromkeys(numbers["spent_by_class"], chosen)
    if counts.missing:
        silent = Estimate.missing(counts.missing)
        numbers = {k: {c: silent for c in v} if isinstance(v, dict) else silent for k, v in numbers.items()}
    return ArmEntry(
        name=arm.name,
        treatment=str(arm.treatment),
        trained=None if arm.trained is None else str(arm.trained),
        evaluated=str(arm.evaluated),
        split=arm.split,
        primary=arm.name == study.primary,
        tasks=everything.size,
        episodes=int(counts.episodes.sum()),
        **numbers,
    )


def _numbers(setting: Setting, counts: ArmCounts, everything: Mask, hard: Mask, alpha: float) -> dict[str, Any]:
    test = counts.arm.split == "test"
    closed = setting.reach(World.CLOSED, hard) if hard.any() else None
    k = equivalent_k(setting, counts, hard, alpha)
    paid = spent(counts, everything, alpha)
    if hard.any() and paid.value is not None:
        paid = Estimate(paid.value, paid.ci, paid.kind, paid.reason, {"hard": spent(counts, hard, alpha).to_json()})
    bits = success_bits(counts, everything, alpha)
    log_ratio = None if counts.log_ratio is None else any_mean(counts.mean_of(counts.log_ratio), everything, alpha)
    return {
        "success": success_rate(counts, everything, alpha, "no scored episode"),
        "success_hard": success_rate(counts, hard, alpha, NO_HARD),
        "spent_nats": paid,
        "spent_by_class": {
            name: _by_class(counts, f"spent_{name}", everything, alpha) for name in ("reasoning", "call", "answer")
        },
        "log_ratio_nats": _printed(log_ratio, NO_SPENT),
        "required_nats": required(setting, counts, hard, alpha),
        "surplus_nats": surplus_nats(setting, counts, alpha) if test else Estimate.missing(NO_HARD),
        "free_energy_gap": gap(setting, counts, everything, alpha),
        "equivalent_k": k,
        "cost_matched_k": _cost(setting, counts, hard if hard.any() else everything, alpha),
        "closed_at_cost_matched_k": _closed_at(closed, _cost(setting, counts, hard, alpha), alpha),
        "break_even_tasks": break_even(setting, counts, hard, k),
        "bits_gained": bits_gained(setting, counts, everything, alpha),
        "bits_imported": _printed(None if counts.arm.evaluated != World.LIVE else bits, "no successful live episode"),
        "newly_within_reach": newly_within_reach(setting, counts, alpha) if test else Estimate.missing(NO_HARD),
        "lost": lost(setting, counts, alpha),
    }


def _cost(setting: Setting, counts: ArmCounts, mask: Mask, alpha: float) -> Estimate:
    known = costs(setting, counts)
    if known is None:
        return Estimate.missing("tokens not available")
    return _printed(nats(known, mask, alpha).clip(1.0, math.inf), "tokens not available")


def _by_class(counts: ArmCounts, name: str, mask: Mask, alpha: float) -> Estimate:
    values = getattr(counts, name)
    if values is None:
        return Estimate.missing(NO_SPENT)
    return _printed(nats(counts.mean_of(values), mask, alpha), NO_SPENT)


def _closed_at(closed: Reach | None, cost: Estimate, alpha: float) -> Estimate:
    """Best-of-k of the closed base on the hard tasks, at the limits of k and over tasks; only a bound without p0."""
    if closed is None or closed.kind == "missing" or cost.value is None or cost.ci is None:
        return Estimate.missing(NO_HARD if closed is None else "tokens or closed base not available")
    low, high = (cost.value if end is None else end for end in cost.ci)
    if closed.p0 is None:
        return Estimate(closed.best_of(high, alpha), (0.0, closed.best_of(high, alpha)), "bound")
    top = float(f.best_of(np.array([closed.top]), high)[0])
    ends = [bounded_mean(f.best_of(closed.p0, k), alpha, 0.0, top) for k in (low, high)]
    return Interval(closed.best_of(cost.value, alpha), ends[0].low, ends[1].high).estimate()

