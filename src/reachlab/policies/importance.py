"""Truncated importance ratios, for transcripts that another engine sampled than the one that learns.

Two engines with the same weights give slightly different log-probabilities (kernels, precision, stale weights), so that
samples of the one are off-policy for the other. The loss weighs each policy token by

    min(exp(log pi_learner - log pi_sampler), cap)

for itself (``token``) or summed over all policy tokens of its transcript (``sequence``), as a constant: no gradient
flows through it. Truncation bounds the variance and biases towards the sampler (Ionides 2008, Journal of Computational
and Graphical Statistics 17(2), doi:10.1198/106186008X320456; for language models Yao et al. 2025,
https://fengyao.notion.site/off-policy-rl and https://openreview.net/forum?id=8MHqvb4lK9).
The KL penalty is not reweighted: it is a regulariser, at whatever histories are at hand.

Not covered: clipping for several updates on the same samples (PPO); transcripts that were given, not sampled, whose
log-probabilities are no sampler's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from reachlab.policies.config import ImportanceConfig


@dataclass(frozen=True, slots=True)
class Ratios:
    """Of N policy tokens; U is N for ``token``, the number of transcripts for ``sequence``."""

    weights_N: torch.Tensor
    """What multiplies each token's loss."""
    units_U: torch.Tensor
    """The ratios before truncation."""
    truncated: int
    """How many of ``units_U`` were cut off."""


def ratios(learner_N: torch.Tensor, sampler_N: torch.Tensor, rows_N: torch.Tensor, config: ImportanceConfig) -> Ratios:
    """Ratios from the two engines' log-probabilities of N tokens, nats; ``rows_N`` says which transcript each is of."""
    log_N = learner_N.detach().double() - sampler_N.double()
    if config.level == "sequence":
        _, place_N = torch.unique(rows_N, return_inverse=True)
        count = int(place_N.max()) + 1 if len(place_N) else 0
        units_U = torch.zeros(count, dtype=log_N.dtype, device=log_N.device).index_add(0, place_N, log_N).exp()
        weights_N = units_U.clamp(max=config.cap)[place_N]
    else:
        units_U = log_N.exp()
        weights_N = units_U.clamp(max=config.cap)
    return Ratios(weights_N.to(learner_N.dtype), units_U, int((units_U > config.cap).sum()))
