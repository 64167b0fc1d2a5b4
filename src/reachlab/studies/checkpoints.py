"""Checkpoints of an unfinished training: going on exactly, and back to weights that were good.

Two are kept. Whether weights are good only the gradient of the next update shows, so that the newest may be the state
that a training diverged from; the one before it has fewer updates, each of which was measured.
Not covered: what a checkpoint holds of the learner (``Learner.save``).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from reachlab.policies.learner import Learner, updates_of
from reachlab.studies.store import publish_folder, published

LAST, BEFORE = "checkpoint", "checkpoint.before"
PROGRESS = "progress.json"


def resume(work: Path, learner: Learner) -> dict[str, int]:
    """Take up the last checkpoint; drop the metrics of steps that it does not know."""
    progress = {"step": 0, "tokens": 0, "verifier_calls": 0}
    if (last := next(_found(work), None)) is not None:
        progress = json.loads((last / PROGRESS).read_text())
        learner.restore(last)
    metrics = work / "metrics.jsonl"
    lines = metrics.read_text().splitlines()[: progress["step"]] if metrics.exists() else []
    with published(metrics) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))
    return progress


def keep(work: Path, learner: Learner, progress: dict[str, int]) -> None:
    """Keep this state, and beside it the last one with fewer updates."""

    def fill(folder: Path) -> None:
        learner.save(folder)
        (folder / PROGRESS).write_text(json.dumps(progress))

    last = work / LAST
    if last.exists() and updates_of(last) < learner.updates:
        shutil.rmtree(work / BEFORE, ignore_errors=True)
        last.rename(work / BEFORE)
    publish_folder(last, fill)


def last_good(work: Path, diverged: int) -> Path | None:
    """The last checkpoint before the weights that diverged, which are those after so many updates."""
    return next((folder for folder in _found(work) if updates_of(folder) < diverged), None)


def _found(work: Path) -> Iterator[Path]:
    """Newest first. A process killed between two renames leaves the older one alone."""
    return (folder for folder in (work / LAST, work / BEFORE) if (folder / PROGRESS).exists())
