"""The budget is a dial that all families have."""

from __future__ import annotations

import pytest

from reachlab import Family, StopReason, World
from reachlab.envs.core import Interaction
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec


def test_only_the_budget_changes() -> None:
    plain = Lexicon(digits=(4,))
    family = Spec("lexicon", {"digits": [4], "budget": {"tokens": 7, "calls": 0}}).build("families")
    assert isinstance(family, Family) and (family.budget.tokens, family.budget.calls) == (7, 0)
    assert family.budget.turns == plain.budget.turns
    assert family.task("test", 3) == plain.task("test", 3) and family.name == "lexicon"


def test_episodes_keep_to_it() -> None:
    family = Spec("lexicon", {"budget": {"calls": 0}}).build("families")
    task = family.task("test", 0)
    interaction = Interaction(family, task, World.LIVE)
    interaction.step(family.solution(task, []), tokens=3)
    assert interaction.stop is StopReason.CALLS
    assert Interaction(family, task, World.CLOSED).budget.tokens == family.budget.closed().tokens


def own_family(digits: int) -> Lexicon:
    return Lexicon(digits=(digits,))


def test_a_family_of_ones_own_has_the_dial_too() -> None:
    family = Spec(f"{__name__}:own_family", {"digits": 4, "budget": {"tokens": 99}}).build("families")
    assert family.budget.tokens == 99 and family.task("test", 0) == own_family(4).task("test", 0)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"tokns": 3}, "Did you mean 'tokens'"),
        ({"tokens": 0}, ">= 1"),
        ({"tokens": "many"}, "a whole number"),
        (7, "names"),
    ],
)
def test_a_bad_budget_is_explained(budget: object, said: str) -> None:
    with pytest.raises((BadValue, UnknownName), match=said):
        Spec("lexicon", {"budget": budget}).build("families")
