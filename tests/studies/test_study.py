"""A whole study in seconds: the same numbers whatever the number of workers, and arms that read as they must."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from reachlab import Arm, Split, Task, Treatment, World
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue, CorruptRun
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.registry import Spec
from reachlab.studies import StudySpec, run
from reachlab.studies.conclude import conclude_again
from reachlab.studies.context import Context, open_run
from reachlab.studies.designs import DEFAULT
from reachlab.studies.sources import closed_transcript, demonstration, sample
from reachlab.studies.store import RunStore, read_episodes
from reachlab.studies.study import prepare, train_one

from .conftest import MICRO, micro_spec, without_costs

pytestmark = pytest.mark.smoke

ESTIMATES = {
    "success", "success_hard", "spent_nats", "log_ratio_nats", "required_nats", "surplus_nats", "free_energy_gap",
    "equivalent_k", "cost_matched_k", "closed_at_cost_matched_k", "break_even_tasks", "bits_gained", "bits_imported",
    "newly_within_reach", "lost",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "a run"
    run(micro_spec(), out, workers=1)
    return out


def test_every_file_of_the_report_is_there(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert {"result.json", "report.md", "tasks.parquet", "metrics.jsonl", "reach.png", "passk.png"} <= names
    assert all((finished / n).stat().st_size > 10_000 for n in ("reach.png", "passk.png"))


def test_the_result_has_the_promised_shape(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    top = "schema version command spec seeds family base decoder verifier budget thresholds hard p0 frontier arms"
    assert set(f"{top} verdicts checks leak interaction faults cost".split()) <= set(result)
    assert [a["name"] for a in result["arms"]] == [a.name for a in DEFAULT.arms]
    for arm in result["arms"]:
        assert set(arm) >= ESTIMATES
        for name in ESTIMATES:
            estimate = arm[name]
            missing = estimate["value"] is None and estimate["reason"]
            assert missing or estimate["kind"] in ("exact", "sampled", "bound")
    assert sum(a["primary"] for a in result["arms"]) == 1
    assert {c["status"] for c in result["checks"]} <= {"holds", "violated", "not testable"}
    assert StudySpec.from_json(result["spec"]) == micro_spec()


def test_where_only_some_episodes_are_scored_all_are_counted(finished: Path, tmp_path: Path) -> None:
    spec = replace(micro_spec(), profile=replace(MICRO, scored=4))
    result, whole = run(spec, tmp_path / "some", workers=1), json.loads((finished / "result.json").read_text())
    assert [arm["success"] for arm in result["arms"]] == [arm["success"] for arm in whole["arms"]]
    (spent,) = [a["spent_nats"]["value"] for a in result["arms"] if a["name"] == "sft·closed"]
    chunks = [RunStore(finished).episodes(Arm(Treatment.SFT, World.CLOSED, World.CLOSED), 0, c) for c in (0, 1)]
    scores = [e.scores for chunk in chunks for i, e in enumerate(read_episodes(chunk)) if i % MICRO.episodes < 4]
    assert len(scores) == 4 * MICRO.test_tasks
    assert spent == pytest.approx(np.mean([score.spent for score in scores if score is not None]))
    with pytest.raises(BadValue, match="1 to 16"):
        replace(micro_spec(), profile=replace(MICRO, scored=17))


def test_tasks_parquet_agrees_with_the_result(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    rows = pq.read_table(finished / "tasks.parquet").to_pylist()
    for arm in result["arms"]:
        mine = [r for r in rows if r["arm"] == arm["name"]]
        assert sum(r["episodes"] for r in mine) == arm["episodes"]
        if arm["success"]["value"] is None:
            assert arm["episodes"] == 0
            continue
        mean = sum(r["successes"] / r["episodes"] for r in mine) / len(mine)
        assert arm["success"]["value"] == pytest.approx(mean)
    assert {r["p0_kind"] for r in rows} == {result["p0"]["kind"]}


def test_two_workers_give_the_same_result(finished: Path, tmp_path: Path) -> None:
    result = run(micro_spec(), tmp_path / "b", workers=2)
    assert without_costs(result) == without_costs(json.loads((finished / "result.json").read_text()))


def test_another_seed_gives_other_tasks_and_numbers(finished: Path, tmp_path: Path) -> None:
    result = run(micro_spec(seed=1, design="core"), tmp_path / "c", workers=1)
    before = json.loads((finished / "result.json").read_text())
    assert result["p0"]["value"] != before["p0"]["value"]


def test_reporting_again_changes_nothing(finished: Path) -> None:
    before = (finished / "result.json").read_bytes()
    conclude_again(finished)
    assert (finished / "result.json").read_bytes() == before


def test_base_arms_spend_nothing_and_trained_arms_something(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    arms = {a["name"]: a for a in result["arms"]}
    assert arms["base·live"]["spent_nats"]["value"] == 0 and arms["base·live"]["spent_nats"]["kind"] == "exact"
    assert arms["sft·closed"]["spent_nats"]["value"] > 0
    assert arms["base·live"]["bits_imported"]["value"] > 1


def test_an_arm_without_reward_reads_no_signal(tmp_path: Path) -> None:
    """Six digits closed-book: no sample of a few is ever right, so rl, rft and distil have nothing to learn from."""
    result = run(micro_spec(digits=[6]), tmp_path / "d", workers=1)
    arms = {a["name"]: a for a in result["arms"]}
    for name in ("rft·closed", "rl·closed"):
        assert arms[name]["success"]["value"] is None
        assert "no signal" in arms[name]["success"]["reason"]
    assert arms["sft·closed"]["success"]["value"] is not None


def test_faults_of_the_engine_are_counted_and_never_scored(base: HuggingFacePolicy, tmp_path: Path) -> None:
    broken = copy.deepcopy(base.model)
    with torch.no_grad():
        broken.get_output_embeddings().weight.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "nan")
    base.tokenizer.save_pretrained(tmp_path / "nan")
    result = run(micro_spec(policy=str(tmp_path / "nan")), tmp_path / "e", workers=1)
    verdict = result["verdicts"][0]["verdict"]
    assert result["faults"] > 0 and verdict == "UNDECIDED"
    assert all(a["success"]["value"] is None for a in result["arms"])


def test_three_training_runs_lift_the_condition(tmp_path: Path) -> None:
    result = run(micro_spec(seeds=3, design="core"), tmp_path / "f", workers=2)
    assert "conditional on one" not in result["verdicts"][0]["sentence"]
    rows = pq.read_table(tmp_path / "f" / "tasks.parquet").to_pylist()
    assert {r["seed"] for r in rows if r["arm"] == "rl·live"} == {0, 1, 2}


def test_a_directory_of_something_else_is_left_alone(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptRun, match="another study"):
        run(micro_spec(seed=5), finished, workers=1, resume=True)
    with pytest.raises(CorruptRun, match="--resume"):
        run(micro_spec(), finished, workers=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CorruptRun, match="not empty"):
        run(micro_spec(), tmp_path, workers=1)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_broken_files_are_set_aside_and_made_again(tmp_path: Path) -> None:
    out = tmp_path / "g"
    before = run(micro_spec(design="core"), out, workers=1)
    chunk = RunStore(out).episodes(Arm(Treatment.BASE, None, World.LIVE), 0, 1)
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.warns(UserWarning, match="made again"):
        after = run(micro_spec(design="core"), out, workers=1, resume=True)
    assert without_costs(after) == without_costs(before)
    assert chunk.with_name(f"{chunk.name}.corrupt").exists() and len(read_episodes(chunk)) == 80
    (out / "spec.json").write_text("{")
    with pytest.raises(CorruptRun, match="spec.json"):
        run(micro_spec(design="core"), out, workers=1, resume=True)


def test_a_chunk_of_another_arm_is_refused(finished: Path) -> None:
    store = RunStore(finished)
    live, oracle = (store.episodes(Arm(Treatment.BASE, None, w), 0, 0) for w in (World.LIVE, World.ORACLE))
    kept = live.read_bytes()
    live.write_bytes(oracle.read_bytes())
    with pytest.raises(CorruptRun, match="other episodes than its name says"):
        conclude_again(finished)
    live.write_bytes(kept)
    (finished / "result.json").write_text("[")
    assert conclude_again(finished)["schema"] == "reachlab.result/1"


def test_a_reused_folder_is_read_anew(tmp_path: Path) -> None:
    out = tmp_path / "run"
    for seed in (0, 1):
        prepare(micro_spec(seed=seed), out, resume=False)
        assert open_run(out).spec.seed == seed
        shutil.rmtree(out)


@pytest.mark.parametrize("world", [World.SILENT, World.IMAGINED, World.SHUFFLED])
def test_nothing_is_demonstrated_where_the_script_cannot_know(world: World, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="closed, live or oracle"):
        train_one(micro_spec(), tmp_path / "t", Treatment.SFT, world, report=lambda *_: None)


def test_a_model_too_short_for_the_episode_is_refused(base: HuggingFacePolicy, tmp_path: Path) -> None:
    short = copy.deepcopy(base.model)
    short.config.max_position_embeddings = 40
    short.save_pretrained(tmp_path / "short")
    base.tokenizer.save_pretrained(tmp_path / "short")
    with pytest.raises(BadValue, match="max_position_embeddings"):
        run(micro_spec(policy=str(tmp_path / "short")), tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()


EASY: dict[str, dict[str, Any]] = {"lexicon": {"digits": [1, 2]}, "program": {"kinds": ["sort"], "lengths": [2]}}


@pytest.mark.parametrize("treatment", [t for t in Treatment if t.trains])
@pytest.mark.parametrize("family", EASY)
def test_every_recipe_takes_two_steps(family: str, treatment: Treatment, tmp_path: Path) -> None:
    spec = micro_spec(family=family, **EASY[family])
    if family == "program" and treatment.searches:
        with pytest.raises(BadValue, match="tools of a search"):
            train_one(spec, tmp_path / "t", treatment, World.LIVE, report=lambda *_: None)
        return
    status = train_one(spec, tmp_path / "t", treatment, World.LIVE, report=lambda *_: None)
    assert status["signal"] and status["updates"] == 2
    lines = [json.loads(x) for x in (Path(status["weights"]) / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == [0, 1]
    if treatment in (Treatment.RL, Treatment.RL_RANDOM):
        assert {"reward", "kl", "entropy", "calls", "length", "stops"} <= set(lines[0])


def test_what_each_treatment_learns_from(base: HuggingFacePolicy, tmp_path: Path) -> None:
    spec = replace(micro_spec(), profile=replace(MICRO, train_tasks=10))
    context = Context(spec, RunStore(tmp_path))
    for task in context.tasks("train"):
        shown = base.template.decode(demonstration(context, task, World.LIVE).ids.tolist())
        assert shown.endswith(f"{task.answers[0]}<|end|>") and "<tool_call>" in shown
        assert "<tool_call>" not in base.template.decode(demonstration(context, task, World.CLOSED).ids.tolist())
    won = [e for e in sample(context, base, context.tasks("train") * 8, World.LIVE, list(range(80))) if e.reward]
    closed = base.template.decode(closed_transcript(context, won[0]).ids.tolist())
    assert closed.startswith("<|user|>") and closed.endswith(f"{won[0].messages[-1].content}<|end|>")
    assert "tool" not in closed


def test_the_family_and_the_spec_survive_json(tmp_path: Path) -> None:
    spec = StudySpec(Spec("lexicon", {"digits": [1, 4], "hops": [2]}), profile=MICRO, seed=3)
    assert StudySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()))
    assert {t.stratum for t in open_run(tmp_path).tasks("test")} == {"digits=1 hops=2", "digits=4 hops=2"}


def test_a_family_that_lists_no_answers_has_no_gold_to_learn_from(tmp_path: Path) -> None:
    """Its sft arms read no signal; everything else is measured."""
    spec = StudySpec(Spec(f"{__name__}:Unlisted", {"digits": [1, 2]}), profile=MICRO)
    result = run(spec, tmp_path / "run", workers=1)
    (arm,) = [a for a in result["arms"] if a["name"] == "sft·closed"]
    assert arm["success"]["reason"] == "no signal: no data: no training task lists an answer"
    assert next(a for a in result["arms"] if a["name"] == "base·live")["success"]["value"] > 0


@dataclass(frozen=True)
class Unlisted(Lexicon):
    """Accepts what it does not list."""

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        task = super()._task(split, seed, donor)
        return replace(task, answers=(), verifier=Told(task.answers[0]))


@dataclass(frozen=True)
class Told:
    hidden: str
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return float(text == self.hidden)
