"""The sample-learn loop: one training run, from the base to published weights, resumable at step checkpoints.

Command: ``reachlab train lexicon --world live --algorithm rl``.

A training that diverges (its loss is no number, or a limit of ``LearnerConfig.limits`` is passed) ends there, without
signal; published are the reason and the last checkpoint from before, which the next gradient had found good.
Not covered: several devices.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from reachlab import Episode, Treatment, World
from reachlab.errors import BadValue
from reachlab.policies.config import ImportanceConfig, LearnerConfig
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.learner import Diverged, Learner, Update, save_weights
from reachlab.studies.checkpoints import keep, last_good, resume
from reachlab.studies.context import Context, open_run
from reachlab.studies.matching import LONGEST, Bill, bill_of, kl_setting, owed
from reachlab.studies.sources import TrainingBatch, source_of, training_seed
from reachlab.studies.spec import ON_POLICY
from reachlab.studies.store import publish_folder, write_json
from reachlab.studies.trackers import TrackedRun, numbers, tracker


def train_job(root: Path, treatment: Treatment, world: World, index: int) -> None:
    """Train the index-th run of a treatment and publish it. The job of the study's graph."""
    context = open_run(root)
    if context.abilities.train:
        _publish_nothing(context.store.policy(treatment, world, index), context.abilities.train)
    else:
        train(context, treatment, world, index)


def work_folder(context: Context, treatment: Treatment, world: World, index: int) -> Path:
    """Where an unfinished training keeps its checkpoint and metrics."""
    done = context.store.policy(treatment, world, index)
    return done.with_name(f"{done.name}.unfinished")


def train(context: Context, treatment: Treatment, world: World, index: int) -> None:
    work = work_folder(context, treatment, world, index)
    work.mkdir(parents=True, exist_ok=True)
    settings = settings_of(context, treatment)
    seed = training_seed(context, index)
    student, learner = _begin(context, settings, seed)
    progress = resume(work, learner)
    source = source_of(context, treatment, world, seed)
    due = owed(context, treatment, world, index)
    watched = tracker(_tracked(context, treatment, world, index, settings, progress["step"]))
    trouble = ""
    try:
        while not _enough(context, treatment, progress, due):
            step = progress["step"]
            batch = source.batch(step, student)
            update = learner.update(batch.transcripts, batch.weights) if batch.transcripts else None
            _count(progress, batch, update)
            _log(work, step, batch, update)
            watched.log(step, numbers(_metrics(batch, update)))
            if progress["step"] % context.spec.profile.checkpoint_every == 0:
                keep(work, learner, progress)
    except Diverged as error:
        good = last_good(work, learner.updates)
        student, learner = _begin(context, settings, seed)
        if good is not None:
            learner.restore(good)
        trouble = f"{error}; the weights are those after {learner.updates} updates"
    finally:
        watched.finish()
    if not trouble and learner.updates == 0:
        trouble = source.nothing
    status = {
        "signal": not trouble,
        "reason": trouble,
        "updates": learner.updates,
        "tokens": progress["tokens"] + source.spent.tokens,
        "verifier_calls": progress["verifier_calls"] + source.spent.verifier_calls,
        **kl_setting(settings),
    }
    _publish(context.store.policy(treatment, world, index), work, student, status)


def _count(progress: dict[str, int], batch: TrainingBatch, update: Update | None) -> None:
    progress["step"] += 1
    paid = bill_of(batch.episodes) + Bill(update.tokens if update else 0)
    progress["tokens"] += paid.tokens
    progress["verifier_calls"] += paid.verifier_calls


def settings_of(context: Context, treatment: Treatment) -> LearnerConfig:
    """The spec's, with importance ratios where another engine samples than the one that learns."""
    if treatment not in ON_POLICY:
        if context.spec.fit.importance is not None:
            raise BadValue("importance of fit", context.spec.fit.importance, "None: given transcripts have no sampler")
        return context.spec.fit
    settings = context.spec.rl
    if settings.importance is None and getattr(context.model, "engine", None) is not None:
        return replace(settings, importance=ImportanceConfig())
    return settings


def _begin(context: Context, settings: LearnerConfig, seed: int) -> tuple[HuggingFacePolicy, Learner]:
    student = context.student(settings.adapter, seed)
    return student, Learner(student.model, context.model.model, settings)


def _tracked(
    context: Context, treatment: Treatment, world: World, index: int, settings: LearnerConfig, step: int
) -> TrackedRun:
    root = context.store.root
    config = {"policy": context.spec.policy, "seed": context.spec.seed, **asdict(settings)}
    return TrackedRun(root.name or "reachlab", f"{treatment}-{world}-{index}", root / "tracking", config, step)


def _enough(context: Context, treatment: Treatment, progress: dict[str, int], due: Bill) -> bool:
    """Whether training has taken its updates and, where its own episodes are what it spends, spent what is *due*."""
    steps = context.spec.updates(treatment)
    if progress["step"] < steps or treatment not in ON_POLICY:
        return progress["step"] >= steps
    return Bill(progress["tokens"], progress["verifier_calls"]).covers(due) or progress["step"] >= LONGEST * steps


def _publish(out: Path, work: Path, student: HuggingFacePolicy, status: dict[str, Any]) -> None:
    def fill(folder: Path) -> None:
        save_weights(student.model, folder)
        student.tokenizer.save_pretrained(folder)
        shutil.copy(work / "metrics.jsonl", folder / "metrics.jsonl")
        write_json(folder / "status.json", status)

    publish_folder(out, fill)
    shutil.rmtree(work)


def _publish_nothing(out: Path, reason: str) -> None:
    """What stands in place of a policy that cannot be trained."""

    def fill(folder: Path) -> None:
        (folder / "metrics.jsonl").touch()
        nothing = {"updates": 0, "tokens": 0, "verifier_calls": 0, "beta": None, "kl_target": None}
        write_json(folder / "status.json", {"signal": False, "reason": reason, **nothing})

    publish_folder(out, fill)


def _log(work: Path, step: int, batch: TrainingBatch, update: Update | None) -> None:
    with (work / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, "skipped": update is None, **_metrics(batch, update)}) + "\n")


def _metrics(batch: TrainingBatch, update: Update | None) -> dict[str, Any]:
    learned = {} if update is None else {name: value for name, value in asdict(update).items() if value is not None}
    return {**_episode_metrics(batch.episodes), **learned}


def _episode_metrics(episodes: Sequence[Episode]) -> dict[str, Any]:
    scored = [e for e in episodes if not e.stop.is_fault]
    if not scored:
        return {"episodes": len(episodes)}
    return {
        "episodes": len(episodes),
        "reward": float(np.mean([e.reward for e in scored])),
        "calls": float(np.mean([e.cost.calls for e in scored])),
        "length": float(np.mean([e.cost.policy for e in scored])),
        "stops": dict(sorted(Counter(str(e.stop) for e in episodes).items())),
    }
