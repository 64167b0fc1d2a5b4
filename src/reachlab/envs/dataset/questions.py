"""Rows become questions: what is missing is refused or dropped by name, what is left is split by its content.

Not covered: reading files (``tables``), searching (``family``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from reachlab import Split, Verifier
from reachlab.envs.dataset.tables import Row, value
from reachlab.envs.verifiers import normalise
from reachlab.errors import BadValue

NAMED = 10
"""Rows that a message lists by number; the rest is counted."""
Bad = Literal["refuse", "drop"]


@dataclass(frozen=True)
class Columns:
    """Where things stand. A dotted name reaches into nested records: ``answers.text``."""

    question: str
    answer: str
    evidence: str | None
    documents: str | None
    stratum: str | None
    group: str | None
    split: str | None


@dataclass(frozen=True)
class Question:
    """One row that can be asked."""

    place: str
    text: str
    answers: tuple[str, ...]
    evidence: tuple[str, ...]
    documents: tuple[str, ...]
    stratum: str
    split: Split
    said: tuple[tuple[str, str | int | float], ...] = ()
    """The columns that the script fills in."""


@dataclass(frozen=True)
class Report:
    """What became of the rows of a file."""

    rows: int
    kept: int
    problems: Mapping[str, tuple[str, ...]]
    """Why rows were left out, and which."""

    def __str__(self) -> str:
        parts = [f"{len(places)} {why} ({_listed(places)})" for why, places in self.problems.items()]
        return f"{self.kept} of {self.rows} rows kept" + ("; " + "; ".join(parts) if parts else "")


def questions(
    rows: Sequence[Row],
    columns: Columns,
    verifier: Verifier,
    *,
    test_share: float,
    salt: int,
    split_names: Mapping[Split, str],
    bad: Bad,
    filled: Sequence[str] = (),
) -> tuple[list[Question], Report]:
    """The rows that can be asked, and what became of the others. BadValue for those unless *bad* is ``drop``.

    *filled*: columns that the script fills in.
    """
    problems: dict[str, list[str]] = {}
    kept: dict[str, Question] = {}
    for row in rows:
        why, made = _question(row, columns, verifier, test_share, salt, split_names)
        if made is not None:
            said = {column: _plain(value(row, column)) for column in filled}
            missing = next((column for column, held in said.items() if held is None), None)
            why = _duplicate(made, kept) if missing is None else f"without a plain {missing!r}, which the script needs"
            made = replace(made, said=tuple((name, held) for name, held in said.items() if held is not None))
        if why:
            problems.setdefault(why, []).append(row.place)
        elif made is not None:
            kept[_same(made.text)] = made
    report = Report(len(rows), len(kept), {why: tuple(places) for why, places in problems.items()})
    wrong = [why for why in problems if not why.startswith(OTHER_SPLIT)]
    if wrong and bad == "refuse":
        raise BadValue("rows", str(report), 'rows that can all be asked; bad="drop" leaves the others out')
    if wrong:
        logging.getLogger("reachlab").warning("%s", report)
    return list(kept.values()), report


OTHER_SPLIT = "of another split"


def _question(
    row: Row, columns: Columns, verifier: Verifier, share: float, salt: int, split_names: Mapping[Split, str]
) -> tuple[str, Question | None]:
    """Why the row cannot be asked, or the question."""
    asked = value(row, columns.question)
    if not isinstance(asked, str) or not asked.strip():
        return "without a question", None
    answers = tuple(dict.fromkeys(a.strip() for a in texts(value(row, columns.answer)) if a.strip()))
    if not answers:
        return "without an answer", None
    if verifier(answers[0], answers) < 1.0:
        return f"whose own answer {type(verifier).__name__} does not accept", None
    if verifier("", answers) > 0.0:
        return f"for which {type(verifier).__name__} accepts the empty text", None
    split = _split(row, columns, asked, share, salt, split_names)
    if split is None:
        return OTHER_SPLIT, None
    said = {name: _column(row, getattr(columns, name)) for name in ("evidence", "documents", "stratum")}
    return "", Question(row.place, asked.strip(), answers, said["evidence"], said["documents"],
                        " ".join(said["stratum"]), split)  # fmt: skip


def _duplicate(made: Question, kept: Mapping[str, Question]) -> str:
    """Rows whose question stood before. The first is kept: a later one with other answers contradicts it."""
    first = kept.get(_same(made.text))
    if first is None:
        return ""
    if first.split != made.split:
        return "whose question stands in the other split"
    same = {normalise(a) for a in first.answers} & {normalise(a) for a in made.answers}
    return "that repeat a question" if same else "that repeat a question with other answers"


def _split(
    row: Row, columns: Columns, asked: str, share: float, salt: int, split_names: Mapping[Split, str]
) -> Split | None:
    if columns.split is not None:
        stated = str(value(row, columns.split))
        return next((split for split, name in split_names.items() if name == stated), None)
    key = asked if columns.group is None else json.dumps(value(row, columns.group), default=str)
    return "test" if _unit(salt, _same(key)) < share else "train"


def _same(question: str) -> str:
    """Equal for questions that differ in capitals, blanks or the mark at the end only. Not as answers are compared:
    without its signs, ``5 - 3`` would be ``5 + 3``."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split()).rstrip(" .?!:") or question


def _unit(salt: int, text: str) -> float:
    """A number in [0, 1) that the content fixes: rows keep their split when the file grows or is sorted anew."""
    digest = hashlib.blake2b(f"{salt}\x1f{text}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64


def _column(row: Row, column: str | None) -> tuple[str, ...]:
    return () if column is None else tuple(t.strip() for t in texts(value(row, column)) if t.strip())


def _plain(held: Any) -> str | int | float | None:
    """A text or a number as a tool takes it; whole numbers as in ``texts``. None for what is neither."""
    if isinstance(held, float):
        return int(held) if held.is_integer() and abs(held) < 2**53 else held if held == held else None
    return (held.strip() or None) if isinstance(held, str) else held if isinstance(held, int) else None


def texts(held: Any) -> list[str]:
    """A text, a number, a list of them, or a record with ``text`` (as SQuAD keeps answers), as texts.

    Whole numbers that a column holds as floats, since others are missing or fractions, are written as whole numbers.
    """
    if held is None or isinstance(held, bytes) or (isinstance(held, float) and held != held):
        return []
    if isinstance(held, float) and held.is_integer() and abs(held) < 2**53:
        return [str(int(held))]
    if isinstance(held, Mapping):
        return texts(held.get("text"))
    if isinstance(held, list | tuple):
        return [text for inner in held for text in texts(inner)]
    return [str(held)]


def fingerprint(found: Iterable[Question]) -> str:
    """What the questions are, in twelve hexadecimal digits: another file is another version of the family."""
    digest = hashlib.blake2b(digest_size=6)
    for question in found:
        parts = [question.text, question.answers, question.evidence, question.documents, question.stratum]
        digest.update(json.dumps([*parts, question.split, *question.said]).encode())
    return digest.hexdigest()


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"row{'s' if len(places) > 1 else ''} {', '.join(places[:NAMED])}{more}"
