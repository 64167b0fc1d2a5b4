"""The one learner: weighted log-likelihood of policy tokens, with a KL penalty to the base.

Every treatment is a choice of transcripts and weights. Reinforcement learning weighs its own episodes by their
advantage; sft, rft and distil weigh given ones by 1, with ``beta`` 0. The loss of a batch of n transcripts is

    -1/n sum_i w_i sum_t log pi(a_t given h_t)  +  beta/n sum_i sum_t KL_t

over policy tokens only; no division by length, which would bias towards long failures (arXiv 2503.20783).
Not covered: several updates per batch (there is no importance ratio), several devices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab import TokenKind, Transcript
from reachlab.errors import PolicyFault
from reachlab.policies.config import LearnerConfig
from reachlab.policies.scoring import Batch, batches, logprobs, token_kl


@dataclass(frozen=True, slots=True)
class Update:
    """What one update did, averaged per transcript: nats unless said otherwise."""

    loss: float
    kl: float
    """KL to the base summed over policy tokens, before the update."""
    entropy: float
    """Per policy token."""
    grad_norm: float
    beta: float
    tokens: int
    """Tokens read, padding excluded."""


class Learner:
    """Updates *model* in place; *base* is only read."""

    def __init__(self, model: PreTrainedModel, base: PreTrainedModel, config: LearnerConfig) -> None:
        self.model, self.base, self.config = model, base, config
        self.beta = config.beta
        self.updates = 0
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, foreach=True
        )

    def update(self, transcripts: Sequence[Transcript], weights: Sequence[float]) -> Update:
        """One optimizer step on all *transcripts*. Raises PolicyFault if the loss is not a number."""
        totals = np.zeros(3)
        count = len(transcripts)
        scored = 0
        for batch in batches(transcripts, (TokenKind.POLICY,), self.model.device, self.config.chunk_tokens):
            if batch.wanted.ids_N.numel() == 0:
                continue
            rows = torch.tensor([weights[i] for i in batch.index], device=self.model.device, dtype=torch.float32)
            new_N_V = logprobs(self.model, batch)
            chosen_N = new_N_V.gather(1, batch.wanted.ids_N[:, None])[:, 0]
            kl_N = self._kl(new_N_V, chosen_N, batch)
            loss = (-(rows[batch.wanted.rows_N] * chosen_N).sum() + self.beta * kl_N.sum()) / count
            loss.backward()
            entropy = -(new_N_V.detach().exp() * new_N_V.detach()).nan_to_num(0.0).sum()
            totals += [float(loss.detach()), float(kl_N.detach().sum()) / count, float(entropy)]
            scored += len(chosen_N)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_norm))
        if not math.isfinite(totals[0]) or not math.isfinite(norm):
            self.optimizer.zero_grad(set_to_none=True)
            raise PolicyFault(f"training diverged: loss {totals[0]}, gradient norm {norm} at update {self.updates}")
        self._step()
        tokens = sum(len(t.ids) for t in transcripts)
        used = Update(totals[0], totals[1], totals[2] / max(scored, 1), norm, self.beta, tokens)
        self._adapt(used.kl)
        return used

    def _kl(self, new_N_V: torch.Tensor, chosen_N: torch.Tensor, batch: Batch) -> torch.Tensor:
        if self.beta == 0 and self.config.kl_target is None:
            return torch.zeros_like(chosen_N)
        with torch.no_grad():
            base_N_V = logprobs(self.base, batch)
        if self.config.estimator == "exact":
            return token_kl(new_N_V, base_N_V)
        ids_N = batch.wanted.ids_N
        ratio_N = base_N_V.gather(1, ids_N[:, None])[:, 0] - chosen_N
        return ratio_N.exp() - 1 - ratio_N

    def _step(self) -> None:
        self.updates += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * min(1.0, self.updates / max(self.config.warmup, 1))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _adapt(self, kl: float) -> None:
        if self.config.kl_target is not None:
            error = min(0.2, max(-0.2, kl / self.config.kl_target - 1))
            self.beta *= 1 + 0.5 * error

    def save(self, folder: Path) -> None:
        """Weights in Hugging Face format, and what is needed to go on exactly from here."""
        self.model.save_pretrained(folder)
        torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")
        (folder / "learner.json").write_text(json.dumps({"updates": self.updates, "beta": self.beta}))

    def restore(self, folder: Path) -> None:
        """Go on from a folder that ``save`` wrote."""
        state = self.model.__class__.from_pretrained(folder, dtype=self.model.dtype).state_dict()
        self.model.load_state_dict(state)
        self.optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
        saved = json.loads((folder / "learner.json").read_text())
        self.updates, self.beta = int(saved["updates"]), float(saved["beta"])
