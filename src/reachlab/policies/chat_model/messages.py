"""Between chat messages and the raw text that environments take.

A native call becomes the text of a call, so that an environment reads every policy alike; its result goes back as the
``ToolMessage`` that the call waits for. What a provider would not take back (a call with broken arguments) stays in
the conversation as text, and its result follows as text. Not covered: images and sound.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from reachlab import CallFormat, Json, Message, Prompt, ToolCall, ToolResult

Calls = Literal["auto", "native", "text", "raw"]
"""How a chat model calls tools; see ``ChatModelPolicy.calls``."""
PLACE = "arguments-7f3a"
INSTRUCTION = """You may call functions. Their signatures, as JSON schemas:
<tools>
{schemas}
</tools>
To call one, write this, with its name and its arguments:
{example}
Several calls may stand in one turn; their results come back in <tool_response></tool_response> tags. A turn without a \
call is your final answer."""
"""As in the prompts of Hermes (https://github.com/NousResearch/Hermes-Function-Calling), for any call format."""


class Said(NamedTuple):
    """One turn of a chat model."""

    text: str
    """What the environment takes: the content, then every call as text; native ones last."""
    kept: AIMessage
    """What the conversation goes on with."""
    native: tuple[tuple[str, str], ...]
    """Id and name of the calls that wait for a ``ToolMessage``: the last calls of ``text``, in order."""


def opening(prompt: Prompt, call_format: CallFormat, calls: Calls) -> list[BaseMessage]:
    """The conversation that a prompt begins. Tools are described in it where they are not bound to the model."""
    messages = [_as_chat(message) for message in prompt.messages]
    if not prompt.tools or calls != "text":
        return messages
    text = instruction(prompt.tools, call_format)
    if messages and isinstance(messages[0], SystemMessage):
        return [SystemMessage(f"{messages[0].text}\n\n{text}"), *messages[1:]]
    return [SystemMessage(text), *messages]


def instruction(tools: Sequence[Json], call_format: CallFormat) -> str:
    """What a model without native calls is told about them."""
    schemas = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    example = call_format.render("function-name", {"argument-name": "value"})
    return INSTRUCTION.format(schemas=schemas, example=example)


def spoken(message: AIMessage, call_format: CallFormat, native: bool) -> Said:
    """Read a turn. Without *native* calls (none were offered) those that come all the same are text."""
    fit = [c for c in message.tool_calls if native and _survives(c["name"], c["args"], call_format)]
    while True:
        texts = [call_format.render(c["name"], c["args"]) for c in message.tool_calls if c not in fit]
        texts += [_broken(c["name"] or "", c["args"] or "", call_format) for c in message.invalid_tool_calls]
        calls = [call_format.render(c["name"], c["args"]) for c in fit]
        shown = "\n".join(part for part in (str(message.text), *texts) if part)
        text = "\n".join(part for part in (shown, *calls) if part)
        if _last(call_format.parse(text), len(fit)) == [(c["name"], c["args"]) for c in fit]:
            break
        fit = []  # a tag that the content leaves open swallows the first of them
    known: dict[str, None] = {}
    for n, call in enumerate(fit):
        known[call["id"] if call["id"] and call["id"] not in known else f"call_{n}_{len(known)}"] = None
    kwargs = {k: v for k, v in message.additional_kwargs.items() if k not in ("tool_calls", "function_call")}
    update: dict[str, Any] = {
        "tool_calls": [{**call, "id": id} for call, id in zip(fit, known, strict=True)],
        "invalid_tool_calls": [],
        "additional_kwargs": kwargs,
        **({"content": shown} if texts else {}),
    }
    named = tuple((id, call["name"]) for call, id in zip(fit, known, strict=True))
    return Said(text, message.model_copy(update=update), named)


def answers(results: Sequence[ToolResult], native: Sequence[tuple[str, str]], calls: Calls) -> list[BaseMessage]:
    """The results of one turn: the last ones answer its *native* calls, those before are text. With *raw* calls each is
    a message of the role ``tool``, as the model's template wants them."""
    if calls == "raw":
        return [ToolMessage(result.text, tool_call_id=f"call_{n}") for n, result in enumerate(results)]
    split = len(results) - len(native)
    replies: list[BaseMessage] = [
        ToolMessage(result.text, tool_call_id=id, name=name, status="error" if result.is_error else "success")
        for (id, name), result in zip(native, results[split:], strict=True)
    ]
    if split:
        replies.append(HumanMessage("\n".join(_response(result.text) for result in results[:split])))
    return replies


def _as_chat(message: Message) -> BaseMessage:
    match message.role:
        case "system":
            return SystemMessage(message.content)
        case "assistant":
            return AIMessage(message.content)
        case "tool":
            return HumanMessage(_response(message.content))
    return HumanMessage(message.content)


def _response(text: str) -> str:
    return f"<tool_response>\n{text}\n</tool_response>"


def _survives(name: str, arguments: dict[str, Any], call_format: CallFormat) -> bool:
    """Whether the text of a call says what the call says (an argument may hold the tag that ends calls)."""
    return call_format.parse(call_format.render(name, arguments)) == [ToolCall(name, arguments)]


def _last(calls: Sequence[ToolCall], count: int) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in calls[len(calls) - count :]]


def _broken(name: str, arguments: str, call_format: CallFormat) -> str:
    """A call whose arguments could not be read, as text with the arguments as they were written."""
    text = call_format.render(name, {PLACE: 0})
    place = json.dumps({PLACE: 0})
    return text.replace(place, arguments) if place in text else call_format.render(name, {"unread": arguments})
