"""The estimates of result.json: closed forms, kinds, reasons, no infinities."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from reachlab import Arm, Estimate, Thresholds
from reachlab.measure import Analysis, analyse, best_of, equivalent_k, required_nats
from tests.measure.worlds import BASE, CLOSED, LIVE, RFT, RL, lexicon

ARM_FIELDS = [
    "name",
    "treatment",
    "trained",
    "evaluated",
    "split",
    "primary",
    "tasks",
    "episodes",
    "success",
    "success_hard",
    "spent_nats",
    "spent_by_class",
    "log_ratio_nats",
    "required_nats",
    "surplus_nats",
    "free_energy_gap",
    "equivalent_k",
    "cost_matched_k",
    "closed_at_cost_matched_k",
    "break_even_tasks",
    "bits_gained",
    "bits_imported",
    "newly_within_reach",
    "lost",
]
TOP = ("thresholds", "hard", "p0", "frontier", "arms", "verdicts", "checks", "leak", "interaction", "faults")


@pytest.fixture(scope="module")
def found() -> Analysis:
    return analyse(lexicon().sample())


def value(estimate: Estimate) -> float:
    assert estimate.value is not None, estimate.reason
    return estimate.value


def test_json_has_the_fields_and_no_infinities(found: Analysis) -> None:
    out = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(TOP) <= set(out)
    assert list(out["arms"][0]) == ARM_FIELDS
    assert out["hard"] == {"tasks": 120, "share": 0.6, "k_acc": 1000}
    assert out["p0"]["kind"] == "exact"
    assert out["verdicts"][0]["verdict"] == "C2"
    assert {"mechanism", "verdict", "sentence", "evidence"} == set(out["verdicts"][0])
    assert set(out["checks"][0]) == {"name", "status", "detail"}
    assert out["leak"]["passed"] is True


def test_every_estimate_has_an_interval_or_a_reason(found: Analysis) -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            if "value" in node and "reason" in node and node["value"] is None:
                assert node["reason"]
            for child in node.values():
                walk(child)

    walk(found.to_json()["arms"])
    for arm in found.arms:
        for name in ("success", "required_nats", "surplus_nats", "equivalent_k", "cost_matched_k"):
            estimate = getattr(arm, name)
            if estimate.value is not None:
                assert estimate.ci is not None
                low, high = estimate.ci
                assert (low is None or low <= estimate.value) and (high is None or estimate.value <= high)


def test_ledger_of_the_primary_arm(found: Analysis) -> None:
    study = lexicon().sample()
    assert study.test.p0 is not None
    arm, p0 = found.arm("rl·live"), study.test.p0[found.hard]
    p = float(study.arm("rl·live").success()[:, found.hard].mean())
    assert value(arm.success_hard) == pytest.approx(p)
    assert value(arm.required_nats) == pytest.approx(required_nats(p0, p))
    assert value(arm.equivalent_k) == pytest.approx(equivalent_k(p0, p))
    hard = arm.spent_nats.meta["hard"]
    assert value(arm.surplus_nats) == pytest.approx(value(arm.required_nats) - hard["value"])
    assert value(arm.cost_matched_k) == 3.0
    assert value(arm.closed_at_cost_matched_k) == pytest.approx(best_of(p0, 3).mean())
    assert value(arm.break_even_tasks) == pytest.approx(1e6 / (equivalent_k(p0, p) * 20 - 60))
    tau = Thresholds().tau
    assert value(arm.newly_within_reach) == pytest.approx((p - tau) / (1 - tau))
    assert value(arm.bits_imported) > value(arm.bits_gained) > 3
    assert arm.free_energy_gap.value is None


def test_closed_arms_have_no_surplus_and_a_gap(found: Analysis) -> None:
    arm = found.arm("rl·closed")
    low, _ = arm.surplus_nats.ci or (None, None)
    assert low is not None
    assert low <= 0
    assert value(arm.free_energy_gap) >= 0
    assert arm.bits_imported.value is None


def test_frontier_points(found: Analysis) -> None:
    kls = [p.kl for p in found.frontier]
    assert kls == sorted(kls)
    assert found.frontier[0].success == pytest.approx(value(found.p0))
    assert found.frontier_hard[0].success == pytest.approx(3.7e-5)


def test_no_signal_is_never_a_number() -> None:
    study = lexicon().sample()
    arms = tuple(replace(c, no_signal="no reward") if c.arm == Arm(RFT, CLOSED, CLOSED) else c for c in study.arms)
    entry = analyse(replace(study, arms=arms)).arm("rft·closed")
    assert entry.success == Estimate.missing("no signal: no reward")
    assert {e.value for e in entry.spent_by_class.values()} == {None}


def test_perfect_success_has_a_finite_reading() -> None:
    found = analyse(lexicon().but(rates={(RL, LIVE, LIVE): 1.0}).sample()).arm("rl·live")
    assert value(found.required_nats) == pytest.approx(5 * math.log(10))
    assert found.equivalent_k.kind == "bound"
    assert found.equivalent_k.ci is not None
    assert found.equivalent_k.ci[1] is None


def test_unverified_exact_p0_is_not_used() -> None:
    """Hard dials only: nothing confirms the enumeration, so p0 is sampled and H is named by strata."""
    found = analyse(lexicon(digits=(4, 5, 6)).sample())
    assert found.p0.kind == "sampled"
    assert found.arm("rl·live").required_nats.kind == "bound"
    assert any(c.name.startswith("exact p0") and c.status == "not testable" for c in found.checks)


def test_lost_tasks_are_seen() -> None:
    world = lexicon(bound=False, per_stratum=80)
    lost = analyse(world.but(rates={(RL, LIVE, LIVE): world.on(1, 0.0, 0.95)}).sample()).arm("rl·live").lost
    assert value(lost) == pytest.approx(1.0)
    assert lost.ci is not None
    assert lost.ci[0] is not None
    assert 0 < lost.ci[0] < 1


def test_support_sweep_falls_with_tau(found: Analysis) -> None:
    shares = [row["value"] for row in found.support_sweep if row["k_acc"] == 1000]
    assert shares == sorted(shares, reverse=True)
    assert {row["k_acc"] for row in found.support_sweep} == {100, 1000, 10_000, 100_000}


def test_sampled_p0_beside_base_without_hits() -> None:
    found = analyse(lexicon(exact=False, bound=False).sample())
    arm = found.arm(Arm(BASE, None, LIVE).name)
    assert arm.required_nats.kind == "bound"
    assert arm.required_nats.ci is not None
    assert arm.required_nats.ci[1] is None
    assert 0 < value(arm.required_nats) < 10
    assert np.isfinite(value(arm.equivalent_k))
