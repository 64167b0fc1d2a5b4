"""The decode loop of a session: one token per row and step, rows that finish leave the batch.

Rows are dropped as soon as they are half of the batch: stragglers cost more than anything else. Sampling is by inverse
CDF on uniforms that the caller brings. Not covered: reading prompts and results (``session``); truncated sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.policies.cache import Rows
from reachlab.policies.threads import Thread


@dataclass
class Decoder:
    """Samples one token per active row and step; drops finished rows once they are half of the batch."""

    model: PreTrainedModel
    rows: Rows
    logits_B_V: torch.Tensor
    uniforms_B_T: np.ndarray
    limits_B: np.ndarray
    stop_ids: frozenset[int]

    @torch.inference_mode()
    def run(self, threads: Sequence[Thread]) -> Iterator[tuple[int, np.ndarray, np.ndarray, str]]:
        """Yields (index, ids, log-probabilities, fault) as rows finish; keeps each thread's place in the cache."""
        count, steps = self.uniforms_B_T.shape
        ids_B_T, logprobs_B_T = np.zeros((count, steps), dtype=np.int64), np.zeros((count, steps))
        stops = np.array(sorted(self.stop_ids))
        present = np.arange(count)  # the index that each row of the cache belongs to
        active = np.ones(count, dtype=bool)  # by row of the cache
        for step in range(steps):
            tokens, logprobs, bad = sample(self.logits_B_V, self.uniforms_B_T[present, step])
            ids_B_T[present, step], logprobs_B_T[present, step] = tokens, logprobs
            done = np.isin(tokens, stops) | (step + 1 >= self.limits_B[present]) | bad
            finished = active & done
            active &= ~done
            for row in finished.nonzero()[0]:
                index, length = present[row], step + (0 if bad[row] else 1)
                fault = "the model's logits were not numbers" if bad[row] else ""
                yield int(index), ids_B_T[index, :length].copy(), logprobs_B_T[index, :length].copy(), fault
            if not active.any():
                return
            if 2 * active.sum() <= len(active):
                keep = active.nonzero()[0]
                self.rows = self.rows.select(torch.from_numpy(keep).to(self.rows.mask_B_C.device))
                present, active, tokens = present[keep], active[keep], tokens[keep]
                for row, index in enumerate(present.tolist()):
                    threads[index].rows, threads[index].row = self.rows, row
            self._advance(tokens, active)

    def _advance(self, tokens: np.ndarray, active: np.ndarray) -> None:
        device = self.rows.mask_B_C.device
        active_B = torch.from_numpy(active.copy()).to(device)
        self.rows.mask_B_C = torch.cat([self.rows.mask_B_C, active_B[:, None]], 1)
        out = self.model(
            input_ids=torch.from_numpy(tokens).to(device)[:, None],
            attention_mask=self.rows.mask_B_C.long(),
            position_ids=self.rows.lengths_B[:, None],
            past_key_values=self.rows.cache(),
            use_cache=True,
            logits_to_keep=1,
        )
        self.rows.lengths_B = self.rows.lengths_B + active_B
        self.logits_B_V = out.logits[:, -1].float()


def sample(logits_B_V: torch.Tensor, uniforms_B: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse-CDF samples at temperature 1: (ids, log-probabilities in nats, True where the logits held a NaN)."""
    logprobs_B_V = torch.log_softmax(logits_B_V, dim=-1)
    cdf_B_V = logprobs_B_V.double().exp().cumsum(-1)
    bad_B = ~torch.isfinite(cdf_B_V[:, -1])
    targets = torch.from_numpy(uniforms_B).to(cdf_B_V.device)[:, None] * cdf_B_V[:, -1:]
    tokens = torch.searchsorted(cdf_B_V, targets, right=True).clamp(max=logits_B_V.shape[1] - 1)
    chosen = logprobs_B_V.gather(1, tokens)[:, 0]
    return tokens[:, 0].cpu().numpy(), chosen.double().cpu().numpy(), bad_B.cpu().numpy()
