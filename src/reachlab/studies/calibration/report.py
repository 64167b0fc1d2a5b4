"""A calibration for people: the terminal's tables and ``report.md`` with its picture, beside result.json.

Every number comes from result.json; nothing is computed here. Not covered: the drawing (``picture``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reachlab import Json
from reachlab.studies.store import published

KEPT = {True: "kept", False: "BROKEN", None: "too few studies to tell"}
HEAD = ("world", "truth", "read as", "false, %", "found, %", "undecided, %", "false E, %")
COVERAGE_HEAD = ("interval", "world", "covers, %", "below, %", "above, %", "remark")
POWER_HEAD = ("world", "tasks", "episodes", "runs", "found, %")


def percent(found: Json, digits: int = 1) -> str:
    """``0.1 [0.0, 0.6]``: a rate in percent with its 95 % interval."""
    low, high = (f"{100 * v:.{digits}f}" for v in found["ci"])
    return f"{100 * found['value']:.{digits}f} [{low}, {high}]"


def terminal(result: Json) -> RenderableType:
    """Promises, confusion by world, coverage, power."""
    size = result["spec"]["profile"]["size"]
    title = f"{size['tasks']} test tasks, {size['episodes']} episodes each; rates with 95 % intervals"
    short = [row[:-2] for row in world_rows(result)]  # the rest stands under "read as"
    parts: list[RenderableType] = [_table(title, HEAD[:-2], short), Text()]
    narrow = [row[:-1] for row in coverage_rows(result)]  # the remark is for the page
    parts += [_table("Printed 95 % intervals, where they cover least", COVERAGE_HEAD[:-1], narrow), Text()]
    parts += [_table("Power: creation found", POWER_HEAD, power_rows(result)), Text()]
    parts += [Text(line, style="bold" if kept else "bold red") for line, kept in promise_lines(result)]
    return Group(*parts)


def world_rows(result: Json) -> list[tuple[str, ...]]:
    """One row per world."""
    rows: list[tuple[str, ...]] = []
    for world in result["worlds"]:
        read = ", ".join(f"{rung} {n}" for rung, n in sorted(world["verdicts"].items(), key=lambda item: -item[1]))
        found = percent(world["detected"]) if world["creation"] else "–"
        false = percent(world["false_creation"])
        also = [rung for rung in world["elicited"] if not world["creation"] and rung != world["truth"]]
        true = ", ".join([world["truth"], *(also if world["truth"] != "INVALID" else [])])
        rates = (percent(world["undecided"]), percent(world["misread"]))
        rows.append((world["name"], true, read, false, found, *rates))
    return rows


def coverage_rows(result: Json) -> list[tuple[str, ...]]:
    """One row per interval: the world where it covers least."""
    rows: list[tuple[str, ...]] = []
    names = dict.fromkeys(row["interval"] for row in result["coverage"])
    for name in names:
        cells = [row for row in result["coverage"] if row["interval"] == name]
        least = min(cells, key=lambda row: float(row["coverage"]["value"]))
        found, n = least["coverage"], least["coverage"]["studies"]
        sides = (f"{100 * least[side] / n:.1f}" for side in ("below", "above"))
        rows.append((name, least["world"], percent(found), *sides, least["conservative"]))
    return rows


def power_rows(result: Json) -> list[tuple[str, ...]]:
    """One row per creation world and size."""
    keys = ("tasks", "episodes", "seeds")
    return [(row["world"], *(str(row[key]) for key in keys), percent(row["power"])) for row in result["power"]]


def promise_lines(result: Json) -> Iterable[tuple[str, bool]]:
    """What the calibration is held to, and whether it was kept."""
    for row in result["promises"]:
        worst = f" (worst: {row['worst']}, {row['value']:.4f}, 95 % limit {row['limit']:.4f})" if row["worst"] else ""
        yield f"{row['promise']}: {KEPT[row['kept']]}{worst}", row["kept"] is not False


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", title_style="bold", show_edge=False,
                  pad_edge=False)  # fmt: skip
    for name in head:
        table.add_column(name, no_wrap=name in head[:2] or name.endswith("%"), overflow="fold")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    return table


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def markdown(result: Json) -> str:
    """The whole report."""
    size, profile = result["spec"]["profile"]["size"], result["spec"]["profile"]
    text = [
        f"# Error rates of the verdict: {profile['name']} calibration",
        "",
        f"`{result['command'] or 'reachlab calibrate'}`, version {result['version']}. Studies of {size['tasks']} test "
        f"tasks, {size['episodes']} episodes per task and arm, {size['seeds']} training run. Rates: 95 % intervals.",
        "",
        *(f"- {line}" for line, _ in promise_lines(result)),
        "",
        "![Error rates](calibration.png)",
        "",
        "## Verdicts, by world of known truth",
        "",
        *_markdown_table((*HEAD, "what it is"), _explained(result)),
        "False creation: a C rung where there is none, or a higher one than is true. True regimes follow from p0, the "
        "exact laws and the thresholds; `none` means that no rung is true, and UNDECIDED is the right answer. Several "
        "E rungs can be true of a world. False E: an E rung that is not true.",
        "",
        "## Printed intervals",
        "",
        *_markdown_table(COVERAGE_HEAD, coverage_rows(result)),
        "## Power",
        "",
        *_markdown_table(POWER_HEAD, power_rows(result)),
    ]
    return "\n".join(text)


def _explained(result: Json) -> list[tuple[str, ...]]:
    return [(*row, world["meaning"]) for row, world in zip(world_rows(result), result["worlds"], strict=True)]


def write_report(out: Path, result: Json) -> None:
    """Write calibration.png and report.md beside result.json."""
    from reachlab.studies.calibration import picture  # a terminal report needs no matplotlib

    picture.calibration(result, out / "calibration.png")
    with published(out / "report.md") as temporary:
        temporary.write_text(markdown(result), encoding="utf-8")
