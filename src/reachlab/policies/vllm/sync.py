"""Weights from transformers to vLLM, and the proof that they arrived.

Routes that write weights fail in silence: on a processor vLLM may compute with packed copies of the old ones. So every
update ends in a probe: log-probabilities of the same tokens by both, after reading and decoding. It is as sharp as its
tolerance: weights that move the probe by less go unnoticed until they have moved it by more.

Whether weights have changed is seen by where they lie, PyTorch's count of writes, and a sample of values: writes
through ``.data`` are not counted.

Not covered: names that transformers converts when it loads (mixtures of experts): they are refused, or fail the probe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.errors import PolicyFault
from reachlab.policies import adapters
from reachlab.seeding import generator

Weights = Mapping[str, torch.Tensor]
SAMPLED = 64
"""Values of each tensor that are compared."""
PROBE_ROWS, PROBE_READ, PROBE_SAID, PROBE_BEST = 4, 24, 8, 20
"""The probe: sequences, tokens of each that are read, tokens that follow, and how many of the likeliest tokens are
compared at each of these. (With an adapter, vLLM computes no log-probabilities of what it reads.)"""


@dataclass(frozen=True)
class Seen:
    """Weights as they were. The tensors are held: no other can take their place in memory."""

    tensors: tuple[torch.Tensor, ...]
    marks: tuple[tuple[int, int], ...]
    values: bytes

    @classmethod
    def of(cls, weights: Weights) -> Seen:
        tensors = tuple(t.detach() for t in weights.values())
        marks = tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)
        return cls(tensors, marks, _sampled(tensors))

    def still(self, weights: Weights) -> bool:
        """Whether *weights* are these, unchanged."""
        now = Seen.of(weights)
        return now.marks == self.marks and now.values == self.values


def whole(model: PreTrainedModel) -> Weights:
    """The weights by their names in a checkpoint; tied ones once, adapters left out."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if "lora_" not in name:
            plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
            found.setdefault(id(tensor), (plain, tensor))
    return dict(found.values())


def low_rank(model: PreTrainedModel) -> Weights:
    """The weights of a model's adapter; none if it carries none."""
    if not adapters.adapted(model):
        return {}
    return {name: tensor for name, tensor in model.named_parameters() if "lora_" in name}


def rank_of(model: PreTrainedModel) -> int:
    """The highest rank among a model's adapters, 0 without one."""
    configs = getattr(model, "peft_config", {})
    return max((int(config.r) for config in configs.values()), default=0)


def push(llm: Any, weights: Weights) -> None:
    """Write *weights* into the engine, which must be idle; what it has read of prompts is forgotten."""

    def load(module: Any) -> list[str]:
        with _bare(module):
            loaded = module.load_weights((name, tensor.detach()) for name, tensor in weights.items())
            return [] if loaded is None else sorted({name for name, _ in module.named_parameters()} - set(loaded))

    try:
        missing = llm.apply_model(load)[0]
    except Exception as error:  # each architecture of vLLM's has a loader of its own
        raise PolicyFault(f"vLLM does not take the weights: {type(error).__name__}: {error}") from error
    if missing:
        raise PolicyFault(f"vLLM was not given {', '.join(missing[:5])}: its model has weights that transformers lacks")
    forget(llm)


def forget(llm: Any, clean: bool = False) -> None:
    """Give up what the engine, which must be idle, has read of prompts. *clean*: also what lies in unused memory, where
    a NaN would spoil whatever is masked with zeros."""
    if not llm.llm_engine.reset_prefix_cache():
        raise PolicyFault("vLLM keeps its prefix cache, which the old weights computed: some request still runs")
    if clean:
        llm.llm_engine.collective_rpc(_clean)


def hang(llm: Any, model: PreTrainedModel, number: int, before: Any) -> Any:
    """Give the engine *model*'s adapter, by a *number* of its own, in place of the one *before*: what requests name."""
    engine = llm.llm_engine
    if before is not None:
        engine.remove_lora(before.lora_int_id)
    with TemporaryDirectory() as folder:
        adapters.save(model, Path(folder))
        request = import_module("vllm.lora.request").LoRARequest(f"adapter-{number}", number, folder)
        engine.add_lora(request)
    return request


