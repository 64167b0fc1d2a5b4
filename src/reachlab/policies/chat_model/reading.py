"""What an ``AIMessage`` tells about itself: tokens, log-probabilities, whether it came to its end.

Providers agree on the names in part; what none of them tells is estimated and marked so (``ESTIMATED``).
A turn that a provider's filter cut counts as said. Not covered: prices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from langchain_core.messages import AIMessage

from reachlab import FloatArray, IntArray

COUNTED = -1
"""The id of a token that the provider counted and did not name."""
ESTIMATED = -2
"""The id of a token that is there by estimate: nobody counted."""
BYTES_PER_TOKEN = 4
"""Of an estimate: UTF-8 bytes of English text to a token, about."""
REASONS = ("finish_reason", "stop_reason", "done_reason", "stopReason")
CUT = {"length", "max_tokens", "max_output_tokens", "model_length"}


class Reading(NamedTuple):
    """Of one turn."""

    ids: IntArray
    """(T,) all ``COUNTED`` or all ``ESTIMATED``."""
    logprobs: FloatArray
    """(T,) nats; zeros where the provider gives none."""
    ended: bool
    prompt: int | None
    """Tokens of the whole conversation before this turn, where they are told."""


def read(message: AIMessage, text: str, max_tokens: int) -> Reading:
    """*text*: the turn as the environment takes it, for the estimate, which never exceeds *max_tokens*."""
    usage = message.usage_metadata
    if usage and usage["output_tokens"] > 0:
        ids, prompt = np.full(usage["output_tokens"], COUNTED), usage["input_tokens"] or None
    else:
        ids, prompt = np.full(min(estimate(text), max_tokens), ESTIMATED), None
    logprobs = _logprobs(message)
    return Reading(ids, logprobs if len(logprobs) == len(ids) else np.zeros(len(ids)), not cut(message), prompt)


def estimate(text: str) -> int:
    """Tokens of *text*, about; at least 1 (an empty turn has its end)."""
    return max(1, -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN))


def cut(message: AIMessage) -> bool:
    """Whether the token limit ended the turn."""
    said = message.response_metadata
    reasons = [said.get(name) for name in REASONS]
    incomplete = said.get("incomplete_details")
    reasons.append(incomplete.get("reason") if isinstance(incomplete, dict) else None)
    return any(str(reason).lower() in CUT for reason in reasons)


def _logprobs(message: AIMessage) -> FloatArray:
    """Of OpenAI's form: ``{"content": [{"token": ..., "logprob": ...}, ...]}``."""
    told: Any = message.response_metadata.get("logprobs")
    tokens = told.get("content") if isinstance(told, dict) else None
    try:
        found = np.array([token["logprob"] for token in tokens or ()], dtype=np.float64)
    except (TypeError, KeyError, ValueError):
        return np.zeros(0)
    return found if np.isfinite(found).all() else np.zeros(0)
