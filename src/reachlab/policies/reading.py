"""How new tokens of episodes are read into the cache: ragged rows in one pass.

Equal beginnings are read once. Not covered: sampling (``decoding``), templates (``chat``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.policies.cache import Rows, empty_cache, growing, merge
from reachlab.policies.threads import Thread


def read(model: PreTrainedModel, threads: Sequence[Thread]) -> tuple[Rows, torch.Tensor]:
    """Feed what each thread has not read; the rows in order, and the logits after the last token of each."""
    parts, logits, order = [], [], []
    fresh = [i for i, t in enumerate(threads) if t.rows is None]
    if fresh:
        distinct: dict[tuple[int, ...], int] = {}
        which = [distinct.setdefault(tuple(threads[i].ids), len(distinct)) for i in fresh]
        rows, logits_U_V = feed(model, None, [list(ids) for ids in distinct])
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
            for i in group:  # the last of its rows to go on frees a cache
                threads[i].rows = None
            del held
        members = [i for group in groups for i in group]
        unread = [threads[i].ids[-threads[i].unread :] for i in members]
        rows, logits_U_V = feed(model, merge(kept), unread)
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
