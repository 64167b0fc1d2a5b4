"""Answer coverage: how often the answer stands in what a retriever finds. No reader can do better by copying.

::

    print(coverage(retriever, questions, answers, k=3))      # 412/500 = 0.824 [0.788, 0.856]

An answer occurs in a passage where its words stand there in order, side by side, whatever their case and what is
between them; an answer without a word, where its characters stand. Not covered: paraphrases; passages that hold the
answer by chance and say nothing about the question.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from reachlab.errors import BadValue
from reachlab.tools.retrieval.records import Retriever, check_k


@dataclass(frozen=True)
class Coverage:
    """The share of questions whose answer was found, with its Clopper-Pearson interval."""

    found: int
    questions: int
    low: float
    high: float
    k: int
    missed: tuple[int, ...]
    """Positions of the questions whose answer was not found."""

    @property
    def share(self) -> float:
        return self.found / self.questions

    def __str__(self) -> str:
        return f"{self.found}/{self.questions} = {self.share:.3f} [{self.low:.3f}, {self.high:.3f}]"


def coverage(
    retriever: Retriever,
    questions: Sequence[str],
    answers: Sequence[str | Sequence[str]],
    k: int = 3,
    confidence: float = 0.95,
) -> Coverage:
    """*answers*: for each question the accepted answer, or several of which one suffices."""
    from scipy.stats import binomtest

    if len(questions) != len(answers) or not questions:
        raise BadValue("questions and answers", (len(questions), len(answers)), "as many of each, at least one")
    check_k(k)
    missed = tuple(
        place
        for place, (question, accepted) in enumerate(zip(questions, answers, strict=True))
        if not _answered(retriever.retrieve(question, k), [accepted] if isinstance(accepted, str) else accepted)
    )
    found = len(questions) - len(missed)
    interval = binomtest(found, len(questions)).proportion_ci(confidence, method="exact")
    return Coverage(found, len(questions), float(interval.low), float(interval.high), k, missed)


def occurs(answer: str, text: str) -> bool:
    """Whether *answer* stands in *text*; see the module's docstring."""
    words = _words(answer)
    if not words:
        return bool(answer.strip()) and answer.strip() in text
    return f" {words} " in f" {_words(text)} "


def _answered(texts: Sequence[str], accepted: Sequence[str]) -> bool:
    return any(occurs(answer, text) for text in texts for answer in accepted)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))
