"""The gradient of one update, accumulated over chunks of transcripts of similar length; see ``learner`` for the loss.

A chunk that does not fit in memory is made smaller, for good, down to one transcript.
Not covered: several devices; splitting one transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from reachlab import TokenKind, Transcript
from reachlab.errors import PolicyFault
from reachlab.policies.adapters import switched_off
from reachlab.policies.config import LearnerConfig
from reachlab.policies.importance import ratios
from reachlab.policies.scoring import Batch, batches, logprobs, token_kl


@dataclass(slots=True)
class Sums:
    """Over the transcripts of one update, nats."""

    loss: float = 0.0
    kl: float = 0.0
    entropy: float = 0.0
    scored: int = 0
    """Policy tokens."""
    ratio: float = 0.0
    """Importance ratios before truncation, ``units`` of them."""
    units: int = 0
    truncated: int = 0
    padded: int = 0
    """Tokens of the chunks, padding included."""


class _TooLarge(Exception):
    """A chunk of so many transcripts, so long, did not fit in memory."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__(rows, width)
        self.rows, self.width = rows, width


@dataclass(slots=True)
class Gradients:
    """Adds the gradient of a batch's loss to *model*'s parameters. *base* may be *model*: its adapter is then switched
    off for the reference."""

    model: PreTrainedModel
    base: PreTrainedModel
    config: LearnerConfig
    chunk_tokens: int
    """Tokens of one pass: the config's, or what was found to fit."""

    def accumulate(self, transcripts: Sequence[Transcript], weights: Sequence[float], beta: float) -> Sums:
        """Raises PolicyFault if not even one transcript fits in memory."""
        while True:
            try:
                return self._accumulate(transcripts, weights, beta)
            except _TooLarge as error:
                rows, width = error.rows, error.width
            # Part of the failed chunk's gradient may have been added: all of it is done again.
            self.model.zero_grad(set_to_none=True)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if rows == 1:
                raise PolicyFault(
                    f"out of memory learning from one transcript of {width} tokens: use gradient_checkpointing, "
                    "precision bfloat16, an adapter, or a smaller budget of tokens per episode"
                )
            self.chunk_tokens = rows // 2 * width

    def _accumulate(self, transcripts: Sequence[Transcript], weights: Sequence[float], beta: float) -> Sums:
        sums = Sums()
        device, config = self.model.device, self.config
        for batch in batches(transcripts, (TokenKind.POLICY,), device, self.chunk_tokens, config.max_padding):
            if batch.wanted.ids_N.numel() == 0:
                continue
            try:
                self._chunk(batch, transcripts, weights, beta, sums)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                raise _TooLarge(*batch.ids_B_T.shape) from None
        return sums

    def _chunk(
        self, batch: Batch, transcripts: Sequence[Transcript], weights: Sequence[float], beta: float, sums: Sums
    ) -> None:
        device, count = self.model.device, len(transcripts)
        rows = torch.tensor([weights[i] for i in batch.index], device=device, dtype=torch.float32)
        weight_N = rows[batch.wanted.rows_N]
        with self._precision():
            new_N_V = logprobs(self.model, batch)
        chosen_N = new_N_V.gather(1, batch.wanted.ids_N[:, None])[:, 0]
        if self.config.importance is not None:
            found = ratios(chosen_N, _sampled(batch, transcripts), batch.wanted.rows_N, self.config.importance)
            weight_N = weight_N * found.weights_N
            sums.ratio += float(found.units_U.sum())
            sums.units += len(found.units_U)
            sums.truncated += found.truncated
        kl_N = self._kl(new_N_V, chosen_N, batch, beta)
        loss = (-(weight_N * chosen_N).sum() + beta * kl_N.sum()) / count
        loss.backward()
        entropy = -(new_N_V.detach().exp() * new_N_V.detach()).nan_to_num(0.0).sum()
        sums.loss += float(loss.detach())
        sums.kl += float(kl_N.detach().sum()) / count
        sums.entropy += float(entropy)
        sums.scored += len(chosen_N)
        sums.padded += batch.ids_B_T.numel()

    def _kl(self, new_N_V: torch.Tensor, chosen_N: torch.Tensor, batch: Batch, beta: float) -> torch.Tensor:
        if beta == 0 and self.config.kl_target is None and self.config.limits.max_kl is None:
            return torch.zeros_like(chosen_N)
        reference = switched_off(self.model) if self.base is self.model else nullcontext(self.base)
        with torch.no_grad(), self._precision(), reference as base:
            base_N_V = logprobs(base, batch)
        if self.config.estimator == "exact":
            return token_kl(new_N_V, base_N_V)
        ids_N = batch.wanted.ids_N
        ratio_N = base_N_V.gather(1, ids_N[:, None])[:, 0] - chosen_N
        return ratio_N.exp() - 1 - ratio_N

    def _precision(self) -> AbstractContextManager[object]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16)


def _sampled(batch: Batch, transcripts: Sequence[Transcript]) -> torch.Tensor:
    """(N,) log-probabilities that the sampler gave the wanted tokens."""
    rows, columns = batch.wanted.rows_N.tolist(), batch.wanted.columns_N.tolist()
    logprobs_N = [float(transcripts[batch.index[r]].logprobs[c]) for r, c in zip(rows, columns, strict=True)]
    return torch.tensor(logprobs_N, dtype=torch.float64, device=batch.wanted.rows_N.device)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whichever device: the processor's allocator raises a plain RuntimeError."""
    said = str(error)
    known = ("DefaultCPUAllocator", "CUDA out of memory", "not enough memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in said for words in known)
