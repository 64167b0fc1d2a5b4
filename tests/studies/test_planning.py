"""Sizes of studies: closed forms against brute force, simulated power, what no size decides, what it all costs."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from reachlab import Json, Thresholds, World, record_to_json
from reachlab.cli import app
from reachlab.errors import BadValue
from reachlab.measure import bounded_mean, judge, kl, pooled_upper, positive_mean
from reachlab.registry import Spec
from reachlab.studies import PROFILES, StudySpec, conclude, planning
from reachlab.studies.calibration.draw import StudySize, draw
from reachlab.studies.calibration.process import CLOSED_TOKENS
from reachlab.studies.calibration.truth import truth
from reachlab.studies.calibration.worlds import ARMS, PRIMARY
from reachlab.studies.markdown import markdown
from reachlab.studies.planning import Effect, advice, effect_of, plan, pricing, requirements
from reachlab.studies.planning.effect import BOUNDED, ENUMERATED, world_of
from reachlab.studies.planning.requirements import attempts_for, least_tasks
from reachlab.studies.report import terminal

from .test_report import printed, result_of, strangers, study

TH = Thresholds()
EASY = Effect(success=0.9, closed=1e-5, spent=1.2)
CLEAR = replace(EASY, success=1.0)
"""Every episode of the arm succeeds: only unseen tasks stand against it."""


def alone(effect: Effect, thresholds: Thresholds = TH) -> dict[str, int | None]:
    return {r.name: r.tasks for r in requirements(effect, thresholds)}


# --------------------------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.12])
def test_the_leak_gate_takes_the_tasks_that_one_unseen_leak_takes(gain: float) -> None:
    f = TH.leak_fraction

    def passed(n: int) -> bool:
        return bounded_mean(np.full(n, -f * gain), TH.alpha, -1.0, 1.0).high < 0

    n = int(np.ceil(least_tasks(f * gain / (1 + f * gain), f * gain, 0.0, TH.alpha, 0.95)))
    assert passed(n) and not passed(n - 1)
    assert n == pytest.approx(-np.log(TH.alpha) / (f * gain), rel=0.06)


@pytest.mark.parametrize(("success", "floor"), [(0.9, 0.083), (0.12, 0.083), (1.0, 0.5)])
def test_success_stays_above_a_floor_from_this_many_equal_tasks_on(success: float, floor: float) -> None:
    def above(n: int) -> bool:
        return bounded_mean(np.full(n, success), TH.alpha).low > floor

    n = int(np.ceil(least_tasks(1 - floor / success, success - floor, 0.0, TH.alpha, 0.95)))
    assert above(n) and not above(n - 1)


def test_required_nats_stay_above_the_spent_ones() -> None:
    effect = replace(CLEAR, spent=9.0)

    def above(n: int) -> bool:
        low = bounded_mean(np.full(n, effect.success), TH.alpha / 3).low
        spent = positive_mean(effect.spent + 1e-6 * np.sin(np.arange(n)), TH.alpha / 3).high
        return float(kl(low, effect.closed)) > spent

    n = alone(effect)["divergence"]
    assert n is not None and above(n + 1) and not above(n - 1)


def test_base_episodes_without_a_hit_that_support_takes() -> None:
    share, alpha = 0.7, TH.alpha / 2
    n = attempts_for(share, TH.t, alpha)
    assert pooled_upper(0, n, alpha) <= TH.t * share < pooled_upper(0, n - 1, alpha)
    assert n == pytest.approx(-np.log(alpha) / (TH.t * share), rel=1e-3)
    found = requirements(replace(EASY, hard=0.5, bound=False), TH)[3]
    attempts = attempts_for((0.9 - TH.tau) / (1 - TH.tau), TH.t, alpha)
    assert found.base_episodes == attempts and found.tasks == -(-attempts // 8)
    assert all(r.base_episodes is None for r in requirements(EASY, TH))


def test_unlike_tasks_take_the_normal_sample_size() -> None:
    margin, deviation = 0.1, 0.25
    n = round(least_tasks(1e-9 + 1 - 0.4 / 0.5, margin, deviation**2, TH.alpha, 0.9))
    rng, q = np.random.default_rng(0), 0.5 / deviation**2 * 0.25 - 0.5
    low = [bounded_mean(rng.beta(q, q, n), TH.alpha).low for _ in range(400)]
    assert 0.8 < np.mean(np.array(low) > 0.5 - margin) < 0.97


def test_requirements_shrink_with_the_effect_and_grow_with_the_rigour() -> None:
    usual = alone(EASY)
    for other in (replace(EASY, success=0.5), replace(EASY, hard=0.5), replace(EASY, spread=0.3)):
        assert all(a <= b for a, b in zip(usual.values(), alone(other).values(), strict=True) if a and b)
    strict = alone(EASY, replace(TH, alpha=1e-5))
    assert all(a <= b for a, b in zip(usual.values(), strict.values(), strict=True) if a and b)
    assert usual["leak gate"] == max(n for n in usual.values() if n)


# ------------------------------------------------------------------------------------------------------ the world of it


@pytest.mark.parametrize(
    "effect",
    [
        EASY,
        Effect(0.9, 1e-5, 1.2, hard=0.6, live=0.3, cost=2.7, easy=0.05),
        Effect(0.4, 1e-5, 1.2, hard=0.5, live=0.3, spread=0.4),
        Effect(0.9, 1e-4, 0.1, live=0.01),  # more training than the nats could pay for
    ],
)
def test_the_world_has_the_effect(effect: Effect) -> None:
    world = world_of(effect)
    hard, law = world.base.closed < TH.t, world.law(PRIMARY)
    laws = {arm: world.law(arm) for arm in ARMS}
    assert hard.mean() == pytest.approx(effect.hard)
    assert law.success[hard].mean() == pytest.approx(effect.success, rel=1e-3)
    assert law.success[hard].std() == pytest.approx(effect.spread, abs=0.02)
    assert law.nats[hard].mean() == pytest.approx(effect.spent, rel=1e-6)
    assert world.tokens(PRIMARY)[hard].mean() / CLOSED_TOKENS == pytest.approx(effect.cost, rel=1e-6)
    live = next(found for arm, found in laws.items() if arm.training is None and arm.evaluated == World.LIVE)
    assert live.success[hard].mean() >= (effect.live or effect.success) - 2e-3
    for arm, found in laws.items():
        assert np.isfinite(found.nats).all()
        if arm.evaluated != World.LIVE:
            assert (found.success <= world.base.closed * (1 + 1e-9)).all()
    assert truth(world, TH).creation


def test_its_studies_are_read_with_the_checks_that_tell_how_p0_is_known() -> None:
    for exact, bound in ((True, True), (True, False), (False, True)):
        world = world_of(replace(EASY, hard=0.5, exact=exact, bound=bound))
        names = [c.name for c in judge(draw(world, StudySize(40, 16), np.random.default_rng(0)), TH).checks]
        assert any(name.startswith(ENUMERATED) for name in names) == exact
        assert any(BOUNDED in name for name in names) == bound


# --------------------------------------------------------------------------------------------------------------- plans


def test_a_planned_study_finds_the_effect_and_half_of_it_does_not() -> None:
    found = plan(EASY, replicates=40)
    assert found.size is not None and found.claims == ("C1",) and found.size.episodes == 16
    assert found.power.value is not None and found.power.value >= 0.95
    assert found.power.ci is not None and (found.power.ci[0] or 0.0) > 0.8

    def share(tasks: int) -> float:
        world = world_of(EASY)
        studies = [draw(world, StudySize(tasks, 16), np.random.default_rng(1000 + i)) for i in range(30)]
        return float(np.mean([judge(study, TH).verdict.rung.creation for study in studies]))

    assert share(found.size.tasks) >= 0.8
    assert share(found.size.tasks // 2) <= 0.1
    assert plan(EASY, replicates=40) == found


def test_progress_ends_and_never_runs_over() -> None:
    seen: list[tuple[float, float, str]] = []
    plan(EASY, replicates=5, report=lambda *now: seen.append(now))
    assert seen and all(0 < done <= total for done, total, _ in seen)
    assert seen[-1][0] == seen[-1][1] and not seen[-1][2] and "tasks: found in" in seen[-2][2]


def test_training_that_raises_the_base_is_seen_as_training() -> None:
    assert plan(replace(EASY, live=0.3), replicates=2, fineness=2).claims == ("C1", "C2")


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (replace(EASY, spent=11.0), "divergence is silent, only compute speaks"),
        (replace(EASY, success=0.05), "a coin flip in 8 attempts"),
        (replace(EASY, success=0.5, closed=5e-4), "no task is newly within reach for certain"),
        (replace(EASY, success=1e-6), "not above the closed base's 1e-05"),
        (replace(EASY, cost=1e7), "closed samples, which cost as much"),
        (replace(EASY, closed=1e-3), "closed success 0.001 is not below 0.00069"),
        (replace(EASY, hard=0.0), "no task is hard"),
    ],
)
def test_what_no_number_of_tasks_decides_is_said_at_once(effect: Effect, reason: str) -> None:
    found = plan(effect, report=lambda *_: pytest.fail("a study was simulated"))
    assert found.size is None and reason in found.reason and not found.claims
    assert reason in advice.spoken({**found.to_json(), "cost": None})["sentence"]


def test_huge_studies_are_left_to_the_closed_forms() -> None:
    found = plan(replace(EASY, hard=1e-3), report=lambda *_: pytest.fail("a study was simulated"))
    assert found.size is not None and found.size.tasks > 20_000 and found.power.value is None
    assert "by the closed forms" in advice.spoken({**found.to_json(), "cost": None})["sentence"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"power": 1.0}, "power: got 1.0"),
        ({"episodes": 8}, "episodes: got 8, allowed: at least 16"),
        ({"seeds": 0}, "seeds: got 0"),
        ({"thresholds": replace(TH, alpha=0.7)}, "alpha: got 0.7"),
    ],
)
def test_studies_that_cannot_be_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadValue, match=said):
        plan(EASY, **change)


@pytest.mark.parametrize("change", [{"success": 1.2}, {"closed": 0.0}, {"spent": -1.0}, {"cost": 0.5}, {"hard": 2.0}])
def test_effects_that_cannot_be_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(BadValue, match=next(iter(change))):
        replace(EASY, **change)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ finished runs


def finished(**changes: Any) -> Json:
    """What ``effect_of`` and the prices read in a result.json."""
    hard = {"value": 1.25, "ci": [1.1, 1.5], "kind": "sampled"}
    primary = {
        "name": "rl·live", "primary": True, "episodes": 640, "tasks": 40,
        "success_hard": {"value": 0.5, "ci": [0.4, 0.6], "kind": "sampled"},
        "spent_nats": {"value": 1.0, "ci": None, "kind": "sampled", "hard": hard},
        "cost_matched_k": {"value": 2.5, "ci": None, "kind": "sampled"},
    }  # fmt: skip
    base = {"name": "base·live", "primary": False, "success_hard": {"value": 0.25, "ci": None, "kind": "sampled"}}
    made: Json = {
        "schema": conclude.SCHEMA,
        "spec": StudySpec(Spec("lexicon"), policy="no/such/policy", profile=PROFILES["smoke"]).to_json(),
        "thresholds": record_to_json(TH),
        "hard": {"tasks": 24, "share": 0.6, "k_acc": 1000},
        "p0": {"value": 0.02, "kind": "exact", "hard": {"value": 4e-5, "ci": [4e-5, 4e-5], "kind": "exact"}},
        "arms": [primary, base],
        "checks": [{"name": "exact p0 = closed frequency", "status": "holds"},
                   {"name": "success <= policy-free bound: rl·live", "status": "holds"}],
        "verdicts": [{"verdict": "UNDECIDED", "sentence": "undecided", "mechanism": "retrieval"}],
        "cost": {"episodes": 1000, "tokens": 20_000, "rollout_seconds": 77.0, "training_tokens": {
            "sft·closed": [10.0], "rl·live": [300.0, 500.0], "rl·live→closed": [300.0, 500.0]}},
    }  # fmt: skip
    return {**made, **changes}


def test_the_effect_of_a_run_is_read_from_its_result() -> None:
    effect = effect_of(finished())
    assert (effect.success, effect.closed, effect.spent, effect.hard) == (0.5, 4e-5, 1.25, 0.6)
    assert (effect.live, effect.cost, effect.bound, effect.exact) == (0.25, 2.5, True, True)
    assert effect.easy == pytest.approx((0.02 - 0.6 * 4e-5) / 0.4)
    assert effect.spread == pytest.approx(np.sqrt((0.1 / 1.96) ** 2 * 24 - 0.25 / 16), rel=1e-6)


def test_where_p0_was_sampled_without_a_hit_its_limit_stands_for_it() -> None:
    p0 = {"value": 0.01, "kind": "sampled", "hard": {"value": 0.0, "ci": [0.0, 2e-4], "kind": "sampled"}}
    effect = effect_of(finished(p0=p0, checks=[]))
    assert effect.closed == 2e-4 and not effect.exact and not effect.bound


def test_a_run_without_an_effect_says_why() -> None:
    silent = finished()
    silent["arms"][0]["success_hard"] = {"value": None, "reason": "no signal: no data"}
    with pytest.raises(BadValue, match=r"success of rl·live: got None, allowed: a number; no signal: no data"):
        effect_of(silent)
    none_hard = finished(hard={"tasks": 0, "share": 0.0, "k_acc": 1000})
    assert advice.decisive(none_hard)["sentence"].startswith("no plan can be made: hard tasks of the run: got 0")


def test_an_undecided_result_says_what_would_decide_it() -> None:
    result = finished()
    result["plan"] = conclude._plan(result)
    found = result["plan"]
    assert found == advice.decisive(finished()) and json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["tasks"] > 40 and found["episodes"] == 16 and found["studies"] == advice.FEW_STUDIES
    assert "seconds" not in json.dumps(found) and found["cost"]["tokens"] > 20_000
    assert f"{found['tasks']} test tasks x 16 episodes, 1 training run: creation found in" in found["sentence"]
    assert conclude._plan(finished(verdicts=[{"verdict": "C1"}])) is None


def test_reports_say_what_would_decide_it() -> None:
    result = result_of(study())
    head, plain = "What would decide it", printed(terminal(result))
    assert head not in plain and head not in markdown(result)
    result["plan"] = advice.decisive(finished())
    section = markdown(result).partition(f"## {head}")[2].partition("## Success against KL")[0]
    assert result["plan"]["sentence"] in section and section.count("| leak gate |") == 1
    assert strangers(section, result) == []
    assert head in printed(terminal(result)) and result["plan"]["sentence"][:60] in printed(terminal(result), 400)
    result["plan"] = advice.undecidable("no |reason| <b>")
    assert "no plan can be made: no |reason| &lt;b>." in markdown(result)


def test_a_plan_that_fails_does_not_lose_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(result: Json) -> Json:
        raise ZeroDivisionError("nothing")

    monkeypatch.setattr(conclude, "decisive", fail)
    found = conclude._plan(finished())
    assert found is not None and "planning failed (ZeroDivisionError: nothing)" in found["sentence"]


# ---------------------------------------------------------------------------------------------------------------- costs


def test_episodes_of_a_study_are_those_that_it_samples() -> None:
    profile = PROFILES["default"]
    sizes = 16 * (160 + 80), StudySize(160, 16)
    bill = pricing.cost(sizes[1], replace(profile, train_tasks=80), None, "no run")
    assert bill["episodes"] == 16 * (16 * 160 + 7 * 80) and bill["tokens"] is None and bill["reason"] == "no run"
    drawn = profile.steps * profile.groups * profile.group_size
    assert bill["training_episodes"] == 5 * drawn
    more = pricing.cost(StudySize(160, 16, 3), replace(profile, train_tasks=80), None)
    assert more["training_episodes"] == 15 * drawn
    assert more["episodes"] == 16 * ((6 + 3 * 10) * 160 + (2 + 3 * 5) * 80)


def test_tokens_are_those_of_the_run() -> None:
    prices = pricing.prices_of(finished())
    assert set(prices.tokens.values()) == {20.0} and prices.training == 10.0 + 400.0
    size, profile = StudySize(100, 16), PROFILES["smoke"]
    bill = pricing.cost(size, profile, prices)
    assert bill["tokens"] == 20 * bill["episodes"] + 410
    assert pricing.seconds(size, profile, prices) is None


@pytest.mark.smoke
def test_prices_are_measured_with_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "ASKED", 4)
    monkeypatch.setattr(pricing, "SURVEYED", 50)
    found = pricing.measure(Spec("lexicon"), "tiny", PROFILES["smoke"], TH.t)
    assert found.hard == pytest.approx(0.6, abs=0.01) and found.closed == pytest.approx(3.7e-5, rel=0.01)
    assert 1 < found.cost < 5 and found.prices.tokens[World.LIVE] > found.prices.tokens[World.CLOSED]
    took = pricing.seconds(StudySize(40, 16), PROFILES["smoke"], found.prices)
    assert took is not None and 1 < took < 3600 and found.prices.training > 0
    with pytest.raises(BadValue, match="a Hugging Face causal language model"):
        pricing.measure(Spec("lexicon"), "reachlab.envs.lexicon:Lexicon", PROFILES["smoke"], TH.t)


def test_costs_in_words() -> None:
    assert [advice.large(n) for n in (950, 81_920, 1_234_567, 45_000_000, 2.5e9)] == [
        "950", "82,000", "1.2 million", "45 million", "2.5 billion",
    ]  # fmt: skip
    assert [advice.duration(s) for s in (0.2, 59.6, 130, 7_260)] == ["1 s", "1 min 0 s", "2 min 10 s", "2 h 1 min"]


# --------------------------------------------------------------------------------------------------------- command line


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "plan", partial(plan, replicates=10, fineness=4))


STATED = ("--success", "0.9", "--closed", "1e-5", "--spent", "1.2")


@pytest.mark.usefixtures("quick")
def test_the_command_plans_a_stated_effect() -> None:
    found = json.loads(call(*STATED, "--hard", "0.6", "--json").stdout)
    assert found["schema"] == "reachlab.plan/1" and found["effect"]["hard"] == 0.6 and found["alpha"] == TH.alpha
    assert 100 < found["tasks"] < 250 and found["power"]["value"] >= 0.95
    assert found["cost"]["tokens"] is None and "name a FAMILY" in found["cost"]["reason"]
    text = " ".join(call(*STATED, "--hard", "0.6").stdout.split())
    assert found["sentence"] in text and "leak gate" in text and "success 0.9, closed 1e-05" in text


@pytest.mark.usefixtures("quick")
def test_the_command_takes_a_run_whose_policy_is_gone(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(finished()))
    found = json.loads(call("--run", str(tmp_path), "--success", "0.8", "--no-bound", "--json").stdout)
    assert found["effect"]["success"] == 0.8 and found["effect"]["live"] == 0.25 and not found["effect"]["bound"]
    assert found["cost"]["tokens"] > 0 and found["cost"]["seconds"] is None
    assert "no/such/policy" in found["cost"]["reason"] and "seconds not available" in found["sentence"]
    support = next(r for r in found["requirements"] if r["name"] == "support")
    assert support["base_episodes"] > 10_000 and support["tasks"] > 1_000


@pytest.mark.usefixtures("quick")
def test_the_command_measures_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    each = dict.fromkeys(World, 0.01)
    prices = pricing.Prices(dict.fromkeys(World, 20.0), 1000.0, each, 5.0)
    seen = pricing.Survey(prices, hard=0.6, closed=3.7e-5, easy=0.05, live=0.3, cost=2.3)
    monkeypatch.setattr(pricing, "measure", lambda *_: seen)
    found = json.loads(call("lexicon", "--success", "0.9", "--json").stdout)
    assert found["effect"]["spent"] == pytest.approx(float(kl(0.9, 0.3))) and found["claims"] == ["C1", "C2"]
    assert found["cost"]["seconds"] == pytest.approx(0.01 * found["cost"]["episodes"] + 5)
    assert "of one process on this machine" in found["sentence"]
    assert json.loads(call("lexicon", "--json").stdout)["effect"]["success"] == 0.3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--success: got None, allowed: a number"),
        (("--success", "0.9"), "--closed: got None"),
        (("--success", "2", "--closed", "0.1", "--spent", "1"), "success: got 2.0, allowed: 0 to 1"),
        ((*STATED, "--power", "1.5"), "power: got 1.5"),
        ((*STATED, "--alpha", "0"), "alpha: got 0.0"),
        ((*STATED, "--episodes", "4"), "episodes: got 4, allowed: at least 16"),
        (("--run", "nowhere"), "nowhere is no finished run"),
        (("lexicn",), "Did you mean 'lexicon'?"),
        (("lexicon", "--policy", "tinny"), "Did you mean 'tiny'?"),
        (("math:pi",), "this float is none"),
    ],
)
def test_bad_input_is_explained(arguments: tuple[str, ...], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2 and said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_calibration_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"schema": "reachlab.calibration/1"}))
    result = call("--run", str(tmp_path))
    assert result.exit_code == 2 and "is no result of a study" in " ".join(result.stderr.split())


def test_help_teaches_with_examples() -> None:
    text = call("--help").output
    assert text.count("Example: reachlab plan") == 2


def test_repeats_of_the_base_stand_in_for_tasks() -> None:
    unbounded = replace(EASY, bound=False)
    once, often = (requirements(replace(unbounded, base_repeats=n), TH)[3] for n in (1, 8))
    assert once.base_episodes == often.base_episodes is not None
    assert once.tasks is not None and often.tasks == -(-once.tasks // 8)
    profile = PROFILES["smoke"]
    few, many = (pricing.cost(StudySize(100, 16), profile, None, base_repeats=n)["episodes"] for n in (1, 8))
    assert many - few == 7 * 4 * 100 * 16  # four worlds without information
    study = draw(world_of(replace(unbounded, base_repeats=8)), StudySize(20, 16), np.random.default_rng(0))
    episodes = {c.arm.name: int(c.episodes.sum()) for c in study.arms}
    assert episodes["base·silent"] == 8 * episodes["base·live"] == 8 * 20 * 16
