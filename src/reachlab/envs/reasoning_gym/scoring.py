"""The generators' own scoring as a verifier, and what must not reach it.

Scorers were written for honest answers. Some evaluate them (``eval``, ``sympy.parse_expr``): whoever writes the answer
would run code, so only texts pass that ``harmless`` lets through. Some never return on an answer that is made for it
(a Fraction of ``1e999999999``, the derivative of ``(x+1)**99*(x+2)**99``), or bring the interpreter down: whatever is
more than a comparison of texts runs in another process, which is ended after ``SECONDS``. Some take "nan" for every
number. A text that a scorer refuses, crashes on or takes too long for scores 0: that gold scores 1 was seen before, and
is seen again before a limit is held against the text.

Not covered: memory; a scorer reads the host's files as this process does.
"""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from langchain_core.tools import BaseTool, ToolException

from reachlab.envs.reasoning_gym.library import Source, compares, library
from reachlab.errors import ToolFault
from reachlab.tools.outside.isolated import isolated

SECONDS = 10.0
"""For one text: scorers take milliseconds. A process that is new draws the item first, which may take two seconds."""
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
_NOT_FINITE = re.compile(r"(?<![a-z])(nan|inf(inity)?)(?![a-ik-z])", re.IGNORECASE)  # a j makes it complex


@dataclass(frozen=True, slots=True)
class Scored:
    """``reachlab.Verifier`` of one item. The listed gold answer is one of many texts that may score."""

    source: Source
    index: int
    gold: str
    threshold: float | None
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        paid = score(self.source, self.index, self.gold, text)
        return paid if self.threshold is None else float(paid >= self.threshold)


def score(source: Source, index: int, gold: str, text: str) -> float:
    """The score of what a policy wrote. Never raises for what it is; ToolFault if gold cannot be scored either."""
    if text == gold or compares(source.name):
        return scored(source, index, text)
    if _NOT_FINITE.search(text) and not _NOT_FINITE.search(gold):
        return 0.0
    if evaluates(source.name) and not harmless(text, gold):
        return 0.0
    try:
        return _outside(source, index, text)
    except (ToolException, ToolFault):  # the text's doing, unless gold fares no better
        try:
            _outside(source, index, gold)
        except ToolException as error:
            raise ToolFault(f"scoring of {source.name!r} takes longer than {SECONDS:g} s: {error}") from error
        return 0.0


def scored(source: Source, index: int, text: str) -> float:
    """The generator's score within [0, 1], in this process."""
    try:
        found = source.score(text, source.entry(index))
    except Exception:  # what was written broke the scorer: a wrong answer, not a fault
        return 0.0
    return min(1.0, max(0.0, found)) if found == found else 0.0


def score_text(name: str, dials: str, seed: int, index: int, text: str) -> str:
    """Score a text."""
    return repr(scored(Source(name, dials, seed), index, text))


@lru_cache(maxsize=1)
def _scorer() -> BaseTool:
    return isolated(score_text, seconds=SECONDS, shared=True, timeouts="observation")


def _outside(source: Source, index: int, text: str) -> float:
    asked = {"name": source.name, "dials": source.config, "seed": source.seed, "index": index}
    return float(_scorer().invoke({**asked, "text": text.encode("utf-8", "replace").decode()}))


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
    if len(text) > LONGEST or not text.isascii() or _BLOCKS.search(text):
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
