"""Every mechanism beside the others: the default study on several families, one table and one picture.

Command: ``reachlab bench``. Each study has a folder of its own in the bench's, and goes on where it was stopped.

::

    BENCH/spec.json        what was asked for
    BENCH/<family>/        a run directory (``studies.store``)
    BENCH/bench.json, bench.md, bench.png

Verdicts hold one by one, each at its own error; nothing is claimed of the best of them.
Not covered: transfer between families (C4), sweeps of a dial.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from reachlab import Json, Treatment, World
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.studies.designs import PRIMARY
from reachlab.studies.jobs import Report
from reachlab.studies.reading import arms, estimate
from reachlab.studies.spec import Profile, StudySpec
from reachlab.studies.store import claim, published
from reachlab.studies.study import run

SCHEMA = "reachlab.bench/1"
FAMILIES = ("lexicon", "program")
"""What ``--families all`` means: the families that the tiny base was made for."""
REMOVED = (Treatment.RL, World.LIVE, World.CLOSED)


@dataclass(frozen=True, slots=True)
class BenchSpec:
    """What every study of a bench shares."""

    families: tuple[Spec, ...]
    policy: str
    profile: Profile
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.families]
        if not names or len(set(names)) < len(names):
            raise BadValue("families", names, "at least one, all different")

    def studies(self) -> dict[str, StudySpec]:
        """By folder."""
        return {
            spec.name.rpartition(":")[2]: StudySpec(spec, self.policy, self.profile, self.seed, self.seeds)
            for spec in self.families
        }

    def to_json(self) -> Json:
        return {"schema": SCHEMA, "studies": {name: spec.to_json() for name, spec in self.studies().items()}}


class Column(NamedTuple):
    """One number of the primary arm, or of the study."""

    key: str
    head: str


COLUMNS = (
    Column("success_hard", "live, hard"),
    Column("spent_hard", "spent"),
    Column("surplus_nats", "surplus"),
    Column("bits_gained", "bits gained"),
    Column("bits_imported", "bits imported"),
    Column("interaction", "interaction"),
    Column("removed", "tool removed"),
)


def bench(
    spec: BenchSpec,
    out: Path | str,
    *,
    workers: int | None = None,
    resume: bool = False,
    report: Report = lambda done, total, running: None,
    command: str = "",
) -> Json:
    """Run what is not finished, and read all. Raises CorruptRun for an *out* that holds something else."""
    out = Path(out)
    claim(out, spec.to_json(), resume, "bench")
    studies, rows = spec.studies(), []
    for done, (name, study) in enumerate(studies.items()):
        result = run(study, out / name, workers=workers, resume=(out / name / "spec.json").exists(), command=command,
                     report=_part(report, done, len(studies), name))  # fmt: skip
        rows.append(row(result))
    found: Json = {"schema": SCHEMA, "command": command, "spec": spec.to_json(), "rows": rows}
    _write(out, found)
    return found


def _part(report: Report, before: int, studies: int, name: str) -> Report:
    """The progress of one study as a part of the whole: every study counts the same."""

    def part(done: float, total: float, running: str) -> None:
        share = min(done / total, 1.0) if total else 0.0
        report(before + share, studies, f"{name}: {running or 'analysing and drawing'}")

    return part


def row(result: Json) -> Json:
    """What the table shows of one study: verdict, and each of ``COLUMNS`` as an estimate."""
    primary = next(arm for arm in result["arms"] if arm["primary"] and arm["split"] == "test")
    removed = next((a for a in arms(result, "test") if _training(a) == REMOVED), None)
    verdict = result["verdicts"][0]
    numbers = {c.key: estimate(primary, c.key) for c in COLUMNS if c.key not in ("interaction", "removed")}
    missing = {"value": None, "reason": "this study has no such arm"}
    return {
        "family": result["family"]["name"],
        "mechanism": result["family"]["mechanism"],
        "verdict": verdict["verdict"],
        "sentence": verdict["sentence"],
        "primary": PRIMARY.name,
        **numbers,
        "interaction": result["interaction"],
        "removed": missing if removed is None else removed["success_hard"],
        "hard": result["hard"],
        "faults": result["faults"],
    }


def _training(arm: Json) -> tuple[str, str | None, str]:
    return arm["treatment"], arm["trained"], arm["evaluated"]


def _write(out: Path, found: Json) -> None:
    from reachlab.studies.bench_report import markdown, picture

    with published(out / "bench.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    with published(out / "bench.md") as temporary:
        temporary.write_text(markdown(found), encoding="utf-8")
    picture(found, out / "bench.png")


def families(names: Sequence[str]) -> tuple[Spec, ...]:
    """``all``, or names of the registry."""
    return tuple(Spec(name) for name in (FAMILIES if list(names) == ["all"] else names))