def agree(llm: Any, model: PreTrainedModel, adapter: Any, tolerance: float) -> float:
    """The greatest difference of log-probabilities on the probe, in nats; NaN if both have no numbers to compare.
    PolicyFault where it passes *tolerance*."""
    vocabulary = model.config.get_text_config().vocab_size
    prompts = generator(0, "vllm-probe").integers(vocabulary, size=(PROBE_ROWS, PROBE_READ)).tolist()
    said, best = _by_vllm(llm, prompts, min(PROBE_BEST, vocabulary), adapter)
    expected_B_T_V = _by_transformers(model, [read + more for read, more in zip(prompts, said, strict=True)])
    pairs = [
        (logprob, expected_B_T_V[row, place, token])
        for row, places in enumerate(best)
        for place, found in enumerate(places)
        for token, logprob in found.items()
    ]
    given, expected = np.array(pairs, dtype=np.float64).T
    if np.isnan(given).any() and np.isnan(expected).any():
        return math.nan  # the model's own trouble, which faults its turns
    worst = float(np.abs(given - expected).max())
    if not worst <= tolerance:
        raise PolicyFault(
            f"vLLM does not compute what transformers computes: log-probabilities differ by {worst:.3g} nats on a "
            f"probe, allowed: {tolerance:g}. Nothing that it samples could be learned from. Usual causes: a layer that "
            "keeps a packed copy of its weights, kernels of lower precision (allowed by a larger tolerance), an "
            "architecture that vLLM loads by other names. The same policy runs without vLLM."
        )
    return worst


def _by_vllm(
    llm: Any, prompts: Sequence[list[int]], count: int, adapter: Any
) -> tuple[list[list[int]], list[list[dict[int, float]]]]:
    """What follows each prompt, and by place the *count* likeliest tokens with their log-probabilities."""
    parameters = import_module("vllm").SamplingParams(
        temperature=0.0, max_tokens=PROBE_SAID, logprobs=count, ignore_eos=True, detokenize=False
    )
    asked = [{"prompt_token_ids": ids} for ids in prompts]
    outputs = [o.outputs[0] for o in llm.generate(asked, parameters, use_tqdm=False, lora_request=adapter)]
    best = [[{i: found.logprob for i, found in place.items()} for place in output.logprobs] for output in outputs]
    return [list(output.token_ids) for output in outputs], best


@torch.inference_mode()
def _by_transformers(model: PreTrainedModel, ids: Sequence[list[int]]) -> np.ndarray:
    """(B, T, V) log-probabilities at the places that follow the prompts."""
    training = model.training
    model.eval()
    logits = model(input_ids=torch.tensor(ids, device=model.device), use_cache=False).logits
    model.train(training)
    return np.asarray(torch.log_softmax(logits[:, PROBE_READ - 1 : -1].float(), -1).cpu().numpy())


def _sampled(tensors: Sequence[torch.Tensor]) -> bytes:
    picked = [t.reshape(-1)[:: max(1, t.numel() // SAMPLED)][:SAMPLED].float() for t in tensors]
    return torch.cat(picked).cpu().numpy().tobytes() if picked else b""


def _clean(worker: Any) -> None:
    for cache in worker.model_runner.kv_caches:
        cache.zero_()


@contextmanager
def _bare(module: Any) -> Iterator[None]:
    """*module* without the layers that vLLM has put around its own to take adapters: its loader does not know them."""
    wrapped = [(name.rpartition("."), layer) for name, layer in module.named_modules() if hasattr(layer, "base_layer")]
    places = [(module.get_submodule(parent), name, layer) for (parent, _, name), layer in wrapped]
    for parent, name, layer in places:
        setattr(parent, name, layer.base_layer)
    try:
        yield
    finally:
        for parent, name, layer in places:
            setattr(parent, name, layer)
