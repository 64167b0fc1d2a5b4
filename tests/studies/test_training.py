"""One training: what it publishes, where it stops, and going on from a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reachlab import Treatment, World
from reachlab.errors import BadValue, PolicyFault
from reachlab.policies.config import AdapterConfig, ImportanceConfig, LearnerConfig, Limits
from reachlab.policies.huggingface import TINY
from reachlab.policies.learner import Diverged, Learner, updates_of
from reachlab.studies import StudySpec, checkpoints, training
from reachlab.studies.context import Context
from reachlab.studies.jobs import one_thread
from reachlab.studies.store import RunStore, read_json, read_lines
from reachlab.studies.trackers import TRACKERS, VARIABLE, TrackedRun

from .conftest import micro_spec

RL = (Treatment.RL, World.LIVE, 0)
SFT = (Treatment.SFT, World.CLOSED, 0)
ADAPTER = AdapterConfig(rank=4, alpha=8.0)


def context_of(root: Path, steps: int = 4, every: int = 1, **settings: Any) -> Context:
    spec = micro_spec()
    sizes = replace(spec.profile, steps=steps, sft_steps=steps, checkpoint_every=every)
    changed = {"learning_rate": 1e-2, "beta": 0.05, **settings}
    fit = LearnerConfig(**{**changed, "importance": None, "beta": 0.0})
    return Context(replace(spec, profile=sizes, rl=LearnerConfig(**changed), fit=fit), RunStore(root))


def train(context: Context, which: tuple[Treatment, World, int] = RL) -> Path:
    with one_thread():
        training.train(context, *which)
    return context.store.policy(*which)


def read(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    kept = training._log

    def power_cut(work: Path, step: int, *rest: Any) -> None:
        if step == at:
            raise KeyboardInterrupt
        kept(work, step, *rest)

    monkeypatch.setattr(training, "_log", power_cut)


@pytest.mark.smoke
@pytest.mark.parametrize("adapter", [None, ADAPTER], ids=["whole", "adapter"])
def test_an_interrupted_training_goes_on_to_the_same_files(
    adapter: AdapterConfig | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if adapter:
        pytest.importorskip("peft", reason="extra lora")
    straight, cut = (context_of(tmp_path / name, 5, every=2, adapter=adapter) for name in ("straight", "cut"))
    once = train(straight)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt(patched, 3)
        train(cut)
    work = training.work_folder(cut, *RL)
    assert updates_of(work / checkpoints.LAST) == 2
    assert read(train(cut)) == read(once)
    assert ("adapter_model.safetensors" in read(once)) == bool(adapter)
    assert ("model.safetensors" in read(once)) == (not adapter)
    assert not work.exists()


@pytest.mark.smoke
def test_a_trained_adapter_is_put_on_the_base_and_not_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="extra lora")
    context = context_of(tmp_path, adapter=ADAPTER)
    train(context)
    train(context, SFT)
    one, two = context.trained(*RL), context.trained(*SFT)
    base = {p.data_ptr() for p in context.model.model.parameters()}
    assert all(base < {p.data_ptr() for p in policy.model.parameters()} for policy in (one, two))
    assert all(p.requires_grad for p in context.model.model.parameters())  # a later training may want all of them
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        said = [policy.model(ids).logits for policy in (context.model, one, two)]
    assert not any(torch.equal(said[i], said[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert one.name == "rl·live"


def test_a_training_past_its_limit_ends_with_the_last_good_weights(tmp_path: Path) -> None:
    """Here the KL rises with every update, and the last checkpoint is of the weights that are found to be too far."""
    slow: dict[str, Any] = {"learning_rate": 1e-3}
    free = read_lines(train(context_of(tmp_path / "free", 6, limits=Limits(max_kl=1e6), **slow), SFT) / "metrics.jsonl")
    kls = [line["kl"] for line in free]
    assert kls == sorted(kls) and kls[3] > 0
    limit = (kls[3] + kls[4]) / 2  # the weights after four updates are the first beyond it
    context = context_of(tmp_path / "held", 6, limits=Limits(max_kl=limit), **slow)
    folder = train(context, SFT)
    status = read_json(folder / "status.json")
    assert not status["signal"] and status["updates"] == 3
    assert "max_kl" in status["reason"] and "at update 4; the weights are those after 3 updates" in status["reason"]
    assert read_lines(folder / "metrics.jsonl") == free[:4]
    short = train(context_of(tmp_path / "short", 3, limits=Limits(max_kl=limit), **slow), SFT)
    assert read(folder)["model.safetensors"] == read(short)["model.safetensors"]


def test_without_a_good_checkpoint_the_base_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(tmp_path, 4, every=100, limits=Limits(max_kl=1e-3))
    folder = train(context, SFT)
    status = read_json(folder / "status.json")
    assert status["updates"] == 0 and "after 0 updates" in status["reason"]
    for a, b in zip(context.trained(*SFT).model.parameters(), context.model.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_loss_that_is_no_number_ends_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Learner.update

    def broken(self: Learner, transcripts: Any, weights: Any) -> Any:
        return kept(self, transcripts, [float("nan")] * len(weights) if self.updates == 2 else weights)

    monkeypatch.setattr(Learner, "update", broken)
    status = read_json(train(context_of(tmp_path), SFT) / "status.json")
    assert not status["signal"] and status["updates"] == 1 and "loss nan" in status["reason"]


def test_memory_that_does_not_suffice_ends_the_study_not_the_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Learner, transcripts: Any, weights: Any) -> Any:
        raise PolicyFault("out of memory")

    monkeypatch.setattr(Learner, "update", full)
    with pytest.raises(PolicyFault, match="memory"):
        train(context_of(tmp_path), SFT)
    assert not (tmp_path / "policies" / "sft-closed-0").exists()
    assert not issubclass(PolicyFault, Diverged)


def test_two_checkpoints_are_kept_and_one_survives_a_cut_between(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    student = context.student()
    learner = Learner(student.model, context.model.model, LearnerConfig())
    progress = {"step": 0, "tokens": 0, "verifier_calls": 0}
    for updates in (1, 2, 2):  # a step may be skipped, for want of anything to learn
        learner.updates, progress["step"] = updates, progress["step"] + 1
        checkpoints.keep(tmp_path, learner, progress)
    last, before = tmp_path / checkpoints.LAST, tmp_path / checkpoints.BEFORE
    assert [updates_of(f) for f in (last, before)] == [2, 1]
    assert checkpoints.last_good(tmp_path, 3) == last and checkpoints.last_good(tmp_path, 2) == before
    assert checkpoints.last_good(tmp_path, 1) is None
    last.rename(tmp_path / "gone")
    assert checkpoints.resume(tmp_path, learner)["step"] == 1 and learner.updates == 1


def test_samples_of_another_engine_are_corrected_and_given_ones_never(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    assert training.settings_of(context, Treatment.RL).importance is None
    vars(context.model)["engine"] = object()
    assert training.settings_of(context, Treatment.RL).importance == ImportanceConfig()
    assert training.settings_of(context, Treatment.SFT).importance is None
    wrong = Context(replace(context.spec, fit=LearnerConfig(importance=ImportanceConfig())), context.store)
    with pytest.raises(BadValue, match="no sampler"):
        training.settings_of(wrong, Treatment.SFT)


def test_ratios_are_in_the_metrics(tmp_path: Path) -> None:
    lines = read_lines(train(context_of(tmp_path, 2, importance=ImportanceConfig("sequence"))) / "metrics.jsonl")
    learned = [line for line in lines if not line["skipped"]]
    assert learned and all(line["ratio"] == pytest.approx(1, abs=1e-4) and line["truncated"] == 0 for line in learned)


def test_a_tracker_hears_what_the_metrics_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    class Fake:
        def log(self, step: int, metrics: Any) -> None:
            told.append((step, metrics["loss"]))
            if step == 2:
                raise ConnectionError("no network")

        def finish(self) -> None:
            told.append("finished")

    def begin(run: TrackedRun) -> Fake:
        told.append(run)
        return Fake()

    monkeypatch.setitem(TRACKERS, "fake", begin)
    monkeypatch.setenv(VARIABLE, "fake")
    with pytest.warns(RuntimeWarning, match="no network"):
        folder = train(context_of(tmp_path), SFT)
    lines = read_lines(folder / "metrics.jsonl")
    assert len(lines) == 4
    run, *heard = told
    assert heard == [(line["step"], line["loss"]) for line in lines[:3]]
    assert (run.name, run.step, run.folder) == ("sft-closed-0", 0, tmp_path / "tracking")


def test_a_student_of_a_bfloat16_base_trains_in_float32(tmp_path: Path) -> None:
    context = context_of(tmp_path, 2)
    context = Context(replace(context.spec, policy=f"hf:{TINY}?dtype=bfloat16"), context.store)
    assert context.student().model.dtype == torch.float32 and context.model.model.dtype == torch.bfloat16
    status = read_json(train(context, SFT) / "status.json")
    assert status["signal"] and status["updates"] == 2


def test_a_spec_with_an_adapter_survives_json() -> None:
    spec = replace(micro_spec(), rl=LearnerConfig(adapter=ADAPTER, limits=Limits(max_kl=9.0)))
    assert StudySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
