"""A file made ready to be asked: questions by split, documents, tools. Opened once a process for equal options.

Not covered: tasks and donors (``family``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool

from reachlab import Split
from reachlab.envs.dataset.questions import Columns, Question, Report, fingerprint, questions, texts
from reachlab.envs.dataset.tables import SPLIT_FOLDER, Row, check_columns, column_names, read, value
from reachlab.envs.scripted import build_tools, check_script, opening_call, placeholders
from reachlab.envs.verifiers import normalise, verifier
from reachlab.errors import BadValue, UnknownName
from reachlab.tools.executor import ToolExecutor
from reachlab.tools.hermes import Hermes
from reachlab.tools.prepared import prepare

_WORD = re.compile(r"\w")


@dataclass(frozen=True, eq=False)
class Library:
    """What the options of a ``Dataset`` describe."""

    questions: Mapping[Split, tuple[Question, ...]]
    documents: tuple[str, ...]
    tools: tuple[BaseTool, ...]
    script: Mapping[str, Any] | None
    strata: tuple[str, ...]
    report: Report
    fingerprint: str

    def opening(self, question: str, answer: str) -> str:
        return opening_call(self.tools, self.script, question, answer, self._said.get(question))

    @cached_property
    def _said(self) -> Mapping[str, Mapping[str, Any]]:
        """By question, the columns that the script fills in."""
        return {q.text: dict(q.said) for held in self.questions.values() for q in held if q.said}

    @cached_property
    def replayable(self) -> bool:
        """Whether the script's call may be made at any time: no tool holds state of an episode."""
        return not any(prepare(tool).stateful for tool in self.tools)

    @cached_property
    def corpus(self) -> str:
        """All documents as one normalised text."""
        return f" {' '.join(normalise(document) for document in self.documents)} "

    def results(self, asked: Question) -> str:
        """What the script's call returns for *asked*, normalised; the empty text where tools hold state."""
        return _results(self, asked) if self.replayable else ""


@lru_cache(maxsize=65536)
def _results(library: Library, asked: Question) -> str:
    calls = Hermes().parse(library.opening(asked.text, asked.answers[0]))
    executor = ToolExecutor(library.tools, output_chars=10**7)
    try:
        return f" {normalise(' '.join(result.text for result in executor.execute(calls)))} "
    finally:
        executor.close()


@dataclass(frozen=True)
class Options:
    """What fixes a library, as plain JSON texts and numbers, so that it is a key."""

    path: str
    corpus: str | None
    columns: str
    verifier: str
    affordances: str
    script: str
    top_k: int
    test_share: float
    split_names: str
    bad: Any
    salt: int


def opened(options: Options) -> Library:
    """The library; read again when a file has changed."""
    files = [Path(p).expanduser() for p in (options.path, options.corpus) if p is not None]
    return _opened(options, tuple(f.stat().st_mtime_ns if f.exists() else 0 for f in files))


@lru_cache(maxsize=8)
def _opened(options: Options, changed: tuple[int, ...]) -> Library:
    rows = read(options.path)
    named = _roles(json.loads(options.columns), rows)
    roles: dict[str, Any] = {field.name: named.get(field.name) for field in fields(Columns)}
    columns = Columns(**roles)
    check_columns(rows, {role: column for role, column in named.items() if role != "corpus"})
    judge = verifier(json.loads(options.verifier))
    script = json.loads(options.script)
    kept, report = questions(
        rows, columns, judge, test_share=options.test_share, salt=options.salt,
        split_names=json.loads(options.split_names), bad=options.bad,
        filled=placeholders(script, column_names(rows)),
    )  # fmt: skip
    split: dict[Split, tuple[Question, ...]] = {
        "train": tuple(q for q in kept if q.split == "train"),
        "test": tuple(q for q in kept if q.split == "test"),
    }
    _check_splits(split, rows, columns, report, options.test_share)
    documents = _documents(kept, options.corpus, named.get("corpus", "text"))
    tools = _tools(json.loads(options.affordances), documents, options.top_k)
    first = kept[0]
    check_script(tools, script, {**dict(first.said), "question": first.text, "answer": first.answers[0]})
    strata = tuple(sorted({q.stratum for q in kept}))
    return Library(split, documents, tools, script, strata, report, fingerprint(kept))


def _roles(columns: Mapping[str, str], rows: list[Row]) -> dict[str, str]:
    allowed = [*(field.name for field in fields(Columns)), "corpus"]
    for role, column in columns.items():
        if role not in allowed:
            raise UnknownName("role of a column", role, allowed)
        if not isinstance(column, str):
            raise BadValue(f"{role} column", column, "the name of a column")
    given = {"split": SPLIT_FOLDER} if SPLIT_FOLDER in rows[0].values else {}
    return {"question": "question", "answer": "answer", **given, **columns}


def _check_splits(
    split: Mapping[Split, tuple[Question, ...]], rows: list[Row], columns: Columns, report: Report, share: float
) -> None:
    for name, held in split.items():
        if len(held) >= 2:  # a question needs another one as its donor
            continue
        there = sorted({str(value(row, columns.split)) for row in rows}) if columns.split else []
        values = f"; the split column holds {', '.join(there[:20])}: name them in split_names" if there else ""
        few = "" if there else f"; test_share={share:g} of them, as a hash falls, are test: change it, or add rows"
        raise BadValue(f"{name} questions", len(held), f">= 2 ({report}{values}{few})")


def _documents(kept: list[Question], corpus: str | None, column: str) -> tuple[str, ...]:
    """All documents, each once; rows without a documents column lend their evidence."""
    found = [d for q in kept for d in q.documents] or [e for q in kept for e in q.evidence]
    if corpus is not None:
        rows = read(corpus)
        check_columns(rows, {"corpus": column})
        found += [text for row in rows for text in texts(value(row, column))]
    return tuple(dict.fromkeys(d for d in found if _WORD.search(d)))


def _tools(affordances: Any, documents: tuple[str, ...], top_k: int) -> tuple[BaseTool, ...]:
    if affordances:
        return build_tools(affordances, documents)
    if not documents:
        raise BadValue("affordances", affordances, 'a tool such as "python": there is no document to search')
    return build_tools([{"name": "search", "options": {"k": top_k}}], documents)
