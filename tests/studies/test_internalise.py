"""C3 by design: closed training spends as much as the whole path to distil, and the record is what says so."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reachlab import Arm, Json, Task, Transcript, Treatment, World
from reachlab.envs.core import Interaction
from reachlab.envs.hash import Hash
from reachlab.envs.rule import Rule
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.learner import Learner
from reachlab.studies import StudySpec, matching, training
from reachlab.studies.collect import collect_arm, study_counts
from reachlab.studies.context import Context
from reachlab.studies.designs import CORE, FED, INTERNALISE, RIVALS, Training
from reachlab.studies.jobs import one_thread
from reachlab.studies.markdown import markdown
from reachlab.studies.matching import Bill, owed, unmatched, whole_path
from reachlab.studies.spec import FIT
from reachlab.studies.store import RunStore, publish_folder, read_json, read_lines, write_json
from reachlab.studies.study import lay_out, prepare, run, train_one

from .conftest import micro_spec

TEACHER: Training = (Treatment.RL, World.LIVE)
PAID: dict[Training, Json] = {
    TEACHER: {"tokens": 1000, "verifier_calls": 100, "beta": 0.05, "kl_target": None},
    FED: {"tokens": 600, "verifier_calls": 90, "beta": 0.0, "kl_target": None},
    RIVALS[0]: {"tokens": 1600, "verifier_calls": 400, "beta": 0.0, "kl_target": None},
    RIVALS[1]: {"tokens": 1700, "verifier_calls": 190, "beta": 0.05, "kl_target": None},
}


def spec_of(design: str = "internalise") -> StudySpec:
    return replace(micro_spec(), design=design)


def recorded(root: Path, paid: dict[Training, Json], design: str = "internalise") -> Context:
    context = Context(spec_of(design), RunStore(root))
    for chosen, status in paid.items():
        record(context, chosen, status)
    return context


def record(context: Context, chosen: Training, status: Json) -> None:
    publish_folder(context.store.policy(*chosen, 0), lambda folder: write_json(folder / "status.json", status))


def test_the_whole_path_counts_the_teacher(tmp_path: Path) -> None:
    context = recorded(tmp_path, PAID)
    assert whole_path(context, *FED, 0) == Bill(1600, 190)
    assert [owed(context, *rival, 0) for rival in RIVALS] == [Bill(1600, 190)] * 2
    assert owed(context, *TEACHER, 0) == owed(context, Treatment.RFT, World.LIVE, 0) == Bill()
    assert unmatched(context) == ""


SHORT: dict[str, tuple[Training, Json, str]] = {
    "tokens": (RIVALS[1], {"tokens": 1599}, "run 0 of rl·closed took 1,599 tokens, the path to distil·live 1,600"),
    "verifier calls": (RIVALS[0], {"verifier_calls": 189}, "run 0 of rft·closed took 189 verifier calls"),
    "another beta": (RIVALS[1], {"beta": 0.01}, "run 0 of rl·closed has the KL setting (0.01, None)"),
    "another KL target": (RIVALS[0], {"kl_target": 2.0}, "distil·live (0.0, None)"),
    "nothing live was verified": (FED, {"verifier_calls": -100}, "the path to distil·live 0"),
}


@pytest.mark.parametrize("name", SHORT)
def test_what_does_not_match_is_said(name: str, tmp_path: Path) -> None:
    which, change, said = SHORT[name]
    context = recorded(tmp_path, {**PAID, which: {**PAID[which], **change}})
    assert said in unmatched(context)


def test_a_record_without_verifier_calls_matches_nothing(tmp_path: Path) -> None:
    older = {which: {"tokens": status["tokens"]} for which, status in PAID.items()}
    assert "verifier calls" in unmatched(recorded(tmp_path, older))


def test_closed_rivals_wait_for_distil_in_a_matched_design_only(tmp_path: Path) -> None:
    for design, waits in (("internalise", True), ("default", False)):
        spec = spec_of(design)
        jobs = {job.name: job for job in lay_out(spec, prepare(spec, tmp_path / design, resume=False))}
        assert all(("train distil·live #0" in jobs[f"train {t}·{w} #0"].needs) is waits for t, w in RIVALS)
        assert "train rl·live #0" in jobs["train distil·live #0"].needs


def test_the_design_has_the_core_arms_and_more_to_learn_from(tmp_path: Path) -> None:
    context = Context(spec_of(), RunStore(tmp_path))
    evaluated = [task.id for task in context.tasks("train")]
    assert {Arm(Treatment.DISTIL, World.LIVE, World.CLOSED), *CORE.arms} < set(INTERNALISE.arms)
    assert [task.id for task in context.pool[: len(evaluated)]] == evaluated
    assert len({task.id for task in context.pool}) == len(context.pool) == INTERNALISE.more_tasks * len(evaluated)
    assert [t.id for t in Context(spec_of("default"), RunStore(tmp_path)).pool] == evaluated


# ------------------------------------------------------------------------------------------------------- end to end


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Context, Json]:
    out = tmp_path_factory.mktemp("internalise") / "run"
    result = run(spec_of(), out, workers=1)
    return Context(spec_of(), RunStore(out)), result


@pytest.mark.smoke
def test_closed_training_spends_as_much_and_stops_there(finished: tuple[Context, Json]) -> None:
    context, result = finished
    due = whole_path(context, *FED, 0)
    for rival in RIVALS:
        assert whole_path(context, *rival, 0).covers(due)
    lines = list(read_lines(context.store.policy(Treatment.RL, World.CLOSED, 0) / "metrics.jsonl"))
    assert context.spec.profile.steps < len(lines) < matching.LONGEST * context.spec.profile.steps
    last = Bill(64 * 100, 64)  # an update of 4 groups of 8: what the last one spent is less
    assert not whole_path(context, Treatment.RL, World.CLOSED, 0).covers(due + last)
    assert result["cost"]["unmatched"] == ""
    rows = {(r["treatment"], r["trained"]): r for r in result["cost"]["trainings"]}
    assert rows["distil", "live"]["path_tokens"] == due.tokens > rows["distil", "live"]["tokens"]
    assert rows["rl", "closed"]["beta"] == rows["rl", "live"]["beta"] > 0
    assert "Closed training matches the path to distil" in markdown(result)


@pytest.mark.smoke
def test_the_verdict_is_told_that_it_matches_by_the_record_not_the_design(finished: tuple[Context, Json]) -> None:
    context, _ = finished
    data = [collect_arm(context, arm) for arm in context.spec.designed.arms]
    assert study_counts(context, data).matched
    distil = next(d for d in data if d.arm.treatment is Treatment.DISTIL)
    assert distil.training_tokens.tolist() == [whole_path(context, *FED, 0).tokens]
    status = context.store.policy(Treatment.RFT, World.CLOSED, 0) / "status.json"
    before = read_json(status)
    write_json(status, {**before, "verifier_calls": 1})
    try:
        assert not study_counts(context, data).matched
    finally:
        write_json(status, before)
    plain = Context(replace(context.spec, design="default"), context.store)
    assert not study_counts(plain, data).matched


@pytest.mark.smoke
def test_an_interrupted_rival_goes_on_to_the_same_weights(
    finished: tuple[Context, Json], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops past the updates of the profile, where only the bill says when it is done."""
    whole, _ = finished
    context = Context(whole.spec, RunStore(tmp_path))
    for made in (FED, TEACHER):
        record(context, made, whole.store.status(*made, 0))
    kept = training._log

    def power_cut(work: Path, step: int, *rest: Any) -> None:
        if step == whole.spec.profile.steps + 1:
            raise KeyboardInterrupt
        kept(work, step, *rest)

    monkeypatch.setattr(training, "_log", power_cut)
    with pytest.raises(KeyboardInterrupt), one_thread():
        training.train(context, Treatment.RL, World.CLOSED, 0)
    monkeypatch.setattr(training, "_log", kept)
    with one_thread():
        training.train(context, Treatment.RL, World.CLOSED, 0)
    again, once = (c.store.policy(Treatment.RL, World.CLOSED, 0) for c in (context, whole))
    assert read_json(again / "status.json") == read_json(once / "status.json")
    assert (again / "model.safetensors").read_bytes() == (once / "model.safetensors").read_bytes()
    assert (again / "metrics.jsonl").read_text() == (once / "metrics.jsonl").read_text()


