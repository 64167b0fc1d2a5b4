"""Teacher-forced passes: log-probabilities of given tokens, spent nats, imported bits.

Logits are computed at the wanted positions only, in chunks of similar length.
Source of the formulas: the chain rule; KL(pi, pi0) per token over the full vocabulary (Kullback & Leibler 1951).
Not covered: endpoints that return no full log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab import TokenKind, Transcript

CHUNK_TOKENS = 4096
"""Tokens of one forward pass, padding included."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Which tokens of a padded batch are predicted: row and column of each, and its id. N tokens in all."""

    rows_N: torch.Tensor
    columns_N: torch.Tensor
    ids_N: torch.Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Transcripts padded on the right, with the positions whose prediction is wanted."""

    index: list[int]
    """Which transcripts these are."""
    ids_B_T: torch.Tensor
    mask_B_T: torch.Tensor
    wanted: Positions


def batches(
    transcripts: Sequence[Transcript],
    kinds: Sequence[TokenKind],
    device: torch.device,
    chunk_tokens: int = CHUNK_TOKENS,
    max_padding: float = 1.0,
) -> Iterator[Batch]:
    """Chunks of at most *chunk_tokens*, longest last; wanted are the tokens of the given *kinds* (never the first).

    At most the share *max_padding* of a chunk's tokens is padding. A longer transcript than *chunk_tokens* is alone.
    """
    order = sorted(range(len(transcripts)), key=lambda i: len(transcripts[i].ids))
    chunk: list[int] = []
    real = 0
    for i in order:
        length = len(transcripts[i].ids)
        padded = (len(chunk) + 1) * length
        if chunk and (padded > chunk_tokens or padded - real - length > max_padding * padded):
            yield _batch(transcripts, chunk, kinds, device)
            chunk, real = [], 0
        chunk.append(i)
        real += length
    if chunk:
        yield _batch(transcripts, chunk, kinds, device)


def _batch(
    transcripts: Sequence[Transcript], index: list[int], kinds: Sequence[TokenKind], device: torch.device
) -> Batch:
    width = max(len(transcripts[i].ids) for i in index)
    ids = np.zeros((len(index), width), dtype=np.int64)
    mask = np.zeros((len(index), width), dtype=np.int64)
    wanted = np.zeros((len(index), width), dtype=bool)
    for row, i in enumerate(index):
        length = len(transcripts[i].ids)
        ids[row, :length], mask[row, :length] = transcripts[i].ids, 1
        wanted[row, :length] = np.isin(transcripts[i].kinds, kinds)
    wanted[:, 0] = False
    rows, columns = wanted.nonzero()
    positions = Positions(*(torch.from_numpy(a).to(device) for a in (rows, columns, ids[rows, columns])))
    return Batch(index, torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device), positions)


def logprobs(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """(N, V) log-probabilities in nats of every token at the wanted positions."""
    columns = batch.wanted.columns_N
    if columns.numel() == 0:
        return torch.zeros((0, model.config.get_text_config().vocab_size), device=columns.device)
    first = int(columns.min()) - 1
    out = model(
        input_ids=batch.ids_B_T,
        attention_mask=batch.mask_B_T,
        use_cache=False,
        logits_to_keep=torch.arange(first, int(columns.max()), device=columns.device),
    )
    logits_N_V = out.logits[batch.wanted.rows_N, columns - 1 - first]
    return torch.log_softmax(logits_N_V.float(), dim=-1)


def token_kl(policy_N_V: torch.Tensor, base_N_V: torch.Tensor) -> torch.Tensor:
    """(N,) KL(pi, pi0) in nats over the full vocabulary. Tokens that pi excludes add 0; NaN and infinity stay."""
    terms_N_V = policy_N_V.exp() * (policy_N_V - base_N_V)
    return torch.where(torch.isneginf(policy_N_V), 0.0, terms_N_V).sum(-1)


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Per token of one transcript, (T,), nats; 0 where the kind was not asked for."""

    logprobs: np.ndarray
    """log pi of the token."""
    base_logprobs: np.ndarray
    """log pi0 of the token."""
    kl: np.ndarray
    """KL(pi, pi0) over the full vocabulary at the token's position; 0 at tokens the policy did not sample."""


@torch.inference_mode()
def score(policy: PreTrainedModel, base: PreTrainedModel, transcripts: Sequence[Transcript]) -> list[TokenScores]:
    """Score policy and observation tokens under both models; ``policy is base`` costs one pass and has KL 0."""
    scores = [TokenScores(*(np.zeros(len(t.ids)) for _ in range(3))) for t in transcripts]
    for batch in batches(transcripts, (TokenKind.POLICY, TokenKind.OBSERVATION), base.device):
        base_N_V = logprobs(base, batch)
        policy_N_V = base_N_V if policy is base else logprobs(policy, batch)
        kl_N = token_kl(policy_N_V, base_N_V)
        picked = [x.gather(1, batch.wanted.ids_N[:, None])[:, 0].double().cpu().numpy() for x in (policy_N_V, base_N_V)]
        rows, columns = batch.wanted.rows_N.cpu().numpy(), batch.wanted.columns_N.cpu().numpy()
        kl = kl_N.double().cpu().numpy()
        for row, i in enumerate(batch.index):
            at = rows == row
            where = columns[at]
            scores[i].logprobs[where], scores[i].base_logprobs[where] = picked[0][at], picked[1][at]
            scores[i].kl[where] = np.where(transcripts[i].kinds[where] == TokenKind.POLICY, kl[at], 0.0)
    return scores


def imported_bits(transcript: Transcript, scores: TokenScores) -> float:
    """-sum log2 pi0(o given h) over the observation tokens."""
    return float(-scores.base_logprobs[transcript.kinds == TokenKind.OBSERVATION].sum() / math.log(2))
