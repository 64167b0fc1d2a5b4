"""Answer coverage: how often the answer stands in what a retriever finds, and in the corpus at all.

::

    print(coverage(retriever, questions, answers, k=3))      # 412/500 = 0.824 [0.788, 0.856]
    ranks = answer_ranks(retriever, questions, answers, k=20)     # where the answer first stands, question by question
    there = answerable(texts, answers)                            # whether it stands anywhere: no search can find more

An answer occurs in a passage where its words stand there in order, side by side, whatever their case and what is
between them; an answer without a word, where its characters stand. Who answers by copying what was found can do no
better. The command is ``reachlab coverage``. Not covered: paraphrases; passages that hold the answer by chance and say
nothing about the question; answers across the border of two passages.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reachlab.errors import BadValue
from reachlab.tools.retrieval.progress import watched
from reachlab.tools.retrieval.records import Retriever, check_k
from reachlab.tools.retrieval.words import WORD, folded

Answers = Sequence[str | Sequence[str]]
"""For each question the accepted answer, or several of which one suffices."""
_WORD = re.compile(WORD)


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
    retriever: Retriever, questions: Sequence[str], answers: Answers, k: int = 3, confidence: float = 0.95
) -> Coverage:
    """How often an accepted answer is among the first *k*, the questions taken for a sample of many more."""
    from scipy.stats import binomtest

    ranks = answer_ranks(retriever, questions, answers, k)
    missed = tuple(place for place, rank in enumerate(ranks) if rank is None)
    found = len(ranks) - len(missed)
    interval = binomtest(found, len(ranks)).proportion_ci(confidence, method="exact")
    return Coverage(found, len(ranks), float(interval.low), float(interval.high), k, missed)


def answer_ranks(retriever: Retriever, questions: Sequence[str], answers: Answers, k: int) -> list[int | None]:
    """For each question the rank, from 1, of the first passage that holds an answer; None if none of the *k* does."""
    if len(questions) != len(answers) or not questions:
        raise BadValue("questions and answers", (len(questions), len(answers)), "as many of each, at least one")
    check_k(k)
    ranks: list[int | None] = []
    for question, accepted in zip(watched(questions, "asking", every=1), answers, strict=True):
        found = enumerate(retriever.retrieve(question, k), 1)
        ranks.append(next((rank for rank, text in found if any(occurs(a, text) for a in _several(accepted))), None))
    return ranks


def answerable(texts: Iterable[str], answers: Answers) -> list[bool]:
    """Whether an accepted answer of each question stands in any of *texts*; they are gone through once."""
    runs, signs = _wanted(answers)
    lengths: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        lengths[run[0]].add(len(run))
    found: set[int] = set()
    for text in watched(texts, "looking for the answers"):
        said = _words(text)
        for start, word in enumerate(said):
            for length in lengths.get(word, ()):
                found |= runs.get(tuple(said[start : start + length]), set())
        for sign, places in signs.items():
            if sign in text:
                found |= places
    return [place in found for place in range(len(answers))]


def occurs(answer: str, text: str) -> bool:
    """Whether *answer* stands in *text*; see the module's docstring."""
    words = _words(answer)
    if not words:
        return bool(answer.strip()) and answer.strip() in text
    return f" {' '.join(words)} " in f" {' '.join(_words(text))} "


def _wanted(answers: Answers) -> tuple[dict[tuple[str, ...], set[int]], dict[str, set[int]]]:
    """Places of the questions by the words of an answer, and by the answer itself if it has no word."""
    runs: dict[tuple[str, ...], set[int]] = defaultdict(set)
    signs: dict[str, set[int]] = defaultdict(set)
    for place, accepted in enumerate(answers):
        for answer in _several(accepted):
            if words := tuple(_words(answer)):
                runs[words].add(place)
            elif answer.strip():
                signs[answer.strip()].add(place)
    return runs, signs


def _several(accepted: str | Sequence[str]) -> Sequence[str]:
    return [accepted] if isinstance(accepted, str) else accepted


def _words(text: str) -> list[str]:
    return _WORD.findall(folded(text))
