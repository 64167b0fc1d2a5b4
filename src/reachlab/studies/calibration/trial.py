"""One unit of work: a number of studies of one world, drawn, judged by the code that judges real ones, and counted.

Not covered: rates and their intervals (``tally``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from reachlab.measure import judge
from reachlab.seeding import generator
from reachlab.studies.calibration.coverage import QUANTITIES, READ, Population, Printed, covers
from reachlab.studies.calibration.draw import StudySize, draw
from reachlab.studies.calibration.spec import CalibrationSpec
from reachlab.studies.calibration.worlds import find
from reachlab.studies.store import read_json, write_json

SIDES = {-1: "below", 0: "covered", 1: "above", None: "not printed"}


def verdicts(out: str, root: str, name: str, size: StudySize, first: int, count: int) -> None:
    """Judge studies *first* to *first* + *count* of the world *name*; publishes how often each rung was read."""
    spec, world = _spec(root), find(name)
    rungs: Counter[str] = Counter()
    invalid_created = 0
    for index in range(first, first + count):
        found = judge(draw(world, size, _stream(spec, "verdict", name, size, index)), spec.thresholds)
        rungs[str(found.verdict.rung)] += 1
        broken = any(check.status == "violated" for check in found.checks)
        invalid_created += int(broken and found.verdict.rung.creation)
    write_json(Path(out), {"rungs": dict(rungs), "created_while_violated": invalid_created})


def intervals(out: str, root: str, name: str, size: StudySize, first: int, count: int) -> None:
    """Print studies *first* to *first* + *count*; publishes how often each interval covered the truth."""
    spec, world = _spec(root), find(name)
    population = Population(world, size, spec.thresholds)
    true = {q.name: q.true(population) for q in QUANTITIES}
    found: dict[str, Counter[str]] = {q.name: Counter() for q in QUANTITIES}
    for index in range(first, first + count):
        study = draw(world, size, _stream(spec, "interval", name, size, index), READ)
        report = Printed(study, spec.thresholds)
        for q in QUANTITIES:
            found[q.name][SIDES[covers(q.printed(report), true[q.name])]] += 1
    write_json(Path(out), {name: dict(sides) for name, sides in found.items()})


def _stream(spec: CalibrationSpec, kind: str, name: str, size: StudySize, index: int) -> np.random.Generator:
    return generator(spec.seed, "calibration", kind, name, size.tasks, size.episodes, size.seeds, index)


def _spec(root: str) -> CalibrationSpec:
    return CalibrationSpec.from_json(read_json(Path(root) / "spec.json"))

