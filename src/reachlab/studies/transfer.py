"""What a finished run learned on one family, evaluated on another (C4, DESIGN 2).

Command: ``reachlab transfer RUN --family composition``. The policies that the run trained are evaluated on test tasks
of the other family, beside the base, in all worlds, with the same checks and the same table; C4 is C2 or C3 there.
The training split stays the run's: its family is the ``trained_on`` of the new study's spec. Training depends on
nothing else, so the trained weights are taken over; ``reachlab repeat`` of the new run trains them anew.

Not covered: training on several families; going on to train on the second one.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from reachlab import Json
from reachlab.errors import CorruptRun
from reachlab.registry import Spec
from reachlab.studies.context import Context
from reachlab.studies.jobs import Report
from reachlab.studies.spec import StudySpec
from reachlab.studies.store import RunStore, publish_folder, read_json
from reachlab.studies.study import prepare, run, same_version


def transfer(
    source: Path | str,
    family: Spec,
    out: Path | str,
    *,
    workers: int | None = None,
    resume: bool = False,
    report: Report = lambda done, total, running: None,
    command: str = "",
) -> Json:
    """Evaluate the policies of the finished run *source* on *family*. Returns result.json's content.

    Raises BadValue for the family that they were trained on, CorruptRun for a run that is not finished.
    """
    trained, out = RunStore(Path(source)), Path(out)
    spec = elsewhere(trained, family)
    _take_over(trained, prepare(spec, out, resume), spec)
    return run(spec, out, workers=workers, resume=True, report=report, command=command)


def elsewhere(trained: RunStore, family: Spec) -> StudySpec:
    """The spec of the run *trained*, evaluated on *family* instead."""
    if not (trained.root / "spec.json").exists():
        raise CorruptRun(f"{trained.root} is no run directory: it has no spec.json")
    before = StudySpec.from_json(read_json(trained.root / "spec.json"))
    same_version(trained)
    spec = replace(before, family=family, trained_on=before.trained_on or before.family)
    _ = Context(spec, trained).taught  # says so if it is the same family
    missing = [p.name for p in _policies(trained, spec) if not (p / "status.json").exists()]
    if missing:
        raise CorruptRun(f"{trained.root} is not finished: {', '.join(missing)} is not trained; go on with --resume")
    return spec


def _take_over(trained: RunStore, store: RunStore, spec: StudySpec) -> None:
    for old, new in zip(_policies(trained, spec), _policies(store, spec), strict=True):
        if not new.exists():
            _copy(old, new)


def _copy(old: Path, new: Path) -> None:
    def fill(folder: Path) -> None:
        shutil.copytree(old, folder, dirs_exist_ok=True)

    publish_folder(new, fill)


def _policies(store: RunStore, spec: StudySpec) -> list[Path]:
    return [store.policy(*training, i) for training in spec.designed.trainings for i in range(spec.seeds)]
