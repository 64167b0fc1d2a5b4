"""Hermes-style calls: ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>`` in the raw text of a turn.

The format of Qwen, Hermes and most open tool-calling templates
(https://github.com/NousResearch/Hermes-Function-Calling). Other formats implement ``reachlab.CallFormat``.
Not covered: calls that a server has already parsed into ``tool_calls``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from reachlab import ToolCall

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_BLOCK = re.compile(re.escape(OPEN) + r"(.*?)(" + re.escape(CLOSE) + r"|(?=" + re.escape(OPEN) + r")|\Z)", re.DOTALL)


class Hermes:
    """The default ``CallFormat``. An opening tag makes a call, well-formed or not."""

    def parse(self, text: str) -> list[ToolCall]:
        return [_parse_one(match[1], closed=bool(match[2])) for match in _BLOCK.finditer(text)]

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f'{OPEN}{json.dumps({"name": name, "arguments": dict(arguments)}, ensure_ascii=False)}{CLOSE}'

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _BLOCK.finditer(text)]


def _parse_one(body: str, *, closed: bool) -> ToolCall:
    if not closed:
        return ToolCall("", {}, f"the call is not closed by {CLOSE}")
    try:
        call = json.loads(body)
    except (ValueError, RecursionError) as error:
        return ToolCall("", {}, f"the call is not valid JSON ({error})")
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return ToolCall("", {}, 'the call must be a JSON object with a "name" and "arguments"')
    arguments = call.get("arguments", {})
    if not isinstance(arguments, dict):
        return ToolCall(call["name"], {}, '"arguments" must be a JSON object')
    return ToolCall(call["name"], arguments)
