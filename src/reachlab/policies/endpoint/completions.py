"""The completions route of OpenAI's API with token ids in and out, as vLLM serves it.

Everything that could bend the distribution is set: a server takes what is left out from the model's generation config.
Not covered: servers that take text only (chat mode serves those).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reachlab import FloatArray, IntArray, Json
from reachlab.errors import PolicyFault

UNBENT: Json = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
IDS: Json = {"logprobs": 0, "return_token_ids": True, "return_tokens_as_token_ids": True}
PREFIX = "token_id:"


class Completion(NamedTuple):
    """What was sampled."""

    ids: IntArray
    """(T,) token ids, the one that ended it included."""
    logprobs: FloatArray
    """(T,) nats, temperature 1, full vocabulary."""
    stopped: bool
    """The server says that its last token ended it: it may know ends of a turn that are not known here."""


def asking(model: str, ids: Sequence[int], *, seed: int, max_tokens: int, stop: Sequence[int]) -> Json:
    """The body of a request for what follows *ids*."""
    body: Json = {"model": model, "prompt": list(ids), "max_tokens": max_tokens, "seed": seed}
    return {**body, "stop_token_ids": list(stop), "skip_special_tokens": False, **UNBENT, **IDS}


def completion(answer: Json, max_tokens: int) -> Completion:
    """Read the answer to ``asking``. Raises PolicyFault where it is not what was asked for."""
    choice = _choice(answer)
    ids, logprobs = _ids(choice), _logprobs(choice)
    finite = all(isinstance(p, int | float) and np.isfinite(p) and p <= 1e-3 for p in logprobs)
    if not 0 < len(ids) <= max_tokens or len(ids) != len(logprobs) or not finite:
        raise PolicyFault(
            f"the server gave {len(ids)} token ids of at most {max_tokens} and {len(logprobs)} log-probabilities"
            + ("" if finite else ", some of them no numbers")
        )
    stopped = choice.get("finish_reason") == "stop"
    return Completion(np.array(ids, dtype=np.int64), np.array(logprobs, dtype=np.float64), stopped)


def scoring(model: str, ids: Sequence[int]) -> Json:
    """The body of a request for the log-probabilities of *ids* themselves."""
    return {"model": model, "prompt": list(ids), "max_tokens": 0, "echo": True, **UNBENT, **IDS}


def scored(answer: Json, ids: Sequence[int]) -> FloatArray:
    """(T,) nats of the given ids, 0 for the first, which nothing predicts."""
    choice = _choice(answer)
    found, logprobs = _named(choice), _logprobs(choice)
    numbers = [p for p in logprobs[1:] if isinstance(p, int | float) and np.isfinite(p)]
    if found != list(ids) or len(numbers) != len(ids) - 1:
        raise PolicyFault("the server did not score the tokens that it was given")
    return np.array([0.0, *numbers])


def tokenised(answer: Json) -> list[int] | None:
    """Ids of the prompt as the server read it, where it tells."""
    found = _choice(answer).get("prompt_token_ids")
    return found if isinstance(found, list) else None


def _choice(answer: Json) -> Json:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise PolicyFault(f"the server's answer has no choices; it holds {sorted(answer)}")
    found: Json = choices[0]
    return found


def _told(choice: Json, name: str) -> list[Any]:
    held = choice.get("logprobs")
    found = held.get(name) if isinstance(held, dict) else None
    return found if isinstance(found, list) else []


def _ids(choice: Json) -> list[int]:
    found = choice.get("token_ids")
    found = found if isinstance(found, list) else _named(choice)
    return found if all(isinstance(i, int) for i in found) else []


def _named(choice: Json) -> list[int]:
    """From tokens written ``token_id:7``: what stands beside the log-probabilities, an echoed prompt too."""
    tokens = [str(token) for token in _told(choice, "tokens")]
    return [int(t[len(PREFIX) :]) for t in tokens if t.startswith(PREFIX) and t[len(PREFIX) :].isdigit()]


def _logprobs(choice: Json) -> list[Any]:
    return _told(choice, "token_logprobs")
