"""The map: its lines are the definitions seen from another side, closed training stays under them, maps can go on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from reachlab import Arm, Thresholds, Treatment, World
from reachlab.cli import app
from reachlab.cli.boundary import swept
from reachlab.envs.lock import Lock
from reachlab.errors import BadValue, CorruptRun, UnknownName
from reachlab.measure import clopper_pearson, frontier_success, kl
from reachlab.measure.dual import surplus_limits
from reachlab.registry import Spec
from reachlab.studies import StudySpec
from reachlab.studies.boundary import boundary, boundary_spec, theory
from reachlab.studies.boundary.picture import picture
from reachlab.studies.boundary.report import agreement_lines, markdown
from reachlab.studies.boundary.run import arm, located
from reachlab.studies.boundary.spec import SWEEPS, TRAIN_TASKS
from reachlab.studies.evaluation import evaluate_job, p0_job
from reachlab.studies.store import RunStore, read_episodes, read_json
from reachlab.studies.study import train_one

from .conftest import MICRO

DEFAULT = Thresholds()
PLAIN = [10.0**-n for n in range(1, 9)]

# ----------------------------------------------------------------------------------------------------------- theory


@pytest.mark.parametrize("th", [DEFAULT, Thresholds(k_acc=50, tau_attempts=3)])
def test_the_regions_meet_where_pass_at_k_is_a_half(th: Thresholds) -> None:
    assert theory.samples_for(th.tau, 0.5) == pytest.approx(th.tau_attempts)
    assert theory.samples_for(th.t, 0.5) == pytest.approx(th.k_acc)
    assert [str(theory.region(p, th)) for p in (1.0, th.tau, th.tau * 0.999, th.t, th.t * 0.999, 0.0)] == [
        "E1", "E1", "E2", "E2", "C", "C",
    ]  # fmt: skip
    half = theory.shares(np.array([1.0, th.tau, th.t, 0.0]), th)
    assert half == {"E1": 0.5, "E2": 0.25, "C": 0.25}


@pytest.mark.parametrize("p0", PLAIN)
@pytest.mark.parametrize("tau", [0.5, 0.9])
def test_the_lines_are_where_pass_at_k_and_the_frontier_are_tau(p0: float, tau: float) -> None:
    k = theory.samples_for(p0, tau)
    assert -math.expm1(k * math.log1p(-p0)) == pytest.approx(tau)
    assert 1 - (1 - p0) ** math.floor(k) - 1e-7 <= tau <= 1 - (1 - p0) ** math.ceil(k) + 1e-7
    nats = theory.nats_for(p0, tau)
    assert nats == pytest.approx(float(kl(tau, p0)), rel=1e-8)
    assert frontier_success(np.array([p0]), nats) == pytest.approx(tau, rel=1e-6)


def test_where_p0_is_enough_nothing_has_to_be_paid() -> None:
    assert theory.nats_for(0.7, 0.5) == 0 and theory.samples_for(0.5, 0.5) == pytest.approx(1)
    assert math.isinf(theory.samples_for(0.0, 0.5)) and math.isinf(theory.nats_for(0.0, 0.5))


def test_the_fewest_calls_are_those_of_the_locks_optimum() -> None:
    for positions, dials in ((5, 1), (5, 6), (10, 4)):
        locks = {t: Lock(dials=(dials,), positions=(positions,), calls=t) for t in range(1, 17)}
        best = {t: lock.optimum(lock.task("test", 0)) for t, lock in locks.items()}
        least = theory.calls_for(best.__getitem__, 0.5, 16)
        assert least == max(1, math.ceil(positions * 0.5 ** (1 / dials) - 1 - 1e-9))
    assert theory.calls_for(lambda t: 0.0, 0.5, 64) is None


# ------------------------------------------------------------------------------------------------------------- asked


@pytest.mark.parametrize("family", SWEEPS)
def test_every_usual_sweep_is_one_that_its_family_allows(family: str) -> None:
    spec = boundary_spec(family, MICRO)
    assert len(spec.studies()) == len(SWEEPS[family].values) and spec.dial == SWEEPS[family].dial
    bounds = []
    for study in spec.studies().values():
        built = study.family.build("families")
        bounds.append(built.p0_bound(built.task("test", 0)))
        assert study.profile.train_tasks <= TRAIN_TASKS and study.design == "core"
    if None not in bounds:
        assert bounds == sorted(bounds, reverse=True) and bounds[0] > DEFAULT.t > bounds[-1]


def test_what_is_asked_for_is_read_and_bad_input_is_said(tmp_path: Path) -> None:
    assert swept("digits=1,2,4") == swept("digits=[1, 2, 4]") == ("digits", [1, 2, 4])
    assert swept("kinds=sort,reverse") == ("kinds", ["sort", "reverse"]) and swept("digits") == ("digits", [])
    spec = boundary_spec("lexicon", MICRO, "hops", (1, 2), {"digits": [4]})
    assert [dict(s.family.options) for s in spec.studies().values()] == [
        {"digits": [4], "hops": 1}, {"digits": [4], "hops": 2},
    ]  # fmt: skip
    for bad in (("digits", (1, 1)), ("digits", (7,)), ("hops", ())):
        with pytest.raises(BadValue):
            boundary_spec("lexicon", MICRO, *bad)
    with pytest.raises(BadValue, match="swept"):
        boundary_spec("lexicon", MICRO, fixed={"digits": [1]})
    with pytest.raises(UnknownName, match="lexicon"):
        boundary_spec("lexikon", MICRO)
    with pytest.raises(BadValue, match="--dial"):
        swept("=1,2")
    out = tmp_path / "m"
    told = CliRunner().invoke(app, ["boundary", "lexicon", "--dial", "digitz=1", "--out", str(out)])
    assert told.exit_code == 2 and "digits" in told.output and not out.exists()


# --------------------------------------------------------------------------------------------------------- in places


def _row(value: int, p0: float, limit: float, agreement: str, verdict: str, shares: Any = None) -> Any:
    known = {"enumerated": p0, "limit": limit, "agreement": agreement, "detail": ""}
    return {"value": value, "p0": known, "shares": shares, "verdict": verdict, "sentence": "Because.",
            "violated": [], "thresholds": {"k_acc": 1000}}  # fmt: skip


def test_enumerated_p0_counts_once_it_is_seen_to_agree_and_never_after_it_is_contradicted() -> None:
    rows = [_row(4, 1e-4, 2e-4, "not testable", "C2"), _row(1, 0.1, 0.12, "holds", "E1")]
    found = located(rows)["rows"]
    assert [r["value"] for r in found] == [1, 4] and [r["p0"]["value"] for r in found] == [0.1, 1e-4]
    assert all(r["inside"] and r["p0"]["kind"] == "exact" for r in found)
    for contradicted in ([rows[0]], [rows[0], _row(1, 0.1, 0.12, "violated", "INVALID")]):
        found = located(contradicted)["rows"]
        assert [r["p0"]["value"] for r in found if r["value"] == 4] == [2e-4]
        assert {r["p0"]["kind"] for r in found} == {"bound"}


def test_the_page_says_which_verdicts_are_elsewhere_and_why() -> None:
    mixed = {"E1": 0.4, "E2": 0.6, "C": 0.0}
    rows = [_row(1, 0.1, 0.1, "holds", "E2", mixed), _row(4, 1e-4, 1e-4, "holds", "C1")]
    lines = agreement_lines({**located(rows), "spec": {"dial": "digits"}})
    assert lines[0].startswith("1 of 2") and len(lines) == 2
    assert "drawn E1, read E2" in lines[1] and "40 % in E1, 60 % in E2" in lines[1] and "Because." in lines[1]


# ---------------------------------------------------------------------------------------------------------- measured


class _Stop(Exception):
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of two values, stopped in the second study and taken up again."""
    out = tmp_path_factory.mktemp("boundary") / "m"
    spec = boundary_spec("lexicon", MICRO, values=(1, 4))

    def stop(done: float, total: float, running: str) -> None:
        if done > 0.6 * total:
            raise _Stop

    with pytest.raises(_Stop):
        boundary(spec, out, workers=1, report=stop)
    assert not (out / "boundary.json").exists()
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/episodes/*/*.parquet")}
    with pytest.raises(CorruptRun, match="--resume"):
        boundary(spec, out, workers=1)
    boundary(spec, out, workers=1, resume=True, command="reachlab boundary lexicon")
    assert before and all(p.stat().st_mtime_ns == then for p, then in before.items())
    with pytest.raises(CorruptRun, match="another map"):
        boundary(replace(spec, seed=1), out, workers=1, resume=True)
    return out


@pytest.mark.smoke
def test_a_stopped_map_goes_on_and_its_rows_are_what_its_studies_say(made: Path) -> None:
    found = json.loads((made / "boundary.json").read_text())
    assert [row["value"] for row in found["rows"]] == [1, 4] and [r["region"] for r in found["rows"]] == ["E1", "C"]
    for row in found["rows"]:
        result = json.loads((made / f"digits-{row['value']}" / "result.json").read_text())
        assert row["verdict"] == result["verdicts"][0]["verdict"]
        said = {a["name"]: a for a in result["arms"]}
        assert {a["name"] for a in row["arms"]} == set(said)
        for one in row["arms"]:
            assert one["success"] == said[one["name"]]["success"]
            paid = said[one["name"]]["spent_nats"]
            assert one["spent"]["value"] == paid["value"]
        assert row["p0"]["value"] == pytest.approx(10.0 ** -row["value"], rel=0.1)
        assert row["samples"] == pytest.approx(math.log(0.5) / math.log1p(-row["p0"]["value"]))
        assert row["optimum"] == 1 and row["calls"] == 1


@pytest.mark.smoke
def test_the_page_has_a_row_per_value_and_the_picture_is_drawn(made: Path, tmp_path: Path) -> None:
    page = (made / "boundary.md").read_text()
    rows = [line.count("|") for line in page.splitlines() if line.startswith(("| 1 |", "| 4 |"))]
    assert len(rows) == 4 and rows[0] == rows[1] and rows[2] == rows[3], "two tables of one row for each value"
    assert page == markdown(json.loads((made / "boundary.json").read_text()))
    drawn = (made / "boundary.png").read_bytes()
    found = json.loads((made / "boundary.json").read_text())
    found["rows"][0]["calls"] = None  # not the same everywhere: a panel more
    picture(found, tmp_path / "wide.png")
    wide = (tmp_path / "wide.png").read_bytes()
    for row in found["rows"]:  # a base that never solves one value, and then none
        row["p0"]["value"] = 0.0
        picture(found, tmp_path / "none.png")
    assert drawn.startswith(b"\x89PNG") and wide.startswith(b"\x89PNG") and _width(wide) > _width(drawn)


def _width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")


@pytest.mark.smoke
def test_an_arm_without_signal_has_no_number(made: Path) -> None:
    hard = json.loads((made / "boundary.json").read_text())["rows"][1]
    assert arm(hard, "rl", "closed", "closed", "train") is None and hard["climb"] == []
    (silent,) = [a for a in hard["arms"] if a["name"] == "rl·closed (train)"]
    assert all(silent[key]["value"] is None for key in ("success", "spent", "required", "equivalent_k", "cost_k"))
    assert "no signal" in silent["success"]["reason"]


@pytest.mark.smoke
def test_closed_training_climbs_the_frontier_and_stays_on_it(tmp_path: Path) -> None:
    """The tilt made visible: far above the base on tasks it trained on, and never above R(spent)."""
    sizes = replace(MICRO, train_tasks=4, groups=4, group_size=16, steps=40, episodes=64)
    spec = StudySpec(Spec("lexicon", {"digits": [1]}), profile=sizes, design="core")
    seen, base = (Arm(t, w, World.CLOSED, "train") for t, w in ((Treatment.RL, World.CLOSED), (Treatment.BASE, None)))
    assert train_one(spec, tmp_path, Treatment.RL, World.CLOSED, report=lambda *_: None)["signal"]
    p0_job(tmp_path, "train")
    for one in (seen, base):
        evaluate_job(tmp_path, one, 0, 0)
    store = RunStore(tmp_path)
    p0 = np.array(read_json(store.p0("train"))["p0"])
    before, (rates, paid) = _by_task(store, base)[0], _by_task(store, seen)
    limits = [clopper_pearson(round(r.sum() * 64), r.size * 64, 0.001) for r in (before, rates)]  # of these tasks
    assert limits[0].low <= p0.mean() <= limits[0].high < 0.4 < limits[1].low
    assert limits[1].low <= frontier_success(p0, paid.mean())
    assert surplus_limits(p0, rates[None], paid[None], 0.001).low <= 0
    assert frontier_success(p0, paid.mean()) - rates.mean() < 0.3, "closed training should use what it pays for"


def _by_task(store: RunStore, one: Arm) -> tuple[np.ndarray, np.ndarray]:
    """(N,) success and spent nats of an arm."""
    episodes = read_episodes(store.episodes(one, 0, 0))
    tasks = sorted({e.task_seed for e in episodes})
    groups = [[e for e in episodes if e.task_seed == task] for task in tasks]
    spent = [np.mean([e.scores.spent for e in g if e.scores is not None]) for g in groups]
    return np.array([np.mean([e.success for e in g]) for g in groups]), np.array(spent)
