"""A study made again from the spec in its own record. Command: ``reachlab repeat RUN --out OTHER``.

Not covered: tools whose answers change with time; weights that were changed on disk under the same name.
"""

from __future__ import annotations

from pathlib import Path

from reachlab import Json
from reachlab.studies.jobs import Report
from reachlab.studies.spec import StudySpec
from reachlab.studies.store import read_json
from reachlab.studies.study import run

MAY_DIFFER = ("cost", "command", "version")
"""What two runs of one spec need not have in common."""


def repeat(root: Path, out: Path, *, workers: int | None, resume: bool, report: Report, command: str) -> list[str]:
    """Run *root*'s spec again into *out*; the entries of result.json that came out otherwise.

    Raises CorruptRun if *root* has no readable spec or result.
    """
    before = read_json(root / "result.json")
    spec = StudySpec.from_json(read_json(root / "spec.json"))
    after = run(spec, out, workers=workers, resume=resume, report=report, command=command)
    return unequal(before, after)


def unequal(before: Json, after: Json) -> list[str]:
    """Entries of two results that differ and should not."""
    names = [name for name in {**before, **after} if name not in MAY_DIFFER]
    return [name for name in names if before.get(name) != after.get(name)]
