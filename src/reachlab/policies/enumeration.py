"""Exact closed-book p0: the probability of every token sequence that decodes to an accepted answer.

All tokenisations count, and each must end in an end-of-sequence token within the budget. A vocabulary piece is read
off by decoding it beside an anchor, so that spaces and byte tokens are seen as they come out in context.
Not covered: verifiers that accept more than the listed answers (there enumeration is only a lower bound).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import BadValue
from reachlab.policies.cache import Rows
from reachlab.policies.reading import feed

ROWS = 64
"""Prefixes that are read together; so many of each length are held at a time."""
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


@dataclass
class _Prefix:
    """The beginning that some token sequences share; prompts and prefixes are read once, however many share them."""

    next: dict[int, _Prefix] = field(default_factory=dict)
    whole: bool = False
    """Whether one of the sequences ends here."""

    def add(self, way: Sequence[int]) -> None:
        place = self
        for token in way:
            place = place.next.setdefault(token, _Prefix())
        place.whole = True


@dataclass
class _Reached:
    """A prefix after the prompt of a task, and the log-probability of coming this far."""

    task: int
    prefix: _Prefix
    logprob: torch.Tensor


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
    starts = []
    zero = torch.zeros((), dtype=torch.float64, device=model.device)
    for task, accepted in enumerate(answers):
        starts.append(_Reached(task, _Prefix(), zero))
        for way in {way for answer in accepted for way in tokenisations.of(answer)}:
            if len(way) < max_tokens:
                starts[-1].prefix.add(way)
    total = torch.zeros(len(prompts), dtype=torch.float64, device=model.device)
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    for begin in range(0, len(starts), ROWS):
        part = starts[begin : begin + ROWS]
        rows, logits_B_V = feed(model, None, [prompts[start.task] for start in part])
        _descend(model, stops, rows, logits_B_V, part, total)
    return total.cpu().numpy()


def _descend(
    model: PreTrainedModel,
    stops: torch.Tensor,
    rows: Rows,
    logits_B_V: torch.Tensor,
    reached: Sequence[_Reached],
    total_N: torch.Tensor,
) -> None:
    """Add to *total_N* what ends at each of the prefixes reached, and go on to what follows them, depth first."""
    logprobs_B_V = torch.log_softmax(logits_B_V, dim=-1).double()
    ends_B = torch.logsumexp(logprobs_B_V[:, stops], dim=-1)
    for row, at in enumerate(reached):
        if at.prefix.whole:
            total_N[at.task] += (at.logprob + ends_B[row]).exp()
    longer = [(row, token) for row, at in enumerate(reached) for token in at.prefix.next]
    for begin in range(0, len(longer), ROWS):
        part = longer[begin : begin + ROWS]
        index, tokens = torch.tensor(part, device=logits_B_V.device).T
        logprobs_K = torch.stack([reached[row].logprob for row, _ in part]) + logprobs_B_V[index, tokens]
        further = [
            _Reached(reached[row].task, reached[row].prefix.next[token], logprob)
            for (row, token), logprob in zip(part, logprobs_K, strict=True)
        ]
        _descend(model, stops, *feed(model, rows.select(index), tokens[:, None].tolist()), further, total_N)
