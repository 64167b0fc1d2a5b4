"""Calibration: the worlds obey the theorems, their labels follow from them, and what is broken is caught."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reachlab import NO_INFORMATION_WORLDS, Arm, Thresholds, Treatment, World
from reachlab.errors import CorruptRun, UnknownName
from reachlab.measure import ArmCounts, Rung, StudyCounts, dual, estimators, frontier, judge, required_nats
from reachlab.seeding import generator
from reachlab.studies.calibration import CalibrationSpec, calibrate, calibration_profile
from reachlab.studies.calibration.coverage import QUANTITIES, Population, Printed, covers
from reachlab.studies.calibration.draw import StudySize, draw
from reachlab.studies.calibration.process import RIGHT, law
from reachlab.studies.calibration.spec import CalibrationProfile
from reachlab.studies.calibration.tally import rate
from reachlab.studies.calibration.truth import axes, truth
from reachlab.studies.calibration.worlds import ARMS, PRIMARY, TabularWorld, find, worlds

TABLE = Thresholds()
SIZE = StudySize(320, 16)
EVERY = pytest.mark.parametrize("world", worlds(), ids=lambda w: w.name)
CLOSED = Arm(Treatment.BASE, None, World.CLOSED)
SHUFFLED = Arm(Treatment.RL, World.LIVE, World.SHUFFLED)


def studies(world: TabularWorld, n: int, change: Callable[[StudyCounts], StudyCounts] = lambda s: s) -> Counter[str]:
    """Verdicts on *n* studies of *world*, each changed by a fault of the harness."""
    drawn = (draw(world, SIZE, generator(5, "test", world.name, i)) for i in range(n))
    return Counter(str(judge(change(study)).verdict.rung) for study in drawn)


# ----------------------------------------------------------------------------------------------------------- the worlds


@EVERY
def test_nats_are_the_divergence_of_whole_episodes(world: TabularWorld) -> None:
    """Chain rule: the KL of the courses of an episode, computed without the chain, plus what style costs."""
    for arm in ARMS:
        policy, found = world.policy(arm), world.law(arm)
        base = law(world.base, world.base, world.channel, arm.evaluated).probability
        assert found.probability.sum(axis=1) == pytest.approx(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(found.probability > 0, found.probability * np.log(found.probability / base), 0)
        assert found.nats == pytest.approx(terms.sum(axis=1) + policy.style, abs=1e-9)


@EVERY
def test_worlds_obey_the_theorems(world: TabularWorld) -> None:
    """Spent covers what the same world requires; nothing is gained that was not imported."""
    for arm in ARMS:
        base = world.law(Arm(Treatment.BASE, None, arm.evaluated)).success
        assert world.law(arm).nats.mean() >= required_nats(base, float(world.law(arm).success.mean())) - 1e-9
    live, imagined = world.law(PRIMARY), world.law(Arm(Treatment.RL, World.LIVE, World.IMAGINED))
    won = live.probability * RIGHT
    gained = np.log2(live.success.mean() / imagined.success.mean())
    assert gained <= (won * live.bits).sum() / won.sum() + 1e-9


@EVERY
def test_bounds_hold(world: TabularWorld) -> None:
    for arm in ARMS:
        success = world.law(arm).success
        leaks = arm.evaluated == World.SHUFFLED and world.channel.leak.any()
        if world.bound is not None and arm.evaluated in NO_INFORMATION_WORLDS and not leaks:
            assert np.all(success <= world.bound + 1e-12)
        if world.optimum is not None:
            assert leaks or np.all(success <= world.optimum + 1e-12)


def test_labels_cover_every_regime_and_every_boundary() -> None:
    labels = {world.name: truth(world, TABLE) for world in worlds()}
    regimes = {label.regime for label in labels.values()}
    assert regimes == {"C1", "C2", "C3", "E0", "E1", "E2", "E4", "INVALID", "none"}
    assert {name for name, label in labels.items() if label.creation} == {
        "hash", "hash-untrained", "noisy", "rare-tool", "rule"
    }  # fmt: skip


@pytest.mark.parametrize(("name", "axis"), [("frontier", 0), ("frontier-mixed", 0), ("priced", 0), ("costly", 1)])
def test_boundary_worlds_are_at_the_boundary(name: str, axis: int) -> None:
    world = find(name)
    found = axes(world, world.base.closed, world.base.closed < TABLE.t, TABLE)
    assert found[axis] == pytest.approx(0, abs=1e-7)
    assert all(value > 0.01 for n, value in enumerate(found) if n != axis)


def test_other_boundaries() -> None:
    hard = find("leak-boundary").base.closed < TABLE.t
    p = {arm: find("leak-boundary").law(arm).success[hard].mean() for arm in (PRIMARY, SHUFFLED, CLOSED)}
    assert p[SHUFFLED] - p[CLOSED] == pytest.approx(0.1 * (p[PRIMARY] - p[CLOSED]), abs=1e-9)
    assert find("threshold").base.closed == pytest.approx(TABLE.t)
    reached = find("support-boundary").law(PRIMARY).success[hard]
    assert np.all(reached < TABLE.tau) and reached == pytest.approx(TABLE.tau)


def test_labels_follow_the_thresholds() -> None:
    """A label is computed: where ten attempts already count as reach, nothing of hash is out of reach."""
    assert truth(find("hash"), TABLE).regime == "C2"
    assert not truth(find("hash-8"), TABLE).creation
    assert truth(find("hash-8"), replace(TABLE, k_acc=10)).regime == "C2"


def test_studies_have_the_laws_of_their_world() -> None:
    world, rng = find("noisy"), np.random.default_rng(0)
    drawn = [draw(world, StudySize(200, 16), rng) for _ in range(40)]
    for arm in (PRIMARY, CLOSED, SHUFFLED):
        counts = [study.arm(arm.name) for study in drawn]
        rates = np.mean([(c.successes / c.episodes).mean() for c in counts])
        assert rates == pytest.approx(world.law(arm).success.mean(), abs=0.012)
        spent = np.mean([np.mean(c.spent) for c in counts if c.spent is not None])
        assert spent == pytest.approx(world.law(arm).nats.mean(), abs=0.02)


def test_training_runs_differ() -> None:
    rows = draw(find("hash"), StudySize(300, 64, 3), np.random.default_rng(0)).arm(PRIMARY.name).spent
    assert rows is not None and rows.shape == (3, 300)
    assert len({round(float(v), 6) for v in rows.mean(axis=1)}) == 3


# ---------------------------------------------------------------------------------------------------------- the verdict


@pytest.mark.parametrize("name", ["hash", "hash-untrained", "noisy", "rare-tool", "rule"])
def test_creation_is_found(name: str) -> None:
    found, claims = studies(find(name), 4), truth(find(name), TABLE).claims
    assert all(rung in claims for rung in found)


def beyond(name: str) -> TabularWorld:
    """A boundary world moved to the side of creation."""
    world = find(name)
    channel, live, full = world.channel, world.live, np.ones_like(world.dial)
    match name:
        case "priced":
            return replace(world, live=replace(live, style=live.style - 3))
        case "costly":
            return replace(world, call_tokens=world.call_tokens / 1000)
        case "support-boundary":
            return replace(world, channel=replace(channel, hit=full), optimum=full)
        case "leak-boundary":
            return replace(world, channel=replace(channel, leak=0 * full))
    p0 = full * TABLE.t / 20
    base, trained = (replace(policy, closed=p0, offered=p0) for policy in (world.base, live))
    channel = replace(channel, bits=-np.log2(p0))
    return replace(world, base=base, live=trained, closed=base, distil=base, channel=channel)


@pytest.mark.parametrize("name", ["priced", "costly", "support-boundary", "leak-boundary", "threshold"])
def test_a_boundary_world_fails_at_its_boundary_alone(name: str) -> None:
    """Moved off the boundary it is creation, and read so: nothing else stood in the way."""
    world = beyond(name)
    assert truth(world, TABLE).creation and not truth(find(name), TABLE).creation
    assert all(Rung(rung).creation for rung in studies(world, 3))


@pytest.mark.parametrize("name", [w.name for w in worlds() if not truth(w, TABLE).creation])
def test_nothing_else_is_called_creation(name: str) -> None:
    assert not any(Rung(rung).creation for rung in studies(find(name), 4))


# ---------------------------------------------------------------------------------------- mutations: broken instruments


def change(study: StudyCounts, arm: Arm, **fields: object) -> StudyCounts:
    return replace(study, arms=tuple(replace(c, **fields) if c.arm == arm else c for c in study.arms))  # type: ignore[arg-type]


def test_a_broken_frontier_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frontier for a quarter of p0 asks for too much: closed arms then beat it, which check 1 forbids."""
    assert set(studies(find("priced"), 6)) == {"UNDECIDED"}
    required, partition = frontier.required_nats, dual.log_partition
    monkeypatch.setattr(frontier, "required_nats", lambda p0, p: required(p0 / 4, p))
    monkeypatch.setattr(dual, "log_partition", lambda p0, lam: partition(p0 / 4, lam))
    assert set(studies(find("frontier"), 6)) == set(studies(find("priced"), 6)) == {"INVALID"}


