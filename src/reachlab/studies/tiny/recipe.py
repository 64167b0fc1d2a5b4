"""Train the tiny base: soft targets, clean documents first, loss on policy tokens (and lightly on observations).

Muon (https://kellerjordan.github.io/posts/muon/) updates the layers' matrices: with it copying is learned in half the
steps that AdamW takes, which updates embeddings and norms.
Not covered: bit-reproducibility across processors. ``fingerprint`` says which recipe made a set of weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from reachlab.seeding import derive, generator
from reachlab.studies.tiny import documents, tokenizer
from reachlab.studies.tiny.drawers import DRAWERS

POINT = 50
"""Steps behind one point of the recorded loss curve."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number of the training run."""

    steps: int = 1000
    batch: int = 108
    """Documents a step."""
    micro_batches: int = 4
    learning_rate: float = 4e-3
    """Of embeddings and norms."""
    matrix_rate: float = 0.02
    """Of the layers' matrices."""
    warmup: int = 50
    clean_fraction: float = 0.6
    """The habits stay clean for this share of the steps, then ramp to the base's over ``ramp_fraction``."""
    ramp_fraction: float = 0.15
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    mlp: int = 256
    positions: int = 2048
    seed: int = 0

    def habits(self, step: int) -> documents.Habits:
        ramp = (step / self.steps - self.clean_fraction) / self.ramp_fraction
        share = min(1.0, max(0.0, ramp))
        clean, base = asdict(documents.CLEAN), asdict(documents.BASE)
        return documents.Habits(**{k: (1 - share) * clean[k] + share * base[k] for k in clean})

    def rate(self, step: int) -> float:
        """Share of the highest rate: linear warm-up, then a cosine to nothing."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / (self.steps - self.warmup)))


def fingerprint(recipe: Recipe) -> str:
    """A hash of the recipe's numbers, its tokenizer, and the documents it draws at the start, middle and end."""
    tok = tokenizer.build()
    vocabulary = documents.Vocabulary(tok)
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    digest.update(json.dumps(tok.get_vocab(), sort_keys=True).encode() + tokenizer.TEMPLATE.encode())
    for step in (0, recipe.steps // 2, recipe.steps - 1):
        for d in draw_batch(vocabulary, recipe, step):
            mix = [round(m, 9) for m in d.mix]
            digest.update(json.dumps([d.ids, d.weights, d.main, d.other, mix]).encode())
    return digest.hexdigest()[:16]


def new_model(recipe: Recipe, tok: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    torch.manual_seed(derive(recipe.seed, "tiny-init"))
    config = LlamaConfig(
        vocab_size=len(tok),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.mlp,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )
    return LlamaForCausalLM(config)


def optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    apart = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in apart]
    return [
        torch.optim.Muon(matrices, lr=recipe.matrix_rate, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def draw_batch(vocabulary: documents.Vocabulary, recipe: Recipe, step: int) -> list[documents.Document]:
    rng = generator(recipe.seed, "tiny-documents", step)
    drawers = [DRAWERS[name] for name in sorted(DRAWERS)]
    habits = recipe.habits(step)
    batch = [drawers[i % len(drawers)](vocabulary, habits, rng) for i in range(recipe.batch)]
    return sorted(batch, key=lambda d: len(d.ids))


def batch_loss(model: LlamaForCausalLM, batch: list[documents.Document], table_U_V: torch.Tensor) -> torch.Tensor:
    """Sum over documents of the weighted cross-entropy to the target distributions, in nats."""
    width = max(len(d.ids) for d in batch)

    def pad(rows: Sequence[Sequence[float]], value: float) -> torch.Tensor:
        return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])

    ids_B_T = pad([d.ids for d in batch], 0).long()
    weights_B_T = pad([d.weights for d in batch], 0.0)[:, 1:]
    keep_B_T = weights_B_T > 0
    logits_B_T_V = model(input_ids=ids_B_T).logits[:, :-1]
    logprobs_N_V = torch.log_softmax(logits_B_T_V[keep_B_T], dim=-1)
    main_N, other_N = (pad([getattr(d, k) for d in batch], 0).long()[:, 1:][keep_B_T] for k in ("main", "other"))
    mix_N_1 = pad([d.mix for d in batch], 0.0)[:, 1:][keep_B_T][:, None]
    target_N_V = (1 - mix_N_1) * table_U_V[main_N] + mix_N_1 * table_U_V[other_N]
    return -(weights_B_T[keep_B_T] * (target_N_V * logprobs_N_V).sum(-1)).sum()


def train(
    recipe: Recipe, report: Callable[[int, float], None], steps: int | None = None
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """Run the recipe, or its first *steps*; *report* gets (step, mean loss per document in nats)."""
    tok = tokenizer.build()
    vocabulary = documents.Vocabulary(tok)
    table_U_V = torch.from_numpy(vocabulary.table)
    model = new_model(recipe, tok)
    both = optimizers(model, recipe)
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate) for optimizer in both]
    for step in range(recipe.steps if steps is None else steps):
        batch = draw_batch(vocabulary, recipe, step)
        total = 0.0
        for part in np.array_split(np.arange(len(batch)), recipe.micro_batches):
            loss = batch_loss(model, [batch[i] for i in part], table_U_V) / len(batch)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(both, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
        report(step, total)
    return model.eval(), tok


def curve(losses: Sequence[float]) -> list[float]:
    """Means over each ``POINT`` steps: what is left of a training by which another may be compared with it."""
    whole = len(losses) // POINT * POINT
    return [round(float(mean), 3) for mean in np.array(losses[:whole]).reshape(-1, POINT).mean(1)]


def save(
    model: LlamaForCausalLM, tok: PreTrainedTokenizerBase, recipe: Recipe, out: Path, losses: Sequence[float]
) -> None:
    """Hugging Face layout, weights in half precision, and beside them the recipe and the curve of its losses."""
    model.half().save_pretrained(out)
    tok.save_pretrained(out)
    made = {**asdict(recipe), "fingerprint": fingerprint(recipe), "losses": curve(losses)}
    (out / "recipe.json").write_text(json.dumps(made, indent=1) + "\n")
