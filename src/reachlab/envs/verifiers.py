"""Verifiers: how the text of the final turn becomes a reward in [0, 1].

Not covered: rewards for anything but the final answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reachlab import Verifier

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Exact:
    """1 if the whole text is an accepted answer, to the character. Closed-book p0 can be enumerated."""

    exact: bool = True

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return float(text in answers)


@dataclass(frozen=True, slots=True)
class LastNumber:
    """1 if the last run of digits is an accepted answer: for models that think or talk before they answer.

    Enumerating the answers then gives a lower bound on p0 only, so p0 is sampled.
    """

    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        numbers = _NUMBER.findall(text)
        return float(bool(numbers) and numbers[-1] in answers)


VERIFIERS: dict[str, Verifier] = {"exact": Exact(), "last-number": LastNumber()}
