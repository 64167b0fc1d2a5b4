"""A family whose episodes may use more, or less, than it says itself.

Budgets of the families fit the tiny base, whose vocabulary writes a call in few tokens; another model needs more for
the same: ``--dial 'budget={"tokens": 512}'``. Not covered: what the family states for its own budget (``optimum``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from reachlab import Budget, Family
from reachlab.envs.core import checked_budget
from reachlab.errors import BadValue, UnknownName


@dataclass(frozen=True)
class Budgeted:
    """*family* with another default budget; everything else is the family's own."""

    family: Family
    budget: Budget

    def __getattr__(self, name: str) -> Any:
        return getattr(self.family, name)


def within(family: Family, changes: Mapping[str, Any]) -> Family:
    """The family with these fields of its ``Budget`` changed. Raises UnknownName, BadValue."""
    if not isinstance(changes, Mapping):
        raise BadValue("budget", changes, 'names and numbers, such as {"tokens": 512}')
    known = {field.name: type(getattr(family.budget, field.name)) for field in fields(Budget)}
    for name, value in changes.items():
        if name not in known:
            raise UnknownName("field of the budget", name, known)
        if isinstance(value, bool) or not isinstance(value, int | known[name]):
            raise BadValue(f"budget {name}", value, "a number" if known[name] is float else "a whole number")
    return cast(Family, Budgeted(family, checked_budget(replace(family.budget, **changes))))
