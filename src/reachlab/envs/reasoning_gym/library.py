"""The ``reasoning_gym`` package behind a fence: imported late, its draws fixed by a seed, global generators restored.

Some generators draw from Python's or NumPy's global generator. Both are seeded for the draw and put back after it, so
that items are reproducible and nothing outside notices. Not covered: other threads that draw at that same moment.
"""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from reachlab.errors import BadValue, MissingExtra, UnknownName
from reachlab.seeding import derive

BLOCK, TRIES = 32, 64
"""Tasks that share one data set of the library, and the items each of them may try."""
GOLD_ELSEWHERE = ("example_answer", "possible_answer", "example_correct_answer", "example_solution")
"""Where generators that accept many answers keep one that is right."""


def library() -> Any:
    try:
        found = importlib.import_module("reasoning_gym")
        importlib.import_module("reasoning_gym.factory")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "reasoning_gym":
            raise
        raise MissingExtra("reasoning_gym", "reasoning-gym") from error
    return found


def generators() -> list[str]:
    """Every generator that can be named. ``composite`` is this family's own business."""
    return sorted(set(library().factory.DATASETS) - {"composite"})


@lru_cache(maxsize=256)
def compares(name: str) -> bool:
    """Whether the generator's scorer is the library's plain comparison of texts."""
    plain = importlib.import_module("reasoning_gym.dataset").ProceduralDataset
    return bool(library().factory.DATASETS[name][0].score_answer is plain.score_answer)


def checked(name: str, config: Mapping[str, Any]) -> str:
    """The config as JSON with sorted keys, once the library has accepted it."""
    known = generators()
    if name not in known:
        raise UnknownName("generator", name, known)
    if not isinstance(config, Mapping):
        raise BadValue(f"config of {name!r}", config, "a mapping of dials")
    dials = [f.name for f in fields(library().factory.DATASETS[name][1]) if f.name not in ("seed", "size")]
    for dial in config:
        if dial not in dials:
            raise UnknownName(f"dial of {name!r}", dial, dials)
    try:
        text = json.dumps(dict(config), sort_keys=True, allow_nan=False)
        library().create_dataset(name, seed=0, size=1, **json.loads(text))
    except Exception as error:  # their own checks raise whatever they like
        raise BadValue(f"config of {name!r}", dict(config), f"what the generator accepts ({error!r})") from error
    return text


@dataclass(frozen=True, slots=True)
class Source:
    """One data set of the library: a generator, its config as JSON, and a seed."""

    name: str
    config: str
    seed: int

    def entry(self, index: int) -> dict[str, Any]:
        """Item *index*: the same on every call and in every process."""
        return _entry(self, index)

    def score(self, text: str, entry: dict[str, Any]) -> float:
        with _undisturbed(derive(self.seed, "score")):
            return float(_opened(self).score_answer(text, entry))


@lru_cache(maxsize=128)
def _opened(source: Source) -> Any:
    with _undisturbed(source.seed):
        return library().create_dataset(source.name, seed=source.seed, size=BLOCK * TRIES, **json.loads(source.config))


@lru_cache(maxsize=4096)
def _entry(source: Source, index: int) -> dict[str, Any]:
    dataset = _opened(source)
    with _undisturbed(derive(source.seed, "item", index)):
        found: dict[str, Any] = dataset[index]
    return found


@contextmanager
def _undisturbed(seed: int) -> Iterator[None]:
    before, numpy_before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)
