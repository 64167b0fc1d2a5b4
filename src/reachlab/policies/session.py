"""A session over a Hugging Face model: batched multi-turn sampling with the cache kept across turns.

Equal prompts are encoded once; rows that finish are dropped as soon as they are half of the batch (stragglers cost
more than anything else); what a handle samples depends on its seed alone, by inverse CDF on its own uniforms.
Not covered: truncated sampling (top-k, top-p): reach is measured at temperature 1 over the full vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab import ActRequest, Prompt, TokenKind, ToolResult, Transcript, Turn
from reachlab.policies.cache import Rows, empty_cache, growing, merge
from reachlab.policies.chat import ChatTemplate, prompt_key
from reachlab.seeding import generator


@dataclass
class Thread:
    """One episode's tokens. ``unread`` of them, at the end, are not in the cache yet."""

    ids: list[int]
    kinds: list[int]
    logprobs: list[float]
    seed: int
    unread: int
    turns: int = 0
    rows: Rows | None = None
    row: int = 0

    def push(self, ids: Sequence[int], kinds: Sequence[int], logprobs: Sequence[float] | None = None) -> None:
        self.ids.extend(ids)
        self.kinds.extend(kinds)
        self.logprobs.extend(logprobs if logprobs is not None else [0.0] * len(ids))
        self.unread += len(ids)


