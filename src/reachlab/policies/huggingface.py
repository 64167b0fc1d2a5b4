"""Any Hugging Face causal language model as a policy, by path or hub name; ``tiny`` is the one that ships.

``load("path/or/name")`` gives sessions (sampling), imagined observations, teacher-forced scores and exact p0.
Not covered: encoder-decoder models, linear-attention layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from reachlab import Prompt, Session, Transcript
from reachlab.errors import BadValue, UnknownName
from reachlab.policies import adapters
from reachlab.policies.chat import ChatTemplate
from reachlab.policies.enumeration import Tokenisations, exact_success
from reachlab.policies.imaginer import SessionImaginer
from reachlab.policies.scoring import TokenScores, score
from reachlab.policies.session import HuggingFaceSession, positions_of

TINY = Path(__file__).parent / "tiny"
DTYPES = ("float32", "bfloat16", "auto")
ATTENTION = {"full_attention", "sliding_attention"}


class Engine(Protocol):
    """What samples in place of transformers, with the policy's weights as they are when a turn is asked for."""

    def session(self, policy: HuggingFacePolicy) -> Session: ...


@dataclass(eq=False)
class HuggingFacePolicy:
    """A causal language model and its tokenizer."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    engine: Engine | None = None
    """What samples; None: transformers itself."""

    def __post_init__(self) -> None:
        layers = set(getattr(self.model.config.get_text_config(), "layer_types", None) or ATTENTION)
        if not layers <= ATTENTION:
            raise BadValue(f"layers of {self.name}", sorted(layers - ATTENTION), f"{sorted(ATTENTION)}")
        self.model.eval()

    @cached_property
    def template(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer)

    @cached_property
    def tokenisations(self) -> Tokenisations:
        return Tokenisations(self.tokenizer)

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Every end-of-sequence token of the tokenizer and the generation config."""
        configured = self.model.generation_config.eos_token_id if self.model.generation_config else None
        more = configured if isinstance(configured, list) else [configured]
        return frozenset(int(i) for i in (self.tokenizer.eos_token_id, *more) if i is not None)

    def session(self) -> Session:
        if self.engine is not None:
            return self.engine.session(self)
        return HuggingFaceSession(self.template, positions_of(self.model), self.model, self.stop_ids)

    def with_model(self, model: PreTrainedModel, name: str) -> HuggingFacePolicy:
        """The same tokenizer and engine with other weights."""
        return HuggingFacePolicy(name, model, self.tokenizer, self.engine)

    def imaginer(self) -> SessionImaginer:
        """A new ``reachlab.Imaginer``, for one rollout."""
        stops = self.stop_ids | {self.template.observation_stop}
        session = HuggingFaceSession(self.template, positions_of(self.model), self.model, stops)
        return SessionImaginer(self.template, session)

    def score(self, base: HuggingFacePolicy, transcripts: Sequence[Transcript]) -> list[TokenScores]:
        return score(self.model, base.model, transcripts)

    @property
    def enumerable(self) -> bool:
        """Whether accepted answers can be enumerated: every id the model may sample decodes to some text."""
        known = self.model.config.get_text_config().vocab_size <= len(self.tokenizer)
        return known and not self.tokenisations.silent

    def exact_success(self, prompts: Sequence[Prompt], answers: Sequence[Sequence[str]], max_tokens: int) -> np.ndarray:
        """(N,) exact closed-book probability of an accepted answer; see ``enumeration``."""
        ids = [self.template.prompt_ids(p) for p in prompts]
        return exact_success(self.model, self.tokenisations, sorted(self.stop_ids), ids, answers, max_tokens)


def load(path: str, dtype: str = "float32") -> HuggingFacePolicy:
    """A model by folder or hub name; the folder of an adapter is its base with the adapter merged in.

    *dtype* is that of the weights: ``float32``, ``bfloat16`` or ``auto`` (as they are stored). float32 is the default:
    small updates of trained weights round away in less, log-probabilities are off by some 4e-3 nats, and on a processor
    a small model gains nothing (``benchmarks/learner.py``). On a GPU bfloat16 halves memory; train an adapter on it.
    """
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, DTYPES)
    transformers.utils.logging.disable_progress_bar()
    if adapters.is_adapter(path):
        below = load(adapters.base_of(path), dtype)
        return HuggingFacePolicy(str(path), adapters.merged(below.model, Path(path)), below.tokenizer)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    except (OSError, ValueError, SafetensorError) as error:
        allowed = f"a folder or hub name of a causal language model ({_first_line(error)})"
        raise BadValue("policy", path, allowed) from error
    return HuggingFacePolicy(str(path), on_device(model, "cuda" if torch.cuda.is_available() else "cpu"), tokenizer)


def on_device(model: PreTrainedModel, device: str | torch.device) -> PreTrainedModel:
    """The model, moved (the annotations of ``PreTrainedModel.to`` lose its type)."""
    torch.nn.Module.to(model, device)
    return model


def tiny() -> HuggingFacePolicy:
    """The tiny base that ships with reachlab."""
    policy = load(str(TINY))
    policy.name = "tiny"
    return policy


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


