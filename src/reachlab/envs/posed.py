"""What synthetic families share: checking the dials that all of them have, and posing a task.

A donor's task carries ``~donor`` in its id, so that a family finds its facts again from the task alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reachlab import Message, Split, Task, Verifier
from reachlab.envs.dials import whole
from reachlab.envs.verifiers import VERIFIERS
from reachlab.errors import BadValue, UnknownName

_DONOR = "~donor"


def check_common(family: Any) -> None:
    """``salt``, the texts that every synthetic family carries, and where it has one its ``verifier``'s name."""
    if not whole(family.salt):
        raise BadValue("salt", family.salt, "a whole number")
    object.__setattr__(family, "salt", int(family.salt))
    texts = {name: getattr(family, name) for name in ("name", "version", "mechanism")}
    verifier = getattr(family, "verifier", "exact")
    for name, text in {**texts, "verifier": verifier}.items():
        if not isinstance(text, str):
            raise BadValue(name, text, "text")
    if verifier not in VERIFIERS:
        raise UnknownName("verifier", verifier, VERIFIERS)


def pose(
    family: str,
    split: Split,
    seed: int,
    donor: int,
    question: str,
    answers: Sequence[str],
    verifier: Verifier,
    evidence: str,
    **dials: int,
) -> Task:
    """The task of (split, seed); *donor* > 0: its donor."""
    return Task(
        id=f"{family}-{split}-{seed}" + (_DONOR if donor else ""),
        messages=(Message("user", question),),
        answers=tuple(answers),
        verifier=verifier,
        evidence=evidence,
        difficulty=tuple(dials.items()),
        seed=seed,
        split=split,
    )


def checked_seed(seed: int) -> int:
    if seed < 0:
        raise BadValue("task seed", seed, ">= 0")
    return seed


def donor_of(task: Task) -> int:
    """1 for a donor, else 0: the last part of what its facts are drawn from."""
    return int(task.id.endswith(_DONOR))


def dials_of(task: Task) -> dict[str, int]:
    return dict(task.difficulty)
