"""What each training spent, and whether closed training spent as much as what it is compared with (C3, DESIGN 2).

C3 claims that interaction supplied training data closed training could not find. So the rivals (rft and rl, trained
closed) must have had the same tasks, at least the verifier calls and tokens of the whole path to ``distil`` (its
teacher's training, its harvest, its updates) and the same KL setting. A ``matched`` design lets them go on until they
have; whether they do is read from what was recorded, never from the design.

Not covered: what a study's evaluation spent (``studies.conclude``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab import Episode, Json, Treatment, World
from reachlab.policies.config import LearnerConfig
from reachlab.studies.context import Context
from reachlab.studies.designs import FED, RIVALS, Training

LONGEST = 50
"""A closed training that is to match takes at most so many times the updates or episodes of its profile: one whose
episodes are never verified would not end. It then does not match, and C3 is not claimed."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What was spent: tokens sampled and tokens learned from, verifier calls."""

    tokens: int = 0
    verifier_calls: int = 0

    def __add__(self, other: Bill) -> Bill:
        return Bill(self.tokens + other.tokens, self.verifier_calls + other.verifier_calls)

    def covers(self, other: Bill) -> bool:
        """Whether nothing of *other* is more."""
        return self.tokens >= other.tokens and self.verifier_calls >= other.verifier_calls


NOTHING = Bill()


def bill_of(episodes: Iterable[Episode]) -> Bill:
    costs = [e.cost for e in episodes]
    return Bill(sum(c.tokens for c in costs), sum(c.verifier_calls for c in costs))


def kl_setting(config: LearnerConfig) -> Json:
    """What a training is held to the base by, as its status records it."""
    return {"beta": config.beta, "kl_target": config.kl_target}


def whole_path(context: Context, treatment: Treatment, world: World, index: int) -> Bill:
    """What a finished training spent, with the teacher that it learned from."""
    spent = _recorded(context.store.status(treatment, world, index))
    if treatment is Treatment.DISTIL:
        for teacher in context.spec.designed.needs(treatment, world):
            spent += whole_path(context, *teacher, index)
    return spent


def owed(context: Context, treatment: Treatment, world: World, index: int) -> Bill:
    """What a training must spend at least: nothing, but for the closed rivals of a matched design."""
    if context.spec.designed.matched and (treatment, world) in RIVALS:
        return whole_path(context, *FED, index)
    return NOTHING


def ledger(context: Context) -> list[Json]:
    """One row for every training run: its own bill, and that of the whole path where a teacher comes before."""
    rows = []
    for treatment, world in context.spec.designed.trainings:
        for index in range(context.spec.seeds):
            status = context.store.status(treatment, world, index)
            own, whole = _recorded(status), whole_path(context, treatment, world, index)
            rows.append(
                {
                    "treatment": str(treatment),
                    "trained": str(world),
                    "seed": index,
                    "updates": status["updates"],
                    "tokens": own.tokens,
                    "verifier_calls": own.verifier_calls,
                    "path_tokens": whole.tokens,
                    "path_verifier_calls": whole.verifier_calls,
                    **{name: status.get(name) for name in ("beta", "kl_target")},
                }
            )
    return rows


def unmatched(context: Context) -> str:
    """Why C3 may not be claimed, from what was recorded; empty if closed training matches in every run."""
    there = context.spec.designed.trainings
    absent = [_name(training) for training in (FED, *RIVALS) if training not in there]
    if absent:
        return f"the design has no {', '.join(absent)}"
    found = [_short(context, rival, index) for index in range(context.spec.seeds) for rival in RIVALS]
    return next((why for why in found if why), "")


def _short(context: Context, rival: Training, index: int) -> str:
    """What *rival* lacks against the path to ``distil``."""
    due, paid = whole_path(context, *FED, index), whole_path(context, *rival, index)
    for name in ("tokens", "verifier_calls"):
        had, wanted = getattr(paid, name), getattr(due, name)
        if had < wanted or not wanted:
            what = name.replace("_", " ")
            return f"run {index} of {_name(rival)} took {had:,} {what}, the path to {_name(FED)} {wanted:,}"
    twin = FED if rival[0] is Treatment.RFT else context.spec.designed.needs(*FED)[0]
    held, wanted = (_kl(context.store.status(*training, index)) for training in (rival, twin))
    return "" if held == wanted else f"run {index} of {_name(rival)} has the KL setting {held}, {_name(twin)} {wanted}"


def _recorded(status: dict[str, Any]) -> Bill:
    """Runs of older versions record no verifier calls: as if there had been none, which matches nothing."""
    return Bill(status["tokens"], status.get("verifier_calls", 0))


def _kl(status: dict[str, Any]) -> tuple[Any, Any]:
    return status.get("beta"), status.get("kl_target")


def _name(training: Training) -> str:
    return "·".join(map(str, training))
