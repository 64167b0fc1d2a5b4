"""Verifiers: how the text of the final turn becomes a reward in [0, 1].

Not covered: rewards for anything but the final answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reachlab import Verifier


@dataclass(frozen=True, slots=True)
class Exact:
    """1 if the whole text is an accepted answer, to the character. Closed-book p0 can be enumerated."""

    exact: bool = True

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return float(text in answers)


@dataclass(frozen=True, slots=True)
class Last:
    """1 if the last match of *pattern* is an accepted answer: for models that think or talk before they answer.

    Enumerating the answers then gives a lower bound on p0 only, so p0 is sampled.
    """

    pattern: str
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        found = re.findall(self.pattern, text)
        return float(bool(found) and found[-1] in answers)


VERIFIERS: dict[str, Verifier] = {"exact": Exact(), "last-number": Last(r"\d+"), "last-word": Last(r"\w+")}
