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
    """Every token sequence that decodes to a given text.

    Some decoders strip what a token carries at the start of a text (the space of ``_7``), so the first piece is read
    off alone and every later one beside an anchor.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        anchor = tokenizer.encode("a", add_special_tokens=False)
        lead = self._decode([anchor])[0]
        count = len(tokenizer)
        alone = self._decode([[i] for i in range(count)])
        beside = self._decode([[*anchor, i] for i in range(count)])
        later = [text[len(lead) :] if text.startswith(lead) else "" for text in beside]
        self.silent = [i for i in range(count) if not alone[i] or not later[i]]
        """Ids that decode to nothing: answers could hold any number of them, so no enumeration is exact."""
        self._first, self._later = _by_piece(alone), _by_piece(later)
        self._longest = max(map(len, (*self._first, *self._later)))

    def of(self, text: str) -> list[tuple[int, ...]]:
        """All sequences, checked by decoding. Raises BadValue past ``MOST_SEQUENCES``."""
        ways: list[list[tuple[int, ...]]] = [[()], *([] for _ in text)]
        for end in range(1, len(text) + 1):
            for start in range(max(0, end - self._longest), end):
                for token in (self._later if start else self._first).get(text[start:end], ()):
                    ways[end] += [(*head, token) for head in ways[start]]
            if len(ways[end]) > MOST_SEQUENCES:
                raise BadValue(f"tokenisations of {text!r}", f"over {MOST_SEQUENCES}", "fewer; let p0 be sampled")
        back = self._decode([list(way) for way in ways[-1]])
        return [way for way, said in zip(ways[-1], back, strict=True) if said == text]

    def _decode(self, ids: list[list[int]]) -> list[str]:
        return [str(t) for t in self._tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)]


def _by_piece(texts: Sequence[str]) -> dict[str, list[int]]:
    """Ids by what they decode to; parts of a character (decoded to U+FFFD) are left out."""
    pieces: dict[str, list[int]] = {}
    for token, text in enumerate(texts):
        if text and "\ufffd" not in text:
            pieces.setdefault(text, []).append(token)
    return pieces


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
