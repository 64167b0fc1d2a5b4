"""The generators' own scoring as a verifier, and what must not reach it.

Some scorers evaluate the answer (``eval``, ``sympy.parse_expr``): whoever writes the answer would run code in this
process, or hang it with ``9**9**9``. To those scorers only texts pass that ``harmless`` lets through; every other
text is scored 0. A scorer that crashes on a text scores it 0 too: that its gold answer scores 1 was seen before.

Not covered: a wall-clock limit on scoring (symbolic simplification of a short, harmless expression can take seconds).
"""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from reachlab.envs.reasoning_gym.library import Source, library

LONGEST = 400
"""Characters of a text that is evaluated."""
_EVALUATES = re.compile(r"\b(eval|exec|parse_expr|sympify)\(")
_WORD = re.compile(r"[^\W\d]\w*")
_FUNCTIONS = frozenset(
    ["sin", "cos", "tan", "sec", "csc", "cot", "sinh", "cosh", "tanh", "asin", "acos", "atan"]
    + ["exp", "log", "ln", "sqrt", "pi", "Abs", "abs"]
)
_POWER = re.compile(r"(\*\*|\^)")
_EXPONENT = re.compile(r"\s*(-?\d{1,2}(?!\d)|\(\s*-?\d{1,2}\s*(/\s*\d{1,2}\s*)?\)|[a-z](?!\w))")
_BLOCKS = re.compile(r"__|<<|!|%|\\|;|:|=")


@dataclass(frozen=True, slots=True)
class Scored:
    """``reachlab.Verifier`` of one item. The listed gold answer is one of many texts that may score."""

    source: Source
    index: int
    gold: str
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return score(self.source, self.index, self.gold, text)


def score(source: Source, index: int, gold: str, text: str) -> float:
    if evaluates(source.name) and text != gold and not harmless(text, gold):
        return 0.0
    try:
        found = source.score(text, source.entry(index))
    except Exception:  # what the policy wrote broke the scorer: a wrong answer, not a fault
        return 0.0
    return min(1.0, max(0.0, found)) if found == found else 0.0


@lru_cache(maxsize=256)
def evaluates(name: str) -> bool:
    """Whether the generator's scorer runs what it is given, by its source. Without source: it does."""
    scorer = library().factory.DATASETS[name][0].score_answer
    try:
        return bool(_EVALUATES.search(inspect.getsource(scorer)))
    except OSError:
        return True


def harmless(text: str, gold: str) -> bool:
    """A short expression of numbers, single letters, the gold answer's own words and plain functions, whose powers
    are small and do not nest."""
    if len(text) > LONGEST or _BLOCKS.search(text):
        return False
    known = (_FUNCTIONS | set(_WORD.findall(gold))) - (set(dir(builtins)) - {"abs"})
    if any(len(word) > 1 and word not in known for word in _WORD.findall(text)):
        return False
    if re.search(r"\.\s*[^\W\d]", text):  # attributes
        return False
    if re.search(r"[\[\]'\",]", text) and "*" in text:  # a list or a text repeated a billion times
        return False
    return _small_powers(text)


def _small_powers(text: str) -> bool:
    towers = 0
    for power in _POWER.finditer(text):
        exponent = _EXPONENT.match(text, power.end())
        if exponent is None or _POWER.match(text[exponent.end() :].lstrip()):
            return False
        towers += text[: power.start()].rstrip().endswith(")")
    return towers <= 2