@dataclass
class HuggingFaceSession:
    """``reachlab.Session`` over *model*; ``stop_ids`` end a turn."""

    model: PreTrainedModel
    template: ChatTemplate
    stop_ids: frozenset[int]
    _threads: dict[int, Thread] = field(default_factory=dict)
    _next: int = 0

    def start(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[int]:
        known: dict[str, list[int]] = {}
        handles = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            key = prompt_key(prompt)
            if key not in known:
                known[key] = self.template.prompt_ids(prompt)
            handles.append(self.open(known[key], seed))
        return handles

    def open(self, ids: Sequence[int], seed: int) -> int:
        """A handle that continues the given ids."""
        count = len(ids)
        return self._add(Thread(list(ids), [int(TokenKind.PROMPT)] * count, [0.0] * count, seed, count))

    @torch.inference_mode()
    def rewind(self, handle: int, ids: Sequence[int], seed: int) -> int:
        """The handle, as if opened with these ids; what it has read of their beginning stays read."""
        past = self._threads[handle]
        read = min(len(past.ids) - past.unread, len(ids) - 1)
        shared = next((i for i in range(read) if past.ids[i] != ids[i]), read)
        thread = Thread(list(ids), [int(TokenKind.PROMPT)] * len(ids), [0.0] * len(ids), seed, len(ids) - shared)
        if past.rows is not None:
            past.rows.cut(past.row, shared)
            thread.rows, thread.row = past.rows, past.row
        self._threads[handle] = thread
        return handle

    def append(self, handle: int, results: Sequence[ToolResult]) -> None:
        suffix = self.template.suffix(tuple(results))
        self._threads[handle].push(suffix.ids, suffix.kinds)

    def fork(self, handle: int, seed: int) -> int:
        past = self._threads[handle]
        own = replace(past, seed=seed, ids=[*past.ids], kinds=[*past.kinds], logprobs=[*past.logprobs])
        return self._add(own)

    def transcript(self, handle: int) -> Transcript:
        thread = self._threads[handle]
        return Transcript(
            np.array(thread.ids, dtype=np.int64),
            np.array(thread.kinds, dtype=np.uint8),
            np.array(thread.logprobs, dtype=np.float64),
        )

    def close(self, handle: int) -> None:
        del self._threads[handle]

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        if not requests:
            return
        threads = [self._threads[r.handle] for r in requests]
        limits = np.array([r.max_tokens for r in requests])
        most = int(limits.max())
        uniforms_B_T = np.stack([generator(t.seed, "sampling", t.turns).random(most) for t in threads])
        rows, logits_B_V = self._read(threads)
        for index, thread in enumerate(threads):
            thread.rows, thread.row = rows, index
        decoder = _Decoder(self.model, rows, logits_B_V, uniforms_B_T, limits, self.stop_ids)
        for index, ids, logprobs, fault in decoder.run(threads):
            thread = threads[index]
            thread.push(ids.tolist(), [int(TokenKind.POLICY)] * len(ids), logprobs.tolist())
            thread.turns += 1
            thread.unread = 1  # the last sampled token was never fed
            ended = len(ids) > 0 and int(ids[-1]) in self.stop_ids
            said = ids[:-1] if ended else ids
            text = self.template.decode(said.tolist())
            yield requests[index].handle, Turn(text, ids, logprobs, ended, fault)

    def _add(self, thread: Thread) -> int:
        self._next += 1
        self._threads[self._next] = thread
        return self._next

    def _read(self, threads: Sequence[Thread]) -> tuple[Rows, torch.Tensor]:
        """Feed what each thread has not read; the rows in order, and the logits after the last token of each."""
        parts, logits, order = [], [], []
        fresh = [i for i, t in enumerate(threads) if t.rows is None]
        if fresh:
            distinct: dict[tuple[int, ...], int] = {}
            which = [distinct.setdefault(tuple(threads[i].ids), len(distinct)) for i in fresh]
            rows, logits_U_V = feed(self.model, None, [list(ids) for ids in distinct])
            index = torch.tensor(which, device=logits_U_V.device)
            shared = len(distinct) < len(fresh)
            parts.append(rows.select(index) if shared else rows)
            logits.append(logits_U_V[index])
            order += fresh
        by_rows: dict[int, list[int]] = {}
        for i, thread in enumerate(threads):
            if thread.rows is not None:
                by_rows.setdefault(id(thread.rows), []).append(i)
        if by_rows:
            groups = list(by_rows.values())
            kept = []
            for group in groups:
                held = threads[group[0]].rows
                assert held is not None
                kept.append(held.select(torch.tensor([threads[i].row for i in group], device=held.mask_B_C.device)))
            members = [i for group in groups for i in group]
            unread = [threads[i].ids[-threads[i].unread :] for i in members]
            rows, logits_U_V = feed(self.model, merge(kept), unread)
            parts.append(rows)
            logits.append(logits_U_V)
            order += members
        rows, logits_B_V = merge(parts), torch.cat(logits)
        for thread in threads:
            thread.unread = 0
        if order == list(range(len(threads))):
            return rows, logits_B_V
        back = torch.tensor(np.argsort(order), device=logits_B_V.device)
        return rows.select(back), logits_B_V[back]


@torch.inference_mode()
def feed(model: PreTrainedModel, rows: Rows | None, new: Sequence[Sequence[int]]) -> tuple[Rows, torch.Tensor]:
    """Append *new* ids to each row (to empty rows if None); the rows, and logits (B, V) after the last id of each."""
    device = model.device
    counts = torch.tensor([len(ids) for ids in new], device=device)
    width = int(counts.max())
    ids_B_T = torch.tensor([[0] * (width - len(ids)) + list(ids) for ids in new], device=device)
    offset_B_T = torch.arange(width, device=device) - (width - counts)[:, None]
    real_B_T = offset_B_T >= 0
    if rows is None:
        start_B, mask_B_C = torch.zeros_like(counts), real_B_T
    else:
        start_B, mask_B_C = rows.lengths_B, torch.cat([rows.mask_B_C, real_B_T], 1)
    cache = empty_cache() if rows is None else rows.cache()
    out = model(
        input_ids=ids_B_T,
        attention_mask=mask_B_C.long(),
        position_ids=(start_B[:, None] + offset_B_T).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return Rows(growing(cache), mask_B_C, start_B + counts), out.logits[:, -1].float()


@dataclass
class _Decoder:
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
