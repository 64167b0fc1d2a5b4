"""Every mechanism beside the others: the default study on several families, one table and one picture.

Command: ``reachlab bench``. Each study has a folder of its own in the bench's, and goes on where it was stopped.

::

    BENCH/spec.json        what was asked for
    BENCH/<family>/        a run directory (``studies.store``)
    BENCH/bench.json, bench.md, bench.png

Each verdict has its own error, and the table says how far they add up (Bonferroni, over its families).
Not covered: transfer between families (``studies.transfer``), sweeps of a dial (``studies.boundary``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from reachlab import Arm, Json, Treatment, World
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec
from reachlab.studies.designs import CORE, SEARCH
from reachlab.studies.jobs import Report
from reachlab.studies.reading import arms, estimate
from reachlab.studies.spec import PROFILES, Profile, StudySpec
from reachlab.studies.store import claim, published
from reachlab.studies.study import run_each

SCHEMA = "reachlab.bench/1"


@dataclass(frozen=True, slots=True)
class Entry:
    """A family in the bench: one task in 13 is easy (there the theorem checks are testable), the rest is hard."""

    family: Spec
    design: str = CORE.name
    hard: bool = True
    """Whether some tasks may be found hard. If the base solves some of each stratum, no ``base_repeats`` are needed."""

    def sized(self, profile: Profile) -> Profile:
        return profile if self.hard else replace(profile, base_repeats=1)


ENTRIES = (
    Entry(Spec("lexicon", {"digits": [1, *[4, 5, 6] * 4]})),
    Entry(Spec("arithmetic", {"digits": [1, *[3] * 12]})),
    Entry(Spec("program", {"kinds": ["iterate", "sort"], "lengths": [2, *[6] * 12]})),
    Entry(Spec("lock", {"dials": [1, *[5] * 12]})),
    Entry(Spec("countdown"), hard=False),
    Entry(Spec("maze", {"junctions": [1, 3, 5, 7, 7, 7, 7], "calls": 16})),
    Entry(Spec("rule", {"digits": [2, *[5] * 12]}), "internalise"),
    Entry(Spec("hash", {"bits": [4, *[16] * 12]})),
    Entry(Spec("composition", {"digits": [1, *[5] * 12]})),
)
"""What ``--families all`` means, in the order of the table; a name alone takes its entry from here."""
SIZES = {
    "smoke": PROFILES["smoke"],
    "default": Profile("bench", 96, 80, 16, 20, 8, 12, 60, 60, 64, base_repeats=14, scored=2, chunk_tasks=24),
    "full": PROFILES["default"],
}
"""A bench is many studies, so each is smaller than one alone: enough hard tasks for gains of .6 and more, and base
episodes (96 x 16 x 14) to bring the upper limit of a p0 of nothing far below the accessibility threshold."""
REMOVED = (Treatment.RL, World.LIVE, World.CLOSED)
SAMPLED = Arm(Treatment.BASE, None, World.LIVE)
BESIDE = (Treatment.SEARCH, Treatment.RFT_SEARCH, Treatment.DISTIL)
"""Treatments that a design beyond the default one is there for: shown in a table of their own."""


@dataclass(frozen=True, slots=True)
class BenchSpec:
    """What every study of a bench shares."""

    entries: tuple[Entry, ...]
    policy: str
    profile: Profile
    seed: int = 0
    seeds: int = 3

    def __post_init__(self) -> None:
        names = [entry.family.name for entry in self.entries]
        if not names or len(set(names)) < len(names):
            raise BadValue("families", names, "at least one, all different")

    def studies(self) -> dict[str, StudySpec]:
        """By folder."""
        return {
            entry.family.name.rpartition(":")[2]: StudySpec(
                entry.family, self.policy, entry.sized(self.profile), self.seed, self.seeds, design=entry.design
            )
            for entry in self.entries
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

RIVALS = (
    Column("success", "success"),
    Column("success_hard", "hard"),
    Column("cost_matched_k", "cost-matched k"),
    Column("closed_at_cost_matched_k", "closed at that k"),
)
"""Of the arms ``BESIDE``."""


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
    results = run_each(spec.studies(), out, workers=workers, report=report, command=command)
    rows = [row(result) for result in results]
    found: Json = {"schema": SCHEMA, "command": command, "spec": spec.to_json(), "rows": rows}
    _write(out, found)
    return found


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
        "primary": primary["name"],
        **numbers,
        "interaction": result["interaction"],
        "removed": missing if removed is None else removed["success_hard"],
        "hard": result["hard"],
        "faults": result["faults"],
        "alpha": result["spec"]["thresholds"]["alpha"],
        "beside": [_rival(arm) for arm in arms(result, "test") if _shown(result, arm)],
    }


def _shown(result: Json, arm: Json) -> bool:
    """Arms beside the primary one, and for search what sampling live gives."""
    design = result["spec"]["design"]
    if design == CORE.name:
        return False
    return arm["treatment"] in BESIDE or (design == SEARCH.name and arm["name"] == SAMPLED.name)


def _rival(arm: Json) -> Json:
    return {"arm": arm["name"], **{c.key: estimate(arm, c.key) for c in RIVALS}}


def _training(arm: Json) -> tuple[str, str | None, str]:
    return arm["treatment"], arm["trained"], arm["evaluated"]


def _write(out: Path, found: Json) -> None:
    from reachlab.studies.bench_report import markdown, picture

    with published(out / "bench.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    with published(out / "bench.md") as temporary:
        temporary.write_text(markdown(found), encoding="utf-8")
    picture(found, out / "bench.png")


def entries(names: Sequence[str]) -> tuple[Entry, ...]:
    """``all``, or names of the registry: those of ``ENTRIES`` as they stand there, others with their own dials."""
    if list(names) == ["all"]:
        return ENTRIES
    known = {entry.family.name: entry for entry in ENTRIES}
    return tuple(known.get(name, Entry(Spec(name))) for name in names)


def size(name: str) -> Profile:
    if name not in SIZES:
        raise UnknownName("profile", name, SIZES)
    return SIZES[name]