def test_a_swapped_arm_is_caught() -> None:
    removed = Arm(Treatment.RL, World.LIVE, World.CLOSED)

    def swap(study: StudyCounts) -> StudyCounts:
        other = {PRIMARY: removed, removed: PRIMARY}
        return replace(study, arms=tuple(replace(c, arm=other.get(c.arm, c.arm)) for c in study.arms))

    assert set(studies(find("hash"), 6, swap)) == {"INVALID"}
    assert set(studies(find("rule"), 6, swap)) == {"INVALID"}


@pytest.mark.parametrize("name", ["hash", "rule"])
def test_a_leaked_observation_is_caught(name: str) -> None:
    """The donor's world gets this task's observation."""
    world = find(name)
    leaking = replace(world, channel=replace(world.channel, leak=np.ones_like(world.channel.leak)))
    assert set(studies(leaking, 6)) == {"INVALID"}


def test_an_off_by_one_in_pass_at_k_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    quantity = next(q for q in QUANTITIES if q.name == "pass@4")
    world = find("rare-tool")
    true = quantity.true(Population(world, SIZE, TABLE))

    def share() -> dict[str, float]:
        drawn = (draw(world, SIZE, generator(6, "pass", i)) for i in range(150))
        covered = [covers(quantity.printed(Printed(study, TABLE)), true) for study in drawn]
        found: dict[str, float] = rate(covered.count(0), len(covered))
        return found

    right = estimators.pass_at_k
    assert share()["at_most"] >= 0.94
    monkeypatch.setattr(estimators, "pass_at_k", lambda n, c, k: right(n, c, k + 1))
    assert share()["at_most"] < 0.94


