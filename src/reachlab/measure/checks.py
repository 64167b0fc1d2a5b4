"""Theorem checks: what cannot happen unless the instrument is broken (DESIGN 2). One ``violated`` is INVALID.

All tests of a study share one family-wise error, by Bonferroni. They are made for the training runs at hand (the
theorems hold run by run), so the spread between runs plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from reachlab import NO_INFORMATION_WORLDS, FloatArray, Thresholds, Treatment, World
from reachlab.measure.contrasts import combine, least_success, mean_bits, mean_over, most_nats, success_bits
from reachlab.measure.intervals import clopper_pearson, lower_limit, pooled_upper
from reachlab.measure.records import ArmCounts, Mask, StudyCounts, TaskSet
from reachlab.measure.setting import Setting

Status = Literal["holds", "violated", "not testable"]
EXPECTED_HITS = 5.0
"""Hits that exact p0 must predict in a stratum before agreement there counts as evidence."""


@dataclass(frozen=True, slots=True)
class Check:
    """One theorem held against one arm."""

    name: str
    status: Status
    detail: str


class Outcome(NamedTuple):
    """One test: ``slack`` is what is left before violation, in the theorem's unit (negative: violated)."""

    status: Status
    slack: float
    detail: str


class Test(NamedTuple):
    """A test waits for its share of the error."""

    name: str
    run: Callable[[float], Outcome]


def regions(tasks: TaskSet) -> list[tuple[str, Mask]]:
    """All tasks, then each stratum if there are several."""
    everything = [("all tasks", np.ones(tasks.size, dtype=bool))]
    names = tasks.names()
    return everything + ([(name, tasks.stratum(name)) for name in names] if len(names) > 1 else [])


def agreement(study: StudyCounts, alpha: float) -> Check:
    """Exact p0 against the closed base's sampled frequency, in every stratum of both splits (check 4).

    Clopper-Pearson on pooled hits against the mean p0 of the same attempts; exact for equal p0, conservative for
    unlike ones (Hoeffding 1956). It holds only where p0 predicts ``EXPECTED_HITS``: an empty agreement proves nothing.
    """
    name = "exact p0 = closed frequency"
    rows: list[tuple[str, int, int, float]] = []
    for split in ("test", "train"):
        tasks, base = study.tasks(split), study.base(World.CLOSED, split)
        if tasks is None or tasks.p0 is None or base is None:
            continue
        hits, n = base.successes.sum(axis=0), base.episodes.sum(axis=0)
        for label, mask in regions(tasks)[1:] or regions(tasks):
            if n[mask].sum():
                mean = float((n * tasks.p0)[mask].sum() / n[mask].sum())
                rows.append((f"{label} ({split})", int(hits[mask].sum()), int(n[mask].sum()), mean))
    best = ""
    for label, c, attempts, mean in rows:
        limits = clopper_pearson(c, attempts, alpha / (2 * len(rows)))
        detail = f"{label}: exact {mean:.3g}, sampled {c} of {attempts}"
        if not limits.low <= mean * (1 + 1e-9) or not mean * (1 - 1e-9) <= limits.high:
            return Check(name, "violated", detail)
        if mean * attempts >= EXPECTED_HITS and not best:
            best = detail
    if not best:
        return Check(name, "not testable", f"no stratum where p0 predicts {EXPECTED_HITS:g} closed successes")
    return Check(name, "holds", best)


def _spent_test(setting: Setting, counts: ArmCounts, label: str, mask: Mask) -> Test:
    arm, spent = counts.arm, counts.nats()
    reach = setting.reach(arm.evaluated, mask, arm.split)

    def run(alpha: float) -> Outcome:
        if spent is None or reach.kind == "missing" or math.isnan(mean_over(spent, mask)):
            return Outcome("not testable", math.inf, f"{label}: no spent nats or no base in this world")
        share = alpha / (3 if reach.random else 2)
        paid, floor = mean_over(spent, mask), reach.required(mean_over(counts.success(), mask), share)
        if floor <= paid:  # limits only where the plain values contradict the theorem
            return Outcome("holds", paid - floor, f"{label}: spent {paid:.3g}, required {floor:.3g} nats")
        most, least = most_nats(spent, mask, share), reach.required(least_success(counts, mask, share), share)
        detail = f"{label}: spent {paid:.3g} (at most {most:.3g}), required {floor:.3g} (at least {least:.3g}) nats"
        return Outcome("violated" if most < least else "holds", most - least, detail)

    return Test(f"spent >= required: {arm.name}", run)


