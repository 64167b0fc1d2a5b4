"""A chat model whose turns a function writes: for tests, examples and dry runs without a provider.

::

    def script(messages, tools, rng):
        return AIMessage("", tool_calls=[{"name": "search", "args": {"query": "rami"}, "id": "1"}])

    ScriptedChatModel(script=script).bind_tools([search]).invoke("What is rami's code?")

Tokens are words; usage, limits, stop sequences, seeds and streaming are as of a provider's. It passes LangChain's
standard suite for chat models. Not covered: log-probabilities.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from reachlab import Json
from reachlab.seeding import generator

Script = Callable[[Sequence[BaseMessage], Sequence[Json], np.random.Generator], "AIMessage | str"]
"""The next message, given the conversation, the tools that are bound (OpenAI's form) and a seeded generator."""
_WORD = re.compile(r"\S+\s*")


def _last_words(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> str:
    return str(messages[-1].text) or "..."


class ScriptedChatModel(BaseChatModel):
    """``BaseChatModel`` over a script; without one it says what it was told last."""

    script: Script = _last_words
    model: str = "scripted"
    seed: int = 0
    max_tokens: int | None = None
    temperature: float | None = None
    stop: list[str] | None = None
    counts: bool = True
    """Whether it tells how many tokens it used."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Tools in any of LangChain's forms; a *tool_choice* that names one leaves only that."""
        schemas = [convert_to_openai_tool(tool) for tool in tools]
        chosen = [schema for schema in schemas if schema["function"]["name"] == tool_choice]
        return self.bind(tools=chosen or schemas, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        written = self.script(messages, kwargs.get("tools", ()), generator(self.seed, "script", len(messages)))
        message = AIMessage(written) if isinstance(written, str) else written
        text, reason = _cut(message.content, stop or self.stop or (), kwargs.get("max_tokens", self.max_tokens))
        update: dict[str, Any] = {"content": text}
        update["response_metadata"] = {
            "model_name": kwargs.get("model", self.model),
            "finish_reason": "tool_calls" if message.tool_calls and reason == "stop" else reason,
            **message.response_metadata,
        }
        message = message.model_copy(update=update)
        if self.counts and message.usage_metadata is None:
            message.usage_metadata = _usage(messages, kwargs.get("tools", ()), message)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        message = self._generate(messages, stop, **kwargs).generations[0].message
        assert isinstance(message, AIMessage)
        words = _WORD.findall(message.content) if isinstance(message.content, str) else [message.content]
        for word in words:
            yield _chunk(AIMessageChunk(content=word), run_manager)
        calls = [
            tool_call_chunk(name=c["name"], args=_json(c["args"]), id=c["id"], index=n)
            for n, c in enumerate(message.tool_calls)
        ]
        last = AIMessageChunk(
            content="",
            tool_call_chunks=calls,
            usage_metadata=message.usage_metadata,
            response_metadata=message.response_metadata,
            chunk_position="last",
        )
        yield _chunk(last, run_manager)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"], params["ls_model_name"] = "scripted", kwargs.get("model", self.model)
        return params


def _chunk(message: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
    chunk = ChatGenerationChunk(message=message)
    if run_manager is not None:
        run_manager.on_llm_new_token(str(message.text), chunk=chunk)
    return chunk


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(content: Any, stops: Sequence[str], most: int | None) -> tuple[Any, str]:
    """The content up to the first stop sequence and the most tokens, and why it ends."""
    if not isinstance(content, str):
        return content, "stop"
    ends = [place for place in (content.find(stop) for stop in stops) if place >= 0]
    content = content[: min(ends, default=len(content))]
    words = _WORD.findall(content)
    if most is None or len(words) <= most:
        return content, "stop"
    return "".join(words[:most]), "length"


def _usage(messages: Sequence[BaseMessage], tools: Sequence[Json], said: BaseMessage) -> UsageMetadata:
    heard = sum(_tokens(message) for message in messages) + sum(len(_json(tool).split()) for tool in tools)
    return UsageMetadata(input_tokens=heard, output_tokens=_tokens(said), total_tokens=heard + _tokens(said))


def _tokens(message: BaseMessage) -> int:
    """Words of the text and of the calls, and the end."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return len(str(message.text).split()) + sum(len(_json(call["args"]).split()) + 1 for call in calls) + 1
