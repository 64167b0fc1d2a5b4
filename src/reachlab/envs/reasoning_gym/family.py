"""The family; see the package's docstring."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from langchain_core.tools import BaseTool

from reachlab import SUCCESS, Budget, Message, Split, Task
from reachlab.envs.dials import whole
from reachlab.envs.reasoning_gym.library import BLOCK, GOLD_ELSEWHERE, TRIES, Source, checked, library
from reachlab.envs.reasoning_gym.scoring import Scored, scored
from reachlab.envs.scripted import build_tools, check_script, opening_call
from reachlab.errors import BadValue
from reachlab.seeding import derive

Configs = str | Sequence[str] | Mapping[str, Any]
NONSENSE = "I would rather not say."
"""What no scorer may accept."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question of the library with a gold answer that scores 1."""

    source: Source
    index: int
    question: str
    gold: str


@dataclass(frozen=True)
class ReasoningGym:
    """The family; see the package's docstring for reward, splits and what is known."""

    generators: Configs = "chain_sum"
    """A name, several, or names with a config or a list of configs each: every config is a stratum."""
    config: Mapping[str, Any] | None = None
    """The dials of a generator that stands alone."""
    affordances: Sequence[str | Mapping[str, Any]] = ("python",)
    """Tools by name, or ``{"name": ..., "options": {...}}``."""
    threshold: float | None = 1.0
    """The least score that is rewarded, with 1; None: the reward is the score. Scorers give "17" half for "7"."""
    calls: int = 1
    tokens: int = 512
    instruction: str = "Reply with the answer only."
    script: Mapping[str, Any] | None = None
    """The scripted solution's one call: ``{"name": tool, "arguments": {...}}``, see ``envs.scripted``."""
    salt: int = 0
    name: str = "reasoning-gym"
    version: str = ""
    """By default the library's: what a seed draws depends on it."""
    mechanism: str = "computation by code"

    def __post_init__(self) -> None:
        library()  # says what to install, before anything else
        strata = tuple((name, checked(name, config)) for name, config in _strata(self.generators, self.config))
        for name in ("calls", "tokens"):
            if not whole(getattr(self, name)) or getattr(self, name) < 1:
                raise BadValue(name, getattr(self, name), "a whole number, >= 1")
        if not whole(self.salt):
            raise BadValue("salt", self.salt, "a whole number")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise BadValue("threshold", self.threshold, "above 0, at most 1, or None")
        tools = build_tools(self.affordances)
        check_script(tools, self.script)
        object.__setattr__(self, "_built", tools)
        object.__setattr__(self, "_drawn_from", strata)
        object.__setattr__(self, "version", self.version or f"0+{version('reasoning-gym')}")
        for place in range(len(strata)):  # what cannot be used says so now, not in the middle of a study
            self._item("train", place, 0)

    @property
    def budget(self) -> Budget:
        return Budget(turns=self.calls + 1, calls=self.calls, tokens=self.tokens, observation_tokens=64)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        """Another question of the same generator and config, whatever its answer: a donor chosen by its answer
        would tell something about the task's."""
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return self._tools

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """One call, then gold: the format, not a solver (see the package's docstring)."""
        if observations:
            return task.answers[0]
        return opening_call(self._tools, self.script, task.messages[-1].content, task.answers[0])

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        """The answer of a training task of the same stratum."""
        place = task.seed % len(self._sources)
        other = place + len(self._sources) * int(rng.integers(1000))
        return self._item("train", other, 0).gold

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    @property
    def _tools(self) -> tuple[BaseTool, ...]:
        built: tuple[BaseTool, ...] = self.__dict__["_built"]
        return built

    @property
    def _sources(self) -> tuple[tuple[str, str], ...]:
        strata: tuple[tuple[str, str], ...] = self.__dict__["_drawn_from"]
        return strata

    def _item(self, split: Split, seed: int, donor: int) -> Item:
        name, config = self._sources[seed % len(self._sources)]
        return _item(name, config, self.salt, split, seed // len(self._sources), donor)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        if seed < 0:
            raise BadValue("task seed", seed, ">= 0")
        place = seed % len(self._sources)
        item = self._item(split, seed, donor)
        return Task(
            id=f"{self.name}-{item.source.name}-{split}-{seed}" + ("~donor" if donor else ""),
            messages=(Message("user", f"{item.question}\n{self.instruction}".strip()),),
            answers=(item.gold,),
            verifier=Scored(item.source, item.index, item.gold, self.threshold),
            evidence=f"The answer is {item.gold}.",
            difficulty=((item.source.name, place), *_dials(item.source.config)),
            seed=seed,
            split=split,
        )


def _strata(generators: Configs, config: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Every generator with each of its configs, in the order they were named."""
    if isinstance(generators, str):
        return [(generators, config or {})]
    if config is not None:
        raise BadValue("config", config, "none beside several generators: {name: config} or {name: [config, ...]}")
    if not isinstance(generators, Mapping):
        generators = {name: {} for name in generators}
    found = []
    for name, given in generators.items():
        several = given if isinstance(given, list | tuple) else [given]
        found += [(name, one or {}) for one in several]
    if not found:
        raise BadValue("generators", generators, "at least one")
    return found


@lru_cache(maxsize=65536)
def _item(name: str, config: str, salt: int, split: Split, seed: int, donor: int) -> Item:
    """The first item of this task's own stretch whose question hashes to the split and whose gold answer scores 1."""
    source = Source(name, config, derive(salt, "reasoning-gym", name, config, split, seed // BLOCK, donor) % 2**31)
    first = seed % BLOCK * TRIES
    ours = 0
    for index in range(first, first + TRIES):
        entry = source.entry(index)
        question = str(entry["question"])
        if _parity(question) != (split == "test"):
            continue
        ours += 1
        gold = _gold(source, index, entry)
        if gold is not None:
            return Item(source, index, question, gold)
    what = f"a gold answer that scores 1 where nonsense does not; of {ours} items none had it"
    if not ours:
        what = f"questions for both splits; all of {TRIES} belong to the other one (too few different questions)"
    raise BadValue(f"generator {name!r}", config, f"one with {what}")


def _dials(config: str) -> list[tuple[str, int]]:
    return [(name, value) for name, value in json.loads(config).items() if whole(value)]


def _parity(question: str) -> int:
    return hashlib.blake2b(question.encode(), digest_size=1).digest()[0] & 1


def _gold(source: Source, index: int, entry: Mapping[str, Any]) -> str | None:
    """The answer the generator states, if its own scorer gives it 1 and does not accept just anything."""
    if scored(source, index, NONSENSE) >= SUCCESS:
        return None
    meta = entry.get("metadata") or {}
    for stated in (entry.get("answer"), *(meta.get(name) for name in GOLD_ELSEWHERE)):
        if stated is None:
            continue
        text = stated if isinstance(stated, str) else json.dumps(stated)
        if scored(source, index, text) == 1.0:
            return text
    return None
