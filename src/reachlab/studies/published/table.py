"""The table: comma-separated counts, one row a task, checked cell by cell, and the study that they make.

Not covered: what is read from it (``reading``).
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from reachlab import Arm, FloatArray, IntArray, Treatment, World
from reachlab.errors import BadValue, UnknownName
from reachlab.measure import ArmCounts, StudyCounts, TaskSet
from reachlab.measure.flow import Counts

REQUIRED = ("task", "base_n", "base_c", "arm_n", "arm_c")
OPTIONAL = ("shuffled_n", "shuffled_c", "spent_nats", "cost_ratio", "stratum")
ALL = "all"
"""Names the whole set as hard, and the one stratum of a table without strata."""
BASE = Arm(Treatment.BASE, None, World.CLOSED)
ARM = Arm(Treatment.RL, World.LIVE, World.LIVE)
SHUFFLED = Arm(Treatment.RL, World.LIVE, World.SHUFFLED)
DIGITS = 12
"""Of the largest number of attempts that is read."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """A table of counts, checked. Arrays are (N,); optional columns that it lacks are None."""

    name: str
    """Of the file: what the sentence is about."""
    tasks: tuple[str, ...]
    strata: tuple[str, ...]
    base: Counts
    arm: Counts
    shuffled: Counts | None = None
    spent: FloatArray | None = None
    cost_ratio: FloatArray | None = None
    lacks: tuple[str, ...] = ()
    """Optional columns that are not there."""
    unread: tuple[str, ...] = ()
    """Columns of other names."""


def load(path: Path | str) -> Published:
    """The table in a file of comma-separated values, UTF-8 with or without a byte order mark."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValue(f"encoding of {path.name}", f"byte {error.start} is not UTF-8", "text in UTF-8") from error
    return parse(text, path.name)


def parse(text: str, name: str) -> Published:
    """The table in *text*. Raises UnknownName for a column it should have and BadValue for a cell, with its line."""
    table = _table(text)
    columns = table.columns

    def counts(of: str) -> Counts | None:
        return _counts(table, of) if f"{of}_n" in columns else None

    def numbers(column: str, least: int) -> FloatArray | None:
        return np.array(list(_numbers(table, column, least))) if column in columns else None

    return Published(
        name=name,
        tasks=tuple(_names(table, "task", unique=True)),
        strata=tuple(_names(table, "stratum")) if "stratum" in columns else (ALL,) * len(table.lines),
        base=_counts(table, "base"),
        arm=_counts(table, "arm"),
        shuffled=counts("shuffled"),
        spent=numbers("spent_nats", 0),
        cost_ratio=numbers("cost_ratio", 1),
        lacks=tuple(c for c in OPTIONAL if c not in columns),
        unread=tuple(c for c in columns if c not in REQUIRED + OPTIONAL),
    )


def study_counts(published: Published, hard: Sequence[str] = ()) -> StudyCounts:
    """The same as a study: base closed, arm live, shuffled if given. *hard*: strata named beforehand, or ALL."""
    spent, ratio = (None if v is None else v[None] for v in (published.spent, published.cost_ratio))
    arms = [_arm(BASE, published.base), _arm(ARM, published.arm, spent, ratio)]
    if published.shuffled is not None:
        arms.append(_arm(SHUFFLED, published.shuffled))
    return StudyCounts(
        family=published.name,
        mechanism="the arm",
        test=TaskSet(published.tasks, published.strata),
        arms=tuple(arms),
        primary=ARM.name,
        closed_tokens=1.0,
        hard_strata=_hard(published, hard),
    )


def _arm(arm: Arm, counts: Counts, spent: FloatArray | None = None, tokens: FloatArray | None = None) -> ArmCounts:
    n, c = counts
    return ArmCounts(arm, successes=c[None], episodes=n[None], spent=spent, tokens=tokens)