@pytest.mark.smoke
def test_a_rival_that_cannot_spend_as_much_ends_and_does_not_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = {**PAID, TEACHER: {**PAID[TEACHER], "verifier_calls": 10**9}}
    context = recorded(tmp_path, {t: s for t, s in dear.items() if t not in RIVALS})
    for module in (matching, training):
        monkeypatch.setattr(module, "LONGEST", 2)
    monkeypatch.setattr("reachlab.studies.sources.LONGEST", 2)
    for rival in RIVALS:
        training.train(context, *rival, 0)
    assert context.store.status(*RIVALS[1], 0)["verifier_calls"] <= 2 * 2 * 4 * 8
    assert "verifier calls" in unmatched(context)


@pytest.mark.smoke
def test_one_training_of_the_design_brings_what_it_needs(tmp_path: Path) -> None:
    status = train_one(spec_of(), tmp_path / "one", *RIVALS[0], report=lambda *_: None)
    context = Context(spec_of(), RunStore(tmp_path / "one"))
    assert status["verifier_calls"] >= whole_path(context, *FED, 0).verifier_calls > 0


# ---------------------------------------------------------------------------------- what there is to be internalised


def taught(base: HuggingFacePolicy, family: Any, tasks: int, updates: int) -> float:
    """Exact closed success on 100 fresh tasks after SFT of closed transcripts with the answers of training tasks."""
    student = base.with_model(copy.deepcopy(base.model), "student")
    learner = Learner(student.model, base.model, replace(FIT, learning_rate=1e-3))
    shown = [told(base, family, family.task("train", i)) for i in range(tasks)]
    for step in range(updates):
        learner.update([shown[(step * 64 + i) % tasks] for i in range(64)], [1.0] * 64)
    fresh = [family.task("test", i) for i in range(100)]
    prompts = [Interaction(family, task, World.CLOSED).prompt for task in fresh]
    found = student.exact_success(prompts, [t.answers for t in fresh], family.budget.tokens)
    return float(sum(found) / len(fresh))


def told(base: HuggingFacePolicy, family: Any, task: Task) -> Transcript:
    return base.template.transcript(Interaction(family, task, World.CLOSED).prompt, [task.answers[0]], [])


@pytest.mark.services
def test_answers_carry_a_rule_to_fresh_tasks_and_a_hash_nowhere(base: HuggingFacePolicy) -> None:
    assert taught(base, Rule(digits=(4,)), 1000, 200) > 0.5
    assert taught(base, Hash(bits=(8,)), 1000, 100) < 2.0**-8 * 2
