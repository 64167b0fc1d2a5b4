"""Scripts that play Lexicon as a chat model would: with native calls where tools are bound, else in text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage

from reachlab import Budget, Json
from reachlab.envs.lexicon import Lexicon
from reachlab.policies.chat_model import Retry
from reachlab.tools import Hermes

FAMILY = Lexicon(digits=(4,), hops=(1, 2, 3))
TASKS = [FAMILY.task("test", i) for i in range(12)]
SEEDS = list(range(len(TASKS)))
WIDE = Budget(turns=5, tokens=4000, calls=4, observation_tokens=100)
AT_ONCE = Retry(attempts=3, first=0, longest=0, seconds=20)


def question(messages: Sequence[BaseMessage]) -> str:
    return str(next(m for m in messages if m.type == "human").text).splitlines()[-1]


def results(messages: Sequence[BaseMessage]) -> list[str]:
    """Of native calls, and of calls in text."""
    seen = []
    for message in messages:
        text = str(message.text)
        if message.type == "tool":
            seen.append(text)
        elif message.type == "human" and text.startswith("<tool_response>"):
            seen.append(text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>"))
    return seen


def native(text: str, turn: int) -> AIMessage:
    """The calls of *text* as a provider would hand them out."""
    calls = [
        {"name": c.name, "args": dict(c.arguments), "id": f"{turn}-{n}"} for n, c in enumerate(Hermes().parse(text))
    ]
    return AIMessage("" if calls else text, tool_calls=calls)


def solver(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
    """The scripted optimum, from the conversation alone; it guesses where nothing can be looked up."""
    asked = question(messages)
    task = next(t for t in TASKS if t.messages[-1].content == asked)
    seen = results(messages)
    offered = bool(tools) or messages[0].type == "system"
    text = FAMILY.solution(task, seen) if offered and all(seen) else FAMILY.guess(task, rng)
    return native(text, len(messages)) if tools else text