def _hard(published: Published, named: Sequence[str]) -> tuple[str, ...]:
    strata = tuple(dict.fromkeys(published.strata))
    hint = f"{published.name} has no column stratum." if "stratum" in published.lacks else ""
    for name in named:
        if name not in (*strata, ALL):
            raise UnknownName("stratum", name, dict.fromkeys((*strata, ALL)), hint)
    if ALL in named and ALL in strata and len(strata) > 1:
        raise BadValue("--hard", ALL, f"not both a stratum and the word for all of them: rename stratum {ALL!r}")
    return strata if ALL in named else tuple(s for s in strata if s in named)


# ---------------------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class _Table:
    """Cells by column, and the line of the file that each row ends in."""

    lines: list[int]
    columns: dict[str, list[str]]

    def each(self, column: str, read: Callable[[str], T | None], allowed: str) -> Iterator[T]:
        """The cells of a column as values; *read* gives None for what is not *allowed*."""
        for line, cell in zip(self.lines, self.columns[column], strict=True):
            value = read(cell)
            if value is None:
                raise BadValue(f"line {line}: {column}", cell, allowed)
            yield value


def _table(text: str) -> _Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, [c.strip() for c in row]) for row in reader if any(c.strip() for c in row)]
    except csv.Error as error:
        raise BadValue(f"line {reader.line_num}", str(error), "comma-separated values") from error
    if len(rows) < 2:
        raise BadValue("rows", len(rows), "a header and at least one task")
    header, body = rows[0][1], rows[1:]
    _check_header(header)
    for line, row in body:
        if len(row) != len(header):
            raise BadValue(f"line {line}: cells", len(row), f"{len(header)}, one for each column of the header")
    cells = {name: [row[i] for _, row in body] for i, name in enumerate(header) if name}
    return _Table([line for line, _ in body], cells)


def _check_header(header: list[str]) -> None:
    """Every required column once, optional ones spelled as they are, shuffled counts together."""
    hint = f"The header must have {', '.join(REQUIRED)}."
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        hint += " Cells are separated by commas."
    wanted = [*REQUIRED, *(c for c in OPTIONAL[:2] if set(OPTIONAL[:2]) & set(header))]
    others = [name for name in header if name not in REQUIRED + OPTIONAL]
    for name in wanted:
        if name not in header:
            what = hint if name in REQUIRED else "Both shuffled counts are needed."
            raise UnknownName("column", name, others or header, what)
    lacks = [c for c in OPTIONAL if c not in header]
    for name in header:
        if name and header.count(name) > 1:
            raise BadValue("columns of one name", name, "each column once")
        if name not in REQUIRED + OPTIONAL and difflib.get_close_matches(name.lower(), lacks, cutoff=0.7):
            raise UnknownName("column", name, OPTIONAL, "Rename it, also if it is something else.")


def _whole(cell: str) -> int | None:
    return int(cell) if re.fullmatch(rf"[0-9]{{1,{DIGITS}}}", cell) else None


def _counts(table: _Table, of: str) -> Counts:
    """(N,) attempts, at least 1, and successes, at most as many."""
    few = "a whole number, at least 1; a task that was not attempted is left out"
    n = list(table.each(f"{of}_n", lambda cell: _whole(cell) or None, few))
    c = list(table.each(f"{of}_c", _whole, "a whole number, at least 0"))
    for line, attempts, hits in zip(table.lines, n, c, strict=True):
        if hits > attempts:
            raise BadValue(f"line {line}: {of}_c", hits, f"at most {of}_n, {attempts}")
    arrays: tuple[IntArray, IntArray] = np.array(n, np.int64), np.array(c, np.int64)
    return arrays


def _numbers(table: _Table, column: str, least: int) -> Iterator[float]:
    def read(cell: str) -> float | None:
        try:
            value = float(cell)
        except ValueError:
            return None
        return value if math.isfinite(value) and value >= least else None

    return table.each(column, read, f"a finite number, at least {least}; a column is filled in every row or left out")


def _names(table: _Table, column: str, unique: bool = False) -> Iterator[str]:
    seen: dict[str, int] = {}
    for line, name in zip(table.lines, table.each(column, lambda cell: cell or None, "a name"), strict=True):
        if unique and name in seen:
            raise BadValue(f"line {line}: {column}", name, f"each task once; it stands in line {seen[name]} already")
        seen[name] = line
        yield name
