"""Exact closed-book p0: the probability of every token sequence that decodes to an accepted answer.

All tokenisations count, and each must end in an end-of-sequence token within the budget. A vocabulary piece is read
off by decoding it beside an anchor, so that spaces and byte tokens are seen as they come out in context.
Not covered: verifiers that accept more than the listed answers (there enumeration is only a lower bound).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab import TokenKind, Transcript
from reachlab.errors import BadValue
from reachlab.policies.scoring import batches, logprobs

MOST_SEQUENCES = 20_000
"""More tokenisations than this of one answer are refused: sample p0 instead."""


class Tokenisations:
    """Every token sequence that decodes to a given text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        anchor = tokenizer.encode("a", add_special_tokens=False)
        lead = str(tokenizer.decode(anchor, clean_up_tokenization_spaces=False))
        both = tokenizer.batch_decode([[*anchor, i] for i in range(len(tokenizer))], clean_up_tokenization_spaces=False)
        self._by_piece: dict[str, list[int]] = {}
        for token, text in enumerate(both):
            piece = text[len(lead) :]
            if text.startswith(lead) and piece and "�" not in piece:
                self._by_piece.setdefault(piece, []).append(token)
        self._longest = max(map(len, self._by_piece))

    def of(self, text: str) -> list[tuple[int, ...]]:
        """All sequences, checked by decoding. Raises BadValue past ``MOST_SEQUENCES``."""
        ways: list[list[tuple[int, ...]]] = [[()], *([] for _ in text)]
        for end in range(1, len(text) + 1):
            for start in range(max(0, end - self._longest), end):
                for token in self._by_piece.get(text[start:end], ()):
                    ways[end] += [(*head, token) for head in ways[start]]
            if len(ways[end]) > MOST_SEQUENCES:
                raise BadValue(f"tokenisations of {text!r}", f"over {MOST_SEQUENCES}", "fewer; let p0 be sampled")
        found = ways[-1]
        decoded = self._tokenizer.batch_decode([list(w) for w in found], clean_up_tokenization_spaces=False)
        return [way for way, back in zip(found, decoded, strict=True) if back == text]


@torch.inference_mode()
def exact_success(
    model: PreTrainedModel,
    tokenisations: Tokenisations,
    stop_ids: Sequence[int],
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[str]],
    max_tokens: int,
) -> np.ndarray:
    """(N,) probability under *model*, temperature 1, that the turn after each prompt is one of its answers."""
    transcripts, owners = [], []
    for task, (prompt, accepted) in enumerate(zip(prompts, answers, strict=True)):
        for way in {way for answer in set(accepted) for way in tokenisations.of(answer)}:
            if len(way) < max_tokens:
                kinds = [TokenKind.PROMPT] * len(prompt) + [TokenKind.POLICY] * (len(way) + 1)
                ids = np.array([*prompt, *way, stop_ids[0]])
                transcripts.append(Transcript(ids, np.array(kinds, dtype=np.uint8), np.zeros(len(ids))))
                owners.append(task)
    total = np.zeros(len(prompts))
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    for batch in batches(transcripts, (TokenKind.POLICY,), model.device):
        logprobs_N_V = logprobs(model, batch).double()
        each_N = logprobs_N_V.gather(1, batch.wanted.ids_N[:, None])[:, 0]
        rows_N = batch.wanted.rows_N
        last_N = torch.cat([rows_N[1:] != rows_N[:-1], torch.ones(1, dtype=torch.bool, device=rows_N.device)])
        each_N[last_N] = torch.logsumexp(logprobs_N_V[last_N][:, stops], dim=-1)
        sums = torch.zeros(len(batch.index), dtype=torch.float64, device=rows_N.device).index_add(0, rows_N, each_N)
        np.add.at(total, [owners[i] for i in batch.index], sums.exp().cpu().numpy())
    return total
