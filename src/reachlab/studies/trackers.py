"""Experiment trackers beside metrics.jsonl: tensorboard, trackio or wandb (extra ``tracking``); none by default.

``REACHLAB_TRACKER=tensorboard reachlab run lexicon`` names one for every training of the run, whichever process it is
in. It is no part of the spec: what watches a run never changes a number of it. Where each writes, and its account, is
its own environment's business (``WANDB_MODE``, ``TRACKIO_DIR``); tensorboard writes to RUN/tracking.

A tracker that fails is let go with one warning: metrics.jsonl holds everything it would have got.
Not covered: artifacts, media, remote control.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from reachlab import Json
from reachlab.errors import MissingExtra, ReachlabError, UnknownName

VARIABLE = "REACHLAB_TRACKER"


class Tracker(Protocol):
    """Hears of every training step."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...
    def finish(self) -> None:
        """No step follows. Called once, whatever became of the training."""
        ...


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker is told of one training."""

    project: str
    name: str
    folder: Path
    """Where it may write."""
    config: Json
    step: int = 0
    """The first step that will be logged: later ones of a run that was killed are done again."""


@dataclass(frozen=True, slots=True)
class _Tensorboard:
    writer: Any

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def finish(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True)
class _Run:
    """trackio's run and wandb's have the same methods."""

    run: Any

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log(dict(metrics), step=step)

    def finish(self) -> None:
        self.run.finish()


def _tensorboard(run: TrackedRun) -> Tracker:
    _package("tensorboard")
    writer = _package("torch.utils.tensorboard").SummaryWriter
    return _Tensorboard(writer(log_dir=str(run.folder / run.name), purge_step=run.step))


def _trackio(run: TrackedRun) -> Tracker:
    return _Run(
        _package("trackio").init(
            project=run.project,
            name=run.name,
            config=run.config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )  # fmt: skip
    )


def _wandb(run: TrackedRun) -> Tracker:
    return _Run(
        _package("wandb").init(
            project=run.project,
            name=run.name,
            id=f"{run.project}-{run.name}",
            config=run.config,
            resume="allow",
            dir=str(run.folder),
        )  # fmt: skip
    )


TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": _tensorboard,
    "trackio": _trackio,
    "wandb": _wandb,
}


class Guarded:
    """A tracker that cannot hurt: its first failure is a warning and its last word. Without one, nothing happens."""

    def __init__(self, tracker: Tracker | None) -> None:
        self._tracker = tracker

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._try(lambda tracker: tracker.log(step, metrics))

    def finish(self) -> None:
        self._try(lambda tracker: tracker.finish())
        self._tracker = None

    def _try(self, call: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            call(self._tracker)
        except Exception as error:  # whatever a third party's client does: the network, the disk, an account
            self._tracker = None
            _let_go(error)


def tracker(run: TrackedRun, name: str | None = None) -> Guarded:
    """The tracker called *name*, or by the environment. ``UnknownName`` or ``MissingExtra`` before anything is run."""
    name = os.environ.get(VARIABLE, "") if name is None else name
    if not name:
        return Guarded(None)
    if name not in TRACKERS:
        raise UnknownName("tracker", name, TRACKERS, f"({VARIABLE})")
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        return Guarded(TRACKERS[name](run))
    except ReachlabError:
        raise
    except Exception as error:  # as above
        _let_go(error)
        return Guarded(None)


def numbers(line: Mapping[str, Any], above: str = "") -> dict[str, float]:
    """The numbers of a line of metrics, nested ones by path: ``stops/answered``."""
    found: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{above}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[f"{above}{name}"] = float(value)
    return found


def _let_go(error: Exception) -> None:
    said = f"the tracker failed ({type(error).__name__}: {error}); training goes on, see metrics.jsonl"
    warnings.warn(said, RuntimeWarning, stacklevel=2)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or name).partition(".")[0], "tracking") from error