def _bits_test(live: ArmCounts, imagined: ArmCounts, label: str, mask: Mask) -> Test:
    def run(alpha: float) -> Outcome:
        share = alpha / 3
        p, imported = mean_over(live.success(), mask), mean_bits(live, mask)
        hits, n = imagined.pool(mask)
        if not n or not math.isfinite(imported) or not p > 0:
            return Outcome("not testable", math.inf, f"{label}: no imagined episodes or no live success with bits")
        if hits == 0 and math.log2(n) < math.log2(3) + imported - math.log2(p):
            need = 3 * 2.0 ** min(imported, 1000) / p
            return Outcome("not testable", math.inf, f"{label}: 0 imagined hits in {n} episodes, {need:.3g} needed")
        upper = math.log2(pooled_upper(hits, n, share))
        gained = math.log2(p) - upper
        if gained <= imported:  # limits only where the plain values contradict the theorem
            detail = f"{label}: gained about {gained:.3g} bits, imported {imported:.4g}"
            return Outcome("holds", imported - gained, detail)
        low, most = least_success(live, mask, share), success_bits(live, mask, share).high
        gained = (math.log2(low) if low > 0 else -math.inf) - upper
        detail = f"{label}: gained at least {gained:.3g} bits, imported {imported:.4g} (at most {most:.4g})"
        return Outcome("violated" if gained > most else "holds", most - gained, detail)

    return Test(f"bits gained <= bits imported: {live.arm.name}", run)


def _cap_test(name: str, values: FloatArray, cap: FloatArray, label: str, mask: Mask) -> Test:
    """Mean success per stratum under a cap that holds in expectation over tasks."""

    def run(alpha: float) -> Outcome:
        top, value = float(cap[mask].mean()), mean_over(values, mask)
        if math.isnan(value):
            return Outcome("not testable", math.inf, f"{label}: no scored episode")
        floor = value
        if value > top:
            tasks = combine([(1.0, values)], mask).mean(axis=0)
            floor = lower_limit(np.clip(tasks, 0.0, 1.0), alpha)
        detail = f"{label}: mean {value:.3g}{f', at least {floor:.3g}' if value > top else ''}, cap {top:.3g}"
        return Outcome("violated" if floor > top * (1 + 1e-9) else "holds", top - floor, detail)

    return Test(name, run)


def _invariants(study: StudyCounts) -> list[Test]:
    tests: list[Test] = []
    tasks = study.test
    for label, mask in regions(tasks):
        if tasks.bound is not None and tasks.p0 is not None:
            tests.append(_cap_test("p0 <= policy-free bound: exact p0", tasks.p0[None], tasks.bound, label, mask))
        for counts in study.arms:
            if counts.missing or counts.arm.split != "test" or counts.arm.treatment == Treatment.SEARCH:
                continue  # a search has more than one episode's budget, and may ask the verifier
            name, world = counts.arm.name, counts.arm.evaluated
            if tasks.bound is not None and world in NO_INFORMATION_WORLDS:
                tests.append(
                    _cap_test(f"success <= policy-free bound: {name}", counts.success(), tasks.bound, label, mask)
                )
            if tasks.optimum is not None and world != World.ORACLE:
                tests.append(_cap_test(f"success <= optimum: {name}", counts.success(), tasks.optimum, label, mask))
    return tests


def _tests(setting: Setting) -> list[Test]:
    study, tests = setting.study, []
    for counts in study.arms:
        tasks = study.tasks(counts.arm.split)
        if counts.missing or tasks is None:
            continue
        imagined = study.same_policy(counts, World.IMAGINED)
        for label, mask in regions(tasks):
            if counts.arm.treatment != Treatment.BASE:
                tests.append(_spent_test(setting, counts, label, mask))
            if counts.arm.evaluated == World.LIVE and imagined is not None:
                tests.append(_bits_test(counts, imagined, label, mask))
    return tests + _invariants(study)


def theorem_checks(setting: Setting, thresholds: Thresholds) -> list[Check]:
    """Checks 1 to 3, one record per theorem and arm: the tightest region speaks for the rest.

    Half of the family's error is left for ``agreement``, which decides whether p0 may be used as exact here.
    """
    tests = _tests(setting)
    grouped: dict[str, list[Outcome]] = {}
    for test in tests:
        grouped.setdefault(test.name, []).append(test.run(thresholds.alpha_check / 2 / len(tests)))
    checks = []
    for name, outcomes in grouped.items():
        tightest = min(outcomes, key=lambda o: (o.status != "violated", o.status != "holds", o.slack))
        checks.append(Check(name, tightest.status, tightest.detail))
    return checks
