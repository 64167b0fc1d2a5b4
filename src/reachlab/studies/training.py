"""The sample-learn loop: one training run, from the base to published weights, resumable at step checkpoints.

Command: ``reachlab train lexicon --world live --algorithm rl``.
Not covered: several devices.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reachlab import Episode, Treatment, World
from reachlab.errors import PolicyFault
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.learner import Learner, Update
from reachlab.studies.context import Context, open_run
from reachlab.studies.matching import LONGEST, Bill, bill_of, kl_setting, owed
from reachlab.studies.sources import TrainingBatch, source_of, training_seed
from reachlab.studies.spec import ON_POLICY
from reachlab.studies.store import publish_folder, published, write_json


def train_job(root: Path, treatment: Treatment, world: World, index: int) -> None:
    """Train the index-th run of a treatment and publish it. The job of the study's graph."""
    train(open_run(root), treatment, world, index)


def work_folder(context: Context, treatment: Treatment, world: World, index: int) -> Path:
    """Where an unfinished training keeps its checkpoint and metrics."""
    done = context.store.policy(treatment, world, index)
    return done.with_name(f"{done.name}.unfinished")


def train(context: Context, treatment: Treatment, world: World, index: int) -> None:
    work = work_folder(context, treatment, world, index)
    work.mkdir(parents=True, exist_ok=True)
    student = context.copy_of_base()
    settings = context.spec.rl if treatment in ON_POLICY else context.spec.fit
    learner = Learner(student.model, context.base.model, settings)
    progress = _resume(work, learner)
    source = source_of(context, treatment, world, training_seed(context, index))
    due = owed(context, treatment, world, index)
    trouble = ""
    while not _enough(context, treatment, progress, due):
        step = progress["step"]
        batch = source.batch(step, student)
        try:
            update = learner.update(batch.transcripts, batch.weights) if batch.transcripts else None
        except PolicyFault as error:
            trouble = str(error)
            break
        progress["step"] = step + 1
        paid = bill_of(batch.episodes) + Bill(update.tokens if update else 0)
        progress["tokens"] += paid.tokens
        progress["verifier_calls"] += paid.verifier_calls
        _log(work, step, batch, update)
        if (step + 1) % context.spec.profile.checkpoint_every == 0:
            _checkpoint(work, learner, progress)
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


def _enough(context: Context, treatment: Treatment, progress: dict[str, int], due: Bill) -> bool:
    """Whether training has taken its updates and, where its own episodes are what it spends, spent what is *due*."""
    steps = context.spec.updates(treatment)
    if progress["step"] < steps or treatment not in ON_POLICY:
        return progress["step"] >= steps
    return Bill(progress["tokens"], progress["verifier_calls"]).covers(due) or progress["step"] >= LONGEST * steps


def _resume(work: Path, learner: Learner) -> dict[str, int]:
    """Take up the last checkpoint; drop the metrics of steps that it does not know."""
    checkpoint = work / "checkpoint"
    progress = {"step": 0, "tokens": 0, "verifier_calls": 0}
    if (checkpoint / "progress.json").exists():
        progress = json.loads((checkpoint / "progress.json").read_text())
        learner.restore(checkpoint)
    metrics = work / "metrics.jsonl"
    lines = metrics.read_text().splitlines()[: progress["step"]] if metrics.exists() else []
    with published(metrics) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))
    return progress


def _checkpoint(work: Path, learner: Learner, progress: dict[str, int]) -> None:
    def fill(folder: Path) -> None:
        learner.save(folder)
        (folder / "progress.json").write_text(json.dumps(progress))

    publish_folder(work / "checkpoint", fill)


def _publish(out: Path, work: Path, student: HuggingFacePolicy, status: dict[str, Any]) -> None:
    def fill(folder: Path) -> None:
        student.model.save_pretrained(folder)
        student.tokenizer.save_pretrained(folder)
        shutil.copy(work / "metrics.jsonl", folder / "metrics.jsonl")
        write_json(folder / "status.json", status)

    publish_folder(out, fill)
    shutil.rmtree(work)


def _log(work: Path, step: int, batch: TrainingBatch, update: Update | None) -> None:
    line = {"step": step, "skipped": update is None, **_episode_metrics(batch.episodes), **_update_metrics(update)}
    with (work / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def _update_metrics(update: Update | None) -> dict[str, float]:
    if update is None:
        return {}
    names = ("loss", "kl", "entropy", "grad_norm", "beta", "tokens")
    return {name: getattr(update, name) for name in names}


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
