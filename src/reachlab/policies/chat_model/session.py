"""A session over a chat model: it holds the messages of each handle, and asks for turns side by side.

Token ids are unknown; their number is what the provider counted (``reading.COUNTED``), else an estimate
(``reading.ESTIMATED``). Not covered: continuing a turn in the middle (no imagined observations), caching of prompts
(providers do that themselves).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

import numpy as np
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from reachlab import ActRequest, CallFormat, FloatArray, IntArray, Json, Prompt, TokenKind, ToolResult, Transcript, Turn
from reachlab.errors import PolicyFault
from reachlab.policies.chat_model.messages import Calls, Said, answers, opening, spoken
from reachlab.policies.chat_model.reading import COUNTED, ESTIMATED, Reading, estimate, read
from reachlab.policies.chat_model.retry import Retry, side_by_side, silence, status
from reachlab.seeding import derive

LIMITS = ("max_tokens", "max_output_tokens", "num_predict", "max_new_tokens")
"""Fields that hold the most tokens of a turn, in LangChain's chat models."""
SEEDS = ("seed", "random_seed")
TOO_LONG = ("context length", "context_length", "context window", "prompt is too long")
"""What servers say where the conversation does not fit, if their library has no error of its own for it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of tokens of one kind."""

    kind: TokenKind
    ids: IntArray
    logprobs: FloatArray

    @classmethod
    def of(cls, kind: TokenKind, id: int, count: int) -> Segment:
        return cls(kind, np.full(count, id), np.zeros(count))


@dataclass
class Past:
    """One episode so far."""

    messages: list[BaseMessage]
    tools: tuple[Json, ...]
    """Bound to the model."""
    seed: int
    segments: list[Segment]
    native: tuple[tuple[str, str], ...] = ()
    """Calls of the last turn that wait for a ``ToolMessage``."""
    turns: int = 0


@dataclass
class ChatModelSession:
    """``reachlab.Session`` over *chat_model*."""

    chat_model: BaseChatModel
    name: str
    calls: Calls
    call_format: CallFormat
    concurrency: int
    retry: Retry
    _pasts: dict[int, Past] = field(default_factory=dict)
    _next: int = 0

    def start(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[int]:
        handles = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            messages = opening(prompt, self.call_format, self.calls)
            tools = () if self.calls == "text" else prompt.tools
            count = sum(estimate(str(m.text)) for m in messages) + sum(estimate(str(tool)) for tool in tools)
            handles.append(self._add(Past(messages, tools, seed, [Segment.of(TokenKind.PROMPT, ESTIMATED, count)])))
        return handles

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        for request, outcome in side_by_side(self._ask, requests, self.concurrency, self.retry.seconds):
            yield request.handle, self._take(request, outcome)

    def append(self, handle: int, results: Sequence[ToolResult]) -> None:
        past = self._pasts[handle]
        replies = answers(results, past.native, self.calls)
        past.messages += replies
        count = sum(estimate(str(message.text)) for message in replies)
        past.segments.append(Segment.of(TokenKind.OBSERVATION, ESTIMATED, count))
        past.native = ()

    def fork(self, handle: int, seed: int) -> int:
        past = self._pasts[handle]
        return self._add(replace(past, seed=seed, messages=[*past.messages], segments=[*past.segments]))

    def transcript(self, handle: int) -> Transcript:
        segments = self._pasts[handle].segments
        return Transcript(
            np.concatenate([s.ids for s in segments]),
            np.concatenate([np.full(len(s.ids), s.kind, dtype=np.uint8) for s in segments]),
            np.concatenate([s.logprobs for s in segments]),
        )

    def close(self, handle: int) -> None:
        del self._pasts[handle]

    def _add(self, past: Past) -> int:
        self._next += 1
        self._pasts[self._next] = past
        return self._next

    def _ask(self, request: ActRequest, stop: Event) -> tuple[Said, Reading]:
        """On a thread of its own: reads the past, changes nothing."""
        past = self._pasts[request.handle]
        model = sampling(self.chat_model, derive(past.seed, "sampling", past.turns), request.max_tokens)
        choice = {"tool_choice": "none"} if self.calls == "raw" else {}
        asked = model.bind_tools(list(past.tools), **choice) if past.tools else model

        def once() -> tuple[Said, Reading]:
            message = asked.invoke(list(past.messages))
            if not isinstance(message, AIMessage):
                raise PolicyFault(f"the model returned a {type(message).__name__}, not an AIMessage")
            said = spoken(message, self.call_format, bool(past.tools) and self.calls == "native")
            return said, read(message, said.text, request.max_tokens)

        return self.retry.run(once, stop)

    def _take(self, request: ActRequest, outcome: tuple[Said, Reading] | Exception) -> Turn:
        past = self._pasts[request.handle]
        if isinstance(outcome, Exception):
            cause = outcome.__cause__ or outcome
            if past.turns and overflows(cause):  # it filled its context itself, by its calls
                return silence()
            return silence(f"{self.name}: {_advice(cause)}{outcome}")
        said, reading = outcome
        if reading.prompt is not None:
            _count(past, reading.prompt)
        past.messages.append(said.kept)
        past.segments.append(Segment(TokenKind.POLICY, reading.ids, reading.logprobs))
        past.native, past.turns = said.native, past.turns + 1
        return Turn(said.text, reading.ids, reading.logprobs, reading.ended)


def sampling(model: BaseChatModel, seed: int, max_tokens: int) -> BaseChatModel:
    """The model with the seed and the limit of one turn, in the fields that it has for them; nothing is cached.

    A field, not an argument of ``invoke``: some models pass on whatever they are given to a client that refuses it.
    """
    known = type(model).model_fields
    update: dict[str, object] = {"cache": False}
    for name in [n for n in LIMITS if n in known][:1]:
        own = getattr(model, name)
        update[name] = min(own, max_tokens) if isinstance(own, int) and own > 0 else max_tokens
    for name in [n for n in SEEDS if n in known][:1]:
        update[name] = seed % 2**31
    return model.model_copy(update=update)


def overflows(error: BaseException) -> bool:
    """Whether the conversation was too long for the model."""
    if isinstance(error, ContextOverflowError):
        return True
    return status(error) in (400, 413) and any(words in str(error).lower() for words in TOO_LONG)


def _advice(error: BaseException) -> str:
    text = str(error).lower()
    if overflows(error):
        return "the task and its budget do not fit into the model's context: shorten them by dials; "
    if status(error) == 400 and "tool" in text:
        return "the server refuses native tool calls: use calls='text'; "
    return ""


def _count(past: Past, prompt: int) -> None:
    """Put what the provider counted in place of the estimate that stands last."""
    last = past.segments[-1]
    before = sum(len(segment.ids) for segment in past.segments[:-1])
    if prompt > before:
        past.segments[-1] = Segment.of(last.kind, COUNTED, prompt - before)
