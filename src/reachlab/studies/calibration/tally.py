"""From counted trials to rates with intervals: the confusion table, false creation, power, coverage.

Every rate is a share of independent studies with Clopper-Pearson limits. Not covered: pictures and text (``report``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from reachlab import Estimate, Json, Thresholds
from reachlab.measure import Rung, clopper_pearson
from reachlab.studies.calibration.coverage import QUANTITIES
from reachlab.studies.calibration.draw import StudySize
from reachlab.studies.calibration.spec import CalibrationSpec
from reachlab.studies.calibration.truth import Truth, truth
from reachlab.studies.calibration.worlds import find, worlds

RATE_ALPHA = 0.025
"""One-sided error of the printed limits (95 %)."""
PROMISE_ALPHA = 0.05
"""One-sided error of the limit that a promise is held to: 'at most 1 % with 95 % confidence'."""
MOST_FALSE, LEAST_POWER, LEAST_COVERAGE = 0.01, 0.95, 0.94
Cells = list[tuple[str, StudySize, Json]]


class Trials(StrEnum):
    """What a trial is for."""

    VERDICTS = "verdicts"
    POWER = "power"
    INTERVALS = "intervals"


def rate(hits: int, n: int) -> Json:
    """A share with its 95 % interval and the one-sided 95 % limits that promises are held to."""
    limits, promise = clopper_pearson(hits, n, RATE_ALPHA), clopper_pearson(hits, n, PROMISE_ALPHA)
    found = Estimate(hits / n, (limits.low, limits.high), "sampled").to_json()
    return {**(found or {}), "hits": hits, "studies": n, "at_least": promise.low, "at_most": promise.high}


def tally(spec: CalibrationSpec, trials: Mapping[Trials, Cells]) -> Json:
    """Everything that result.json says about the trials."""
    labels = {world.name: truth(world, spec.thresholds) for world in worlds()}
    rungs = _pool(trials[Trials.VERDICTS])
    rows = [_world(name, labels[name], found) for (name, _), found in rungs.items()]
    null = [row for row in rows if not row["creation"]]
    created = sum(row["false_creation"]["hits"] for row in null)
    worst = max(null, key=lambda row: float(row["false_creation"]["at_most"]))
    power = _power(spec.thresholds, {**rungs, **_pool(trials[Trials.POWER])})
    coverage = _coverage(trials[Trials.INTERVALS])
    cells = [content for kind in (Trials.VERDICTS, Trials.POWER) for _, _, content in trials[kind]]
    overruled = sum(content["created_while_violated"] for content in cells)
    found: Json = {
        "worlds": rows,
        "confusion": _confusion(rows),
        "false_creation": rate(created, sum(row["studies"] for row in null)),
        "worst_false_creation": {"world": worst["name"], **worst["false_creation"]},
        "power": power,
        "coverage": coverage,
        "created_while_violated": overruled,
    }
    return {**found, "promises": _promises(found)}


def _pool(cells: Cells) -> dict[tuple[str, StudySize], Counter[str]]:
    out: dict[tuple[str, StudySize], Counter[str]] = {}
    for name, size, content in cells:
        out.setdefault((name, size), Counter()).update(content["rungs"])
    return out


def _world(name: str, label: Truth, rungs: Counter[str]) -> Json:
    """One row. False creation: a C rung where there is none, or a higher one than true; misread: a false E rung."""
    n = rungs.total()
    claimed = {rung: k for rung, k in rungs.items() if Rung(rung).creation}
    true = sum(k for rung, k in claimed.items() if rung in label.claims)
    undecided = rungs[str(Rung.UNDECIDED)]
    misread = sum(k for rung, k in rungs.items() if rung.startswith("E") and rung not in label.elicited)
    row: Json = {
        "name": name,
        "meaning": find(name).meaning,
        "truth": label.regime,
        "elicited": label.elicited,
        "creation": label.creation,
        "hard": label.hard,
        "studies": n,
        "verdicts": dict(sorted(rungs.items())),
        "false_creation": rate(sum(claimed.values()) - true, n),
        "undecided": rate(undecided, n),
        "misread": rate(misread, n),
    }
    if label.creation:
        row |= {"detected": rate(true, n), "missed": rate(n - sum(claimed.values()) - undecided, n)}
    return row


def _confusion(rows: Iterable[Json]) -> Json:
    """Studies by true regime and verdict."""
    table: dict[str, Counter[str]] = {}
    for row in rows:
        table.setdefault(row["truth"], Counter()).update(row["verdicts"])
    return {regime: dict(sorted(found.items())) for regime, found in sorted(table.items())}


def _power(thresholds: Thresholds, pools: Mapping[tuple[str, StudySize], Counter[str]]) -> list[Json]:
    out = []
    for (name, size), rungs in pools.items():
        label = truth(find(name), thresholds)
        if label.creation:
            hits = sum(k for rung, k in rungs.items() if rung in label.claims)
            shape = {"tasks": size.tasks, "episodes": size.episodes, "seeds": size.seeds}
            out.append({"world": name, **shape, "power": rate(hits, rungs.total())})
    return sorted(out, key=lambda row: (row["world"], row["seeds"], row["episodes"], row["tasks"]))


def _coverage(cells: Cells) -> list[Json]:
    """One row per interval and world in which it was printed."""
    pooled: dict[tuple[str, str], Counter[str]] = {}
    for name, size, content in cells:
        label = name if size.seeds == 1 else f"{name}, {size.seeds} runs"
        for printed, sides in content.items():
            pooled.setdefault((printed, label), Counter()).update(sides)
    rows = []
    for quantity in QUANTITIES:
        for (printed, name), sides in pooled.items():
            n = sides["covered"] + sides["below"] + sides["above"]
            if printed != quantity.name or not n:
                continue
            sided = {"below": sides["below"], "above": sides["above"], "not_printed": sides["not printed"]}
            found = {"coverage": rate(sides["covered"], n), "conservative": quantity.conservative}
            rows.append({"interval": printed, "world": name, **sided, **found})
    return rows


def _promises(found: Json) -> list[Json]:
    """What a calibration is held to, each with the worst case; ``kept`` is None where too few studies were drawn."""
    detected = [row for row in found["worlds"] if row["creation"]]
    weakest = min(detected, key=lambda row: float(row["detected"]["value"]))
    thinnest = min(found["coverage"], key=lambda row: float(row["coverage"]["at_least"]))
    worst, overruled = found["worst_false_creation"], found["created_while_violated"]
    return [
        _promise("false creation in each world at most 1 %", worst["world"], worst, most=MOST_FALSE),
        _promise("creation found where there is some, 95 % at least", weakest["name"], weakest["detected"],
                 least=LEAST_POWER),
        _promise("each printed interval covers 94 % at least", f"{thinnest['interval']}, {thinnest['world']}",
                 thinnest["coverage"], least=LEAST_COVERAGE),
        {"promise": "no creation where a theorem check is violated, by construction", "worst": "",
         "kept": not overruled,
         "value": overruled, "limit": overruled},
    ]  # fmt: skip


def _promise(text: str, worst: str, found: Json, most: float | None = None, least: float | None = None) -> Json:
    """Kept if the one-sided 95 % limit is on the right side, broken if the other one is on the wrong side."""
    if most is not None:
        kept, broken, limit = found["at_most"] <= most, found["at_least"] > most, found["at_most"]
    else:
        kept, broken, limit = found["at_least"] >= least, found["at_most"] < least, found["at_least"]
    return {"promise": text, "worst": worst, "kept": True if kept else False if broken else None,
            "value": found["value"], "limit": limit}  # fmt: skip