def test_a_mis_masked_token_is_caught() -> None:
    """Answer tokens taken for observations: their nats are not spent. Observations for answers: bits are missing."""

    def unspent(study: StudyCounts) -> StudyCounts:
        arm = next(c for c in study.arms if c.arm == Arm(Treatment.RL, World.CLOSED, World.CLOSED))
        return change(study, arm.arm, spent=np.zeros(arm.successes.shape))

    def unseen(study: StudyCounts) -> StudyCounts:
        arm: ArmCounts = study.arm(PRIMARY.name)
        assert arm.bits is not None
        return change(study, PRIMARY, bits=np.where(np.isfinite(arm.bits), 0.5, np.nan))

    assert set(studies(find("bandit-strong"), 6, unspent)) == {"INVALID"}
    assert set(studies(find("hash-8"), 6, unseen)) == {"INVALID"}


# ---------------------------------------------------------------------------------------------------------- the command

TINY = CalibrationProfile("tiny", StudySize(40, 16), 3, 2, 2, 2, (StudySize(20, 16),), 2)


def test_workers_and_interruptions_change_no_number(tmp_path: Path) -> None:
    spec = CalibrationSpec(TINY)
    whole = calibrate(spec, tmp_path / "one", workers=1)
    calibrate(spec, tmp_path / "two", workers=2)
    killed = sorted((tmp_path / "two").glob("trials/*/*/*.json"))[::3]
    for path in killed:
        path.unlink()
    with pytest.raises(CorruptRun, match="--resume"):
        calibrate(spec, tmp_path / "two")
    again = calibrate(spec, tmp_path / "two", workers=1, resume=True)
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}
    assert (tmp_path / "one" / "report.md").read_text().count("|") > 100
    assert (tmp_path / "one" / "calibration.png").stat().st_size > 10_000
    with pytest.raises(CorruptRun, match="another"):
        calibrate(CalibrationSpec(TINY, seed=1), tmp_path / "one", resume=True)


def test_seeds_give_other_studies(tmp_path: Path) -> None:
    spec = json.loads(json.dumps(CalibrationSpec(TINY).to_json()))
    assert CalibrationSpec.from_json(spec) == CalibrationSpec(TINY)
    world = find("noisy")
    first, second = (draw(world, SIZE, generator(s, "calibration")).arm(PRIMARY.name).successes for s in (0, 1))
    assert not np.array_equal(first, second)


def test_unknown_names() -> None:
    with pytest.raises(UnknownName, match="smoke"):
        calibration_profile("smok")
    with pytest.raises(UnknownName, match="hash"):
        find("hahs")


@pytest.mark.services
def test_error_rates_are_as_published(tmp_path: Path) -> None:
    """A third of the default calibration: enough to see a promise broken."""
    profile = CalibrationProfile("services", SIZE, 320, 100, 2000, 10, (SIZE,), 80)
    result = calibrate(CalibrationSpec(profile, seed=1), tmp_path / "c")
    assert result["created_while_violated"] == 0
    for promise in result["promises"]:
        assert promise["kept"] is not False, promise
    assert result["worst_false_creation"]["at_most"] < 0.02
    assert all(row["detected"]["value"] >= 0.9 for row in result["worlds"] if row["creation"])
    assert all(row["coverage"]["value"] >= 0.94 for row in result["coverage"])


@pytest.mark.smoke
def test_the_smoke_calibration_keeps_its_promises(tmp_path: Path) -> None:
    """Through the command, in a process that must not load torch."""
    script = (
        "import sys; from reachlab.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    arguments = ["calibrate", "--profile", "smoke", "--json", "--out", str(tmp_path / "c")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["false_creation"]["hits"] == 0
    assert result["created_while_violated"] == 0
    assert all(promise["kept"] is not False for promise in result["promises"])
    assert {row["truth"] for row in result["worlds"]} == set(result["confusion"])
