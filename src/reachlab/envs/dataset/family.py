"""The family; see the package's docstring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from langchain_core.tools import BaseTool

from reachlab import Budget, Message, Split, Task
from reachlab.envs.dataset.library import Library, Options, opened
from reachlab.envs.dataset.questions import Bad, Question, Report
from reachlab.envs.dials import whole
from reachlab.envs.scripted import plain_specs
from reachlab.envs.verifiers import normalise, verifier
from reachlab.errors import BadValue
from reachlab.seeding import generator

BLOCK = 1_000_000
"""Task seeds that go through the questions in one order; the next block takes another."""
CANDIDATES = 32
"""Donors that are looked at before the first of them is taken as it is."""


@dataclass(frozen=True)
class Coverage:
    """Shares of questions with an accepted answer (normalised, in whole words) in a text."""

    corpus: float
    """... in some document: what any search could find."""
    results: float
    """... in what the script's call returns: what its one search does find."""
    questions: int


@dataclass(frozen=True)
class Dataset:
    """The family; see the package's docstring for files, columns, splits and worlds."""

    path: str
    columns: Mapping[str, str] = field(default_factory=dict)
    corpus: str | None = None
    """A second file of documents to search: its column ``text``, unless ``columns["corpus"]`` says otherwise."""
    verifier: str | Mapping[str, Any] = "normalised"
    affordances: Sequence[str | Mapping[str, Any]] = ()
    """Tools by name or ``module:attribute``, or ``{"name": ..., "options": {...}}``; one that takes ``documents`` gets
    the data set's."""
    top_k: int = 3
    script: Mapping[str, Any] | None = None
    """The scripted solution's call: ``{"name": tool, "arguments": {...}}``, where ``{question}``, ``{answer}`` and the
    file's columns, such as ``{country}``, are filled in; by default the first tool is asked the question."""
    test_share: float = 0.2
    split_names: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "test"})
    bad: Bad = "refuse"
    calls: int = 1
    tokens: int = 256
    observation_tokens: int = 128
    instruction: str = "Reply with the answer only."
    salt: int = 0
    name: str = "dataset"
    version: str = ""
    """By default a fingerprint of the questions: another file is another version."""
    mechanism: str = "retrieval"

    def __post_init__(self) -> None:
        self._check()
        plain: dict[str, Any] = {
            name: json.dumps(getattr(self, name), sort_keys=True, default=list) for name in _STRUCTURED
        }
        plain |= {name: getattr(self, name) for name in _PLAIN}
        held = opened(Options(path=str(self.path), **plain))
        object.__setattr__(self, "path", str(self.path))
        object.__setattr__(self, "_held", held)
        object.__setattr__(self, "version", self.version or held.fingerprint)

    @property
    def report(self) -> Report:
        """What became of the rows of the file."""
        return self._library.report

    @property
    def budget(self) -> Budget:
        return Budget(self.calls + 1, self.tokens, self.calls, self.observation_tokens)

    def size(self, split: Split) -> int:
        """Questions of a split."""
        return len(self._library.questions[split])

    def coverage(self, split: Split = "test", most: int = 1000) -> Coverage:
        """How often the documents hold an answer, over the first *most* questions of a split."""
        held = self._library
        asked = held.questions[split][:most]
        found = {"corpus": 0, "results": 0}
        for question in asked:
            wanted = [f" {normalise(answer)} " for answer in question.answers]
            found["corpus"] += any(answer in held.corpus for answer in wanted)
            found["results"] += any(answer in held.results(question) for answer in wanted)
        return Coverage(found["corpus"] / len(asked), found["results"] / len(asked), len(asked))

    def task(self, split: Split, seed: int) -> Task:
        return self._task(self._question(split, seed), split, seed)

    def donor(self, task: Task) -> Task:
        """Another question, drawn without regard to answers; see the package's docstring."""
        mine = self._question(task.split, task.seed)
        held = self._library
        others = [q for q in held.questions[task.split] if q is not mine]
        alike = [q for q in others if q.stratum == mine.stratum] or others
        order = generator(self.salt, "dataset-donor", task.split, mine.text).permutation(len(alike))[:CANDIDATES]
        own = [normalise(text) for text in {*mine.evidence, *mine.documents}]
        for place in order.tolist():
            told = held.results(alike[place])
            theirs = {normalise(text) for text in (*alike[place].evidence, *alike[place].documents)}
            if not any(text and (text in theirs or f" {text} " in told) for text in own):
                return self._task(alike[place], task.split, task.seed, "~donor")
        return self._task(alike[order[0]], task.split, task.seed, "~donor")

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return self._library.tools

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """One call with the question, then gold."""
        if observations:
            return task.answers[0]
        asked = task.messages[-1].content.removesuffix(f"\n{self.instruction}".rstrip())
        return self._library.opening(asked, task.answers[0])

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        """The answer of a training question, as often as it occurs there."""
        train = self._library.questions["train"]
        return train[int(rng.integers(len(train)))].answers[0]

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    @property
    def _library(self) -> Library:
        held: Library = self.__dict__["_held"]
        return held

    def _question(self, split: Split, seed: int) -> Question:
        if seed < 0:
            raise BadValue("task seed", seed, ">= 0")
        asked = self._library.questions[split]
        block, place = divmod(seed, BLOCK)
        if split == "test" and place >= len(asked):
            raise BadValue("test task", place, f"below {len(asked)}: the test split holds no more questions")
        return asked[_order(self.salt, split, block, len(asked))[place % len(asked)]]

    def _task(self, asked: Question, split: Split, seed: int, mark: str = "") -> Task:
        shown = asked.evidence or asked.documents or (f"The answer is {asked.answers[0]}.",)
        return Task(
            id=f"{self.name}-{split}-{seed}{mark}",
            messages=(Message("user", f"{asked.text}\n{self.instruction}".strip()),),
            answers=asked.answers,
            verifier=verifier(self.verifier),
            evidence="\n".join(shown),
            difficulty=self._difficulty(asked),
            seed=seed,
            split=split,
        )

    def _difficulty(self, asked: Question) -> tuple[tuple[str, int], ...]:
        column = self.columns.get("stratum")
        if column is None:
            return ()
        if asked.stratum.isdecimal():
            return ((column, int(asked.stratum)),)
        return ((f"{column} {asked.stratum}", self._library.strata.index(asked.stratum)),)

    def _check(self) -> None:
        for name in ("top_k", "calls", "tokens", "observation_tokens"):
            if not whole(getattr(self, name)) or getattr(self, name) < 1:
                raise BadValue(name, getattr(self, name), "a whole number, >= 1")
        if not whole(self.salt):
            raise BadValue("salt", self.salt, "a whole number")
        if not 0 < self.test_share < 1:
            raise BadValue("test_share", self.test_share, "between 0 and 1")
        if self.bad not in ("refuse", "drop"):
            raise BadValue("bad", self.bad, "'refuse' or 'drop'")
        if set(self.split_names) != {"train", "test"}:
            raise BadValue("split_names", dict(self.split_names), '{"train": value, "test": value}')
        verifier(self.verifier)
        plain_specs(self.affordances)


@lru_cache(maxsize=64)
def _order(salt: int, split: Split, block: int, count: int) -> tuple[int, ...]:
    return tuple(generator(salt, "dataset-order", split, block).permutation(count).tolist())


_STRUCTURED = ("columns", "verifier", "affordances", "script", "split_names")
_PLAIN = ("corpus", "top_k", "test_share", "bad", "salt")
