"""Run a calibration: lay out its chunks of studies, execute them, count, write the result and its pictures.

Command: ``reachlab calibrate``; in Python ``calibrate(CalibrationSpec(calibration_profile("smoke")), "runs/c")``.
Not covered: the numbers themselves (``tally``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import reachlab
from reachlab import Json
from reachlab.studies.calibration.draw import StudySize
from reachlab.studies.calibration.report import write_report
from reachlab.studies.calibration.spec import CalibrationSpec
from reachlab.studies.calibration.tally import Trials, tally
from reachlab.studies.calibration.truth import truth
from reachlab.studies.calibration.worlds import worlds
from reachlab.studies.jobs import Call, Job, Report, default_workers, execute
from reachlab.studies.store import claim, read_json, write_json

SCHEMA = "reachlab.calibration/1"
TRIAL = "reachlab.studies.calibration.trial"
COVERED = (("rare-tool", 1), ("bandit", 1), ("collapse", 1), ("noisy", 3))
"""Worlds whose printed intervals are checked, and training runs: exact and sampled p0; tasks alike and unlike; gains
and losses; one run and several."""
SECONDS = {"verdicts": 0.025, "intervals": 0.015}
"""Rough, for the weights of the progress bar only."""


def calibrate(
    spec: CalibrationSpec,
    out: Path | str,
    *,
    workers: int | None = None,
    resume: bool = False,
    report: Report = lambda done, total, running: None,
    command: str = "",
) -> Json:
    """The whole calibration; result.json's content. ``workers`` never changes a number.

    Raises CorruptRun for an *out* that holds something else.
    """
    out, began = Path(out), time.monotonic()
    claim(out, spec.to_json(), resume, "calibration")
    execute([job for kind in Trials for job in _jobs(spec, out, kind)], workers or default_workers(), report)
    result: Json = {
        "schema": SCHEMA,
        "version": reachlab.__version__,
        "command": command,
        "spec": spec.to_json(),
        **tally(spec, {kind: _read(spec, out, kind) for kind in Trials}),
        "seconds": time.monotonic() - began,
    }
    write_json(out / "result.json", result)
    write_report(out, result)
    return result


def plan_trials(spec: CalibrationSpec, kind: Trials) -> Iterator[tuple[str, StudySize, int]]:
    """(world, size, number of studies) of every cell."""
    profile = spec.profile
    created = [world.name for world in worlds() if truth(world, spec.thresholds).creation]
    match kind:
        case Trials.VERDICTS:
            for world in worlds():
                yield world.name, profile.size, profile.creation if world.name in created else profile.replicates
        case Trials.POWER:
            sizes = [size for size in profile.grid if size != profile.size]
            yield from ((name, size, profile.power) for name in created for size in sizes)
        case Trials.INTERVALS:
            yield from ((name, replace(profile.size, seeds=seeds), profile.coverage) for name, seeds in COVERED)


def _chunks(spec: CalibrationSpec, out: Path, kind: Trials) -> Iterator[tuple[str, StudySize, Path, int, int]]:
    """(world, size, file, first study, studies) of every unit of work."""
    for name, size, studies in plan_trials(spec, kind):
        folder = out / "trials" / kind / f"{name}-{size.tasks}x{size.episodes}x{size.seeds}"
        for first in range(0, studies, spec.profile.chunk):
            yield name, size, folder / f"{first:06d}.json", first, min(spec.profile.chunk, studies - first)


def _jobs(spec: CalibrationSpec, out: Path, kind: Trials) -> Iterator[Job]:
    function = "intervals" if kind is Trials.INTERVALS else "verdicts"
    for name, size, path, first, count in _chunks(spec, out, kind):
        call = Call(f"{TRIAL}:{function}", (str(path), str(out), name, size, first, count))
        seconds = count * SECONDS[function] * size.tasks / spec.profile.size.tasks
        label = f"{kind} {path.parent.name} from {first}"
        yield Job(label, path, call, weight=seconds)


def _read(spec: CalibrationSpec, out: Path, kind: Trials) -> list[tuple[str, StudySize, Json]]:
    return [(name, size, read_json(path)) for name, size, path, _, _ in _chunks(spec, out, kind)]
