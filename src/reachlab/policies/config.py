"""The learner's settings. Apart from the learner, so that a spec can be read and written without loading torch.

Not covered: which transcripts and weights it learns from (``reachlab.studies.sources``).
"""

from __future__ import annotations

from dataclasses import dataclass

from reachlab.errors import BadValue

ESTIMATORS = ("exact", "k3")


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
    """Tokens of one forward and backward pass."""

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise BadValue("estimator", self.estimator, ", ".join(ESTIMATORS))
        if not 0 < self.learning_rate < 1:
            raise BadValue("learning_rate", self.learning_rate, "between 0 and 1")
        if self.beta < 0 or (self.kl_target is not None and self.kl_target <= 0):
            raise BadValue("beta, kl_target", (self.beta, self.kl_target), "beta >= 0 and a positive target or None")
