"""What a base policy can do beside sampling turns, and so which arms of a study can be run with it.

A chat model behind an endpoint has no weights to train and no log-probabilities over the full vocabulary; the arms and
numbers that need them read `not available`. Not covered: whether a policy does well what it offers to do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from reachlab import Arm, Json, Policy, World


@dataclass(frozen=True, slots=True)
class Abilities:
    """Why a policy cannot do something; empty where it can."""

    train: str = ""
    imagine: str = ""

    def missing(self, arm: Arm) -> str:
        """Why *arm* cannot be run, or empty."""
        if arm.training is not None and self.train:
            return self.train
        return self.imagine if arm.evaluated is World.IMAGINED else ""

    def to_json(self) -> Json:
        return asdict(self)


def abilities_of(policy: Policy) -> Abilities:
    """By the methods that it has: ``with_model`` (new weights), ``imaginer``."""

    def why(method: str, reason: str) -> str:
        return "" if callable(getattr(policy, method, None)) else f"{policy.name} {reason}"

    return Abilities(
        train=why("with_model", "has no weights that could be trained"),
        imagine=why("imaginer", "writes no observations: it continues no raw text"),
    )


def described(policy: Policy) -> Json:
    """What the result says about the base; None where it cannot be known."""
    weights: Any = getattr(policy, "model", None)
    tokenizer: Any = getattr(policy, "tokenizer", None)
    return {
        "architecture": type(policy if weights is None else weights).__name__,
        "parameters": None if weights is None else sum(p.numel() for p in weights.parameters()),
        "vocabulary": None if tokenizer is None else len(tokenizer),
    }
