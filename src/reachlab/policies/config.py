"""The learner's settings. Apart from the learner, so that a spec can be read and written without loading torch.

Not covered: which transcripts and weights it learns from (``reachlab.studies.sources``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from reachlab.errors import BadValue, UnknownName

ESTIMATORS = ("exact", "k3")
PRECISIONS = ("float32", "bfloat16")
LEVELS = ("token", "sequence")


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """Low-rank matrices learn, the base's weights stay (LoRA, arXiv 2106.09685): W x + alpha / rank * B A x."""

    rank: int = 16
    alpha: float = 32.0
    targets: str | tuple[str, ...] = "all-linear"
    """Names of the modules that get one; ``all-linear``: every linear layer but the output embedding."""

    def __post_init__(self) -> None:
        if isinstance(self.targets, list):  # from JSON
            object.__setattr__(self, "targets", tuple(self.targets))
        if self.rank < 1 or not self.alpha > 0:
            raise BadValue("adapter rank, alpha", (self.rank, self.alpha), "a rank >= 1 and a positive alpha")
        if not self.targets or (isinstance(self.targets, str) and self.targets != "all-linear"):
            raise BadValue("adapter targets", self.targets, "all-linear, or a list of module names")


@dataclass(frozen=True, slots=True)
class ImportanceConfig:
    """Weights for samples of another engine than the learner's; see ``reachlab.policies.importance``."""

    level: str = "token"
    """``token``: a ratio for each; ``sequence``: one for all policy tokens of a transcript."""
    cap: float = 2.0
    """Ratios are cut off here."""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UnknownName("importance level", self.level, LEVELS)
        if not 1 <= self.cap < math.inf:
            raise BadValue("importance cap", self.cap, ">= 1")


@dataclass(frozen=True, slots=True)
class Limits:
    """Past these a training has diverged and stops. None: no limit."""

    max_kl: float | None = None
    """Nats per episode to the base."""
    min_entropy: float | None = None
    """Nats per policy token. A policy that has learned a deterministic task goes to 0 by itself: set it below that."""

    def __post_init__(self) -> None:
        for name in ("max_kl", "min_entropy"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise BadValue(name, value, "positive nats, or None")

    def broken(self, kl: float, entropy: float) -> str:
        """Which limit is passed, in words; empty if none."""
        if self.max_kl is not None and not kl <= self.max_kl:
            return f"KL to the base {kl:.3g} nats per episode, above max_kl {self.max_kl:g}"
        if self.min_entropy is not None and not entropy >= self.min_entropy:
            return f"entropy {entropy:.3g} nats per token, below min_entropy {self.min_entropy:g}"
        return ""


@dataclass(frozen=True, slots=True)
class LearnerConfig:
    """How one learner learns."""

    learning_rate: float = 1e-3
    """Adam's, constant after ``warmup`` updates."""
    warmup: int = 5
    beta: float = 0.01
    """Weight of the KL penalty, reward per nat."""
    estimator: str = "exact"
    """Of KL_t at sampled histories: ``exact`` sums over the vocabulary; ``k3`` uses the sampled token only
    (http://joschu.net/blog/kl-approx.html). k1 is left out: its gradient as a loss is zero in expectation."""
    kl_target: float | None = None
    """Nats per episode that ``beta`` is adapted to hold (arXiv 1909.08593, section 2.2); None keeps beta fixed."""
    max_norm: float = 1.0
    """Gradient norm is clipped here."""
    chunk_tokens: int = 2048
    """Tokens of one forward and backward pass; gradients are accumulated over the chunks of an update."""
    max_padding: float = 1.0
    """Share of a chunk's tokens that may be padding. Chunks hold transcripts of similar length in any case."""
    adapter: AdapterConfig | None = None
    """Train this instead of all weights."""
    precision: str = "float32"
    """Of matrix products: ``bfloat16`` under autocast. What is trained is kept in float32 either way."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    importance: ImportanceConfig | None = None
    """Correct for a sampler that is not the learner; None: the transcripts are the learner's own, or given ones."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name, kind in (("adapter", AdapterConfig), ("importance", ImportanceConfig), ("limits", Limits)):
            if isinstance(value := getattr(self, name), Mapping):  # from JSON
                object.__setattr__(self, name, _record(name, kind, value))
        if self.estimator not in ESTIMATORS:
            raise BadValue("estimator", self.estimator, ", ".join(ESTIMATORS))
        if self.precision not in PRECISIONS:
            raise BadValue("precision", self.precision, ", ".join(PRECISIONS))
        if not 0 < self.learning_rate < 1:
            raise BadValue("learning_rate", self.learning_rate, "between 0 and 1")
        if self.beta < 0 or (self.kl_target is not None and self.kl_target <= 0):
            raise BadValue("beta, kl_target", (self.beta, self.kl_target), "beta >= 0 and a positive target or None")
        if self.chunk_tokens < 1 or not 0 <= self.max_padding <= 1:
            given = (self.chunk_tokens, self.max_padding)
            raise BadValue("chunk_tokens, max_padding", given, "at least one token, and a share between 0 and 1")


def _record(name: str, kind: Any, values: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    for unknown in set(values) - known:
        raise UnknownName(f"setting of {name}", unknown, known)
    return kind(**values)
