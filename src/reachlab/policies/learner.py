"""The one learner: weighted log-likelihood of policy tokens, with a KL penalty to the base.

Every treatment is a choice of transcripts and weights. Reinforcement learning weighs its own episodes by their
advantage; sft, rft and distil weigh given ones by 1, with ``beta`` 0. The loss of a batch of n transcripts is

    -1/n sum_i w_i sum_t log pi(a_t given h_t)  +  beta/n sum_i sum_t KL_t

over policy tokens only; no division by length, which would bias towards long failures (arXiv 2503.20783).

It trains what requires a gradient: all weights of a copy of the base, or the adapter of a model that shares the base's
(``adapters``). Dropout is off: what learns is the policy that sampled. So an update draws nothing at random, and
weights, Adam's moments, the count of updates, beta and the chunk's size are all there is to go on from.

Not covered: several updates on the same samples, several devices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from reachlab import Transcript
from reachlab.errors import BadValue, PolicyFault
from reachlab.policies import adapters
from reachlab.policies.config import LearnerConfig
from reachlab.policies.gradients import Gradients, out_of_memory


class Diverged(PolicyFault):
    """The loss is not a number, or a limit is passed: no weight was touched."""


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
    padding: float = 0.0
    """Share of the tokens computed."""
    chunk_tokens: int = 0
    """Tokens of one pass: fewer than configured where memory ran out."""
    ratio: float | None = None
    """Mean importance ratio before truncation; 1 in expectation. None: not corrected."""
    truncated: float | None = None
    """Share of the ratios that were cut off."""


class Learner:
    """Updates *model* in place; *base* is only read. They may be one adapted model: the reference is then the same
    with its adapter switched off."""

    def __init__(self, model: PreTrainedModel, base: PreTrainedModel, config: LearnerConfig) -> None:
        self.model, self.base, self.config = model, base, config
        self.beta = config.beta
        self.updates = 0
        self.trained = [p for p in model.parameters() if p.requires_grad]
        dtypes = {p.dtype for p in self.trained}
        if dtypes != {torch.float32}:
            allowed = "float32: small updates round away in less (cast the copy that is trained, or train an adapter)"
            raise BadValue("what is to be trained", sorted(map(str, dtypes)), allowed)
        if base is model and not adapters.adapted(model):
            raise BadValue("base", "the model that is trained", "another one, unless the model has an adapter")
        self._recomputed = _recomputed(model) if config.gradient_checkpointing else []
        self.gradients = Gradients(model, base, config, config.chunk_tokens)
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, foreach=True
        )

    def update(self, transcripts: Sequence[Transcript], weights: Sequence[float]) -> Update:
        """One optimizer step on all *transcripts*.

        Raises Diverged before any weight is touched; PolicyFault if memory does not suffice for one transcript.
        """
        with self._checkpointing():
            sums = self.gradients.accumulate(transcripts, weights, self.beta)
        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, self.config.max_norm))
        tokens, scored = sum(len(t.ids) for t in transcripts), max(sums.scored, 1)
        used = Update(
            loss=sums.loss,
            kl=sums.kl,
            entropy=sums.entropy / scored,
            grad_norm=norm,
            beta=self.beta,
            tokens=tokens,
            padding=max(0.0, 1 - tokens / max(sums.padded, 1)),
            chunk_tokens=self.gradients.chunk_tokens,
            ratio=sums.ratio / sums.units if sums.units else None,
            truncated=sums.truncated / sums.units if sums.units else None,
        )
        if problem := self._diverged(used, sums.scored):
            self.optimizer.zero_grad(set_to_none=True)
            raise Diverged(f"training diverged: {problem} at update {self.updates}")
        self._step()
        self._adapt(used.kl)
        return used

    def _diverged(self, found: Update, scored: int) -> str:
        if not math.isfinite(found.loss) or not math.isfinite(found.grad_norm):
            return f"loss {found.loss}, gradient norm {found.grad_norm}"
        return self.config.limits.broken(found.kl, found.entropy) if scored else ""

    def _step(self) -> None:
        self.updates += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * min(1.0, self.updates / max(self.config.warmup, 1))
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise PolicyFault("out of memory for Adam's two moments of every weight: train an adapter") from error
        self.optimizer.zero_grad(set_to_none=True)

    def _adapt(self, kl: float) -> None:
        if self.config.kl_target is not None:
            error = min(0.2, max(-0.2, kl / self.config.kl_target - 1))
            self.beta *= 1 + 0.5 * error

    @contextmanager
    def _checkpointing(self) -> Iterator[None]:
        """Layers recompute only where they believe to be training; everything else stays as it samples."""
        for layer in self._recomputed:
            layer.training = True
        try:
            yield
        finally:
            for layer in self._recomputed:
                layer.training = False

    def save(self, folder: Path) -> None:
        """What was trained (weights in Hugging Face format, or the adapter) and what is needed to go on from here."""
        save_weights(self.model, folder)
        torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")
        state = {"updates": self.updates, "beta": self.beta, "chunk_tokens": self.gradients.chunk_tokens}
        (folder / "learner.json").write_text(json.dumps(state))

    def restore(self, folder: Path) -> None:
        """Go on from a folder that ``save`` wrote."""
        if adapters.adapted(self.model):
            adapters.restore(self.model, folder)
        else:
            state = self.model.__class__.from_pretrained(folder, dtype=self.model.dtype).state_dict()
            self.model.load_state_dict(state)
        self.optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
        saved = json.loads((folder / "learner.json").read_text())
        self.updates, self.beta = int(saved["updates"]), float(saved["beta"])
        self.gradients.chunk_tokens = int(saved.get("chunk_tokens", self.config.chunk_tokens))


def updates_of(folder: Path) -> int:
    """How many updates the weights of a folder that ``save`` wrote have had."""
    return int(json.loads((folder / "learner.json").read_text())["updates"])


def save_weights(model: PreTrainedModel, folder: Path) -> None:
    """All weights in Hugging Face format, or the adapter alone."""
    if adapters.adapted(model):
        adapters.save(model, folder)
    else:
        model.save_pretrained(folder)


def _recomputed(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The layers whose activations are not kept, made ready for it."""
    layers: list[torch.nn.Module] = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    dropping = [m for m in layers if isinstance(p := getattr(m, "dropout", None), float) and p > 0]
    if not layers or dropping:
        allowed = "a model whose layers can be recomputed and have no dropout of their own"
        raise BadValue("gradient_checkpointing of", model.name_or_path, allowed)
    model.gradient_checkpointing_enable()
    return layers
