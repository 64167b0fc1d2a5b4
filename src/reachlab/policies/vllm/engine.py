"""One vLLM engine for all policies of one shape in this process: requests in, turns out, weights kept up to date.

It is built when the first turn is asked for. Before an idle engine takes a request, it takes over weights that have
changed and proves it (``sync``); while it runs, all requests must be for the same weights. An engine that fails faults
the turns it was at, and is built anew for the next.

Not covered: several engines side by side on one device; threads (sessions share it from one).
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from transformers import PreTrainedModel

from reachlab.errors import PolicyFault
from reachlab.policies import adapters
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.vllm import sync
from reachlab.policies.vllm.build import build, longest
from reachlab.policies.vllm.sampling import KEY
from reachlab.policies.vllm.session import Asked, Sampled, VllmSession
from reachlab.policies.vllm.settings import Settings, padded

Done = Callable[[Sampled], None]
_engines: dict[str, VllmEngine] = {}
"""By the shape of their models, and their settings."""
_live: weakref.WeakSet[VllmEngine] = weakref.WeakSet()
"""Those that are built."""


@dataclass(eq=False)
class VllmEngine:
    """``reachlab.policies.huggingface.Engine``."""

    path: str
    """Where the model's shape is read."""
    settings: Settings
    syncs: int = 0
    """Weights or adapters taken over so far."""
    _llm: Any = None
    _rank: int = 0
    _model: PreTrainedModel | None = None
    """Whose weights the engine has."""
    _weights: sync.Seen | None = None
    _low_rank: sync.Seen | None = None
    _adapter: Any = None
    _spoiled: bool = False
    """Whether something that is no number came out, and may lie in the cache."""
    _running: dict[str, Done] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    def of(cls, model: PreTrainedModel, settings: Settings) -> VllmEngine:
        """The engine of this process for models of *model*'s shape."""
        shape = {**model.config.to_dict(), "_name_or_path": "", "transformers_version": "", "dtype": str(model.dtype)}
        key = json.dumps([shape, repr(settings)], sort_keys=True, default=str)
        return _engines.setdefault(key, cls(str(model.name_or_path), settings))

    def session(self, policy: HuggingFacePolicy) -> VllmSession:
        room = longest(policy.model, self.settings)
        return VllmSession(policy.template, room, policy.model, policy.stop_ids, engine=self)

    def add(self, model: PreTrainedModel, asked: Asked, done: Done) -> None:
        """Take a request; *done* hears of it, at the latest when everything has been stepped to its end.

        Raises PolicyFault if the engine cannot be built, or computes something else than *model*.
        """
        if self._running and model is not self._model:
            self._drop("given up: requests for other weights came while this one ran")
        if not self._running:
            self._ready(model)
        name = str(next(self._numbers))
        self._running[name] = done
        prompt = {"type": "token", "prompt_token_ids": asked.ids}
        adapter = self._adapter if adapters.adapted(model) else None
        try:
            self._llm.llm_engine.add_request(name, prompt, _parameters(asked), lora_request=adapter)
        except Exception as error:  # vLLM's own checks of a request
            del self._running[name]
            done(Sampled((), (), f"vLLM refused the request: {type(error).__name__}: {error}"))

    def step(self) -> None:
        """One token for every running request, or the reading of new ones; tells those that are done."""
        try:
            finished = self._llm.llm_engine.step()
        except Exception as error:  # out of memory, a dead engine, a kernel
            self._drop(f"vLLM failed: {type(error).__name__}: {error}")
            self.close()
            return
        for output in finished:
            if output.finished and (done := self._running.pop(output.request_id, None)):
                sampled = _sampled(output.outputs[0])
                self._spoiled |= not all(map(math.isfinite, sampled.logprobs))
                done(sampled)

    def close(self) -> None:
        """Free the engine, and with it every other of this process: vLLM takes down what lies under all of them. The
        next request builds another."""
        for engine in list(_live):
            engine._free()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _free(self) -> None:
        self._drop("given up: the engine was closed")
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()  # now, and not whenever the last reference to it goes
        self._llm = self._model = self._weights = self._low_rank = self._adapter = None
        _live.discard(self)

    def _ready(self, model: PreTrainedModel) -> None:
        """Built, and with *model*'s weights. PolicyFault if that cannot be had."""
        rank = padded(max(self.settings.lora_rank, sync.rank_of(model)))
        if self._llm is None or rank > self._rank:
            self.close()
            self._llm, self._rank, self._spoiled = build(self.path, model, self.settings, rank), rank, False
            _live.add(self)
        try:
            self._take_over(model)
        except PolicyFault:
            raise
        except Exception as error:  # out of memory, a dead engine, a kernel
            self.close()
            raise PolicyFault(f"vLLM failed to take over weights: {type(error).__name__}: {error}") from error

    def _take_over(self, model: PreTrainedModel) -> None:
        """Whatever is not *model*'s yet, weights and adapter; and the proof of it."""
        if self._spoiled:
            sync.forget(self._llm, clean=True)
            self._spoiled = False
        weights, low_rank = sync.whole(model), sync.low_rank(model)
        fresh = self._weights is None or not self._weights.still(weights)
        if fresh:
            self._weights = None
            sync.push(self._llm, weights)
        new_adapter = bool(low_rank) and (self._low_rank is None or not self._low_rank.still(low_rank))
        if fresh or new_adapter:
            self.syncs += 1
            if new_adapter:
                self._low_rank = None
                self._adapter = sync.hang(self._llm, model, self.syncs, before=self._adapter)
            worst = sync.agree(self._llm, model, self._adapter if low_rank else None, self.settings.tolerance)
            self._spoiled = math.isnan(worst)
            self._weights = sync.Seen.of(weights)
            self._low_rank = sync.Seen.of(low_rank) if low_rank else self._low_rank
        self._model = model

    def _drop(self, reason: str) -> None:
        """Fault whatever runs."""
        running, self._running = self._running, {}
        if running and self._llm is not None:
            with suppress(Exception):  # one that died may not even hear of it
                self._llm.llm_engine.abort_request(list(running))
        for done in running.values():
            done(Sampled((), (), reason))


def _parameters(asked: Asked) -> Any:
    vllm: Any = import_module("vllm.sampling_params")
    return vllm.SamplingParams(
        temperature=0.0,  # the draw leaves one id
        max_tokens=asked.max_tokens,
        stop_token_ids=sorted(asked.stop_ids),
        ignore_eos=True,
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        output_kind=vllm.RequestOutputKind.FINAL_ONLY,
        extra_args={KEY: asked.draw},
        skip_clone=True,
    )


def _sampled(output: Any) -> Sampled:
    flat = output.logprobs
    return Sampled(list(output.token_ids), [flat.logprobs[start] for start in flat.start_indices])
