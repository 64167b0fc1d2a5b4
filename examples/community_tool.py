"""An ordinary LangChain tool, as it stands in any tutorial, answering the calls of an episode.

Command: ``python examples/community_tool.py``. Nothing of the tool is written for reachlab; what the policy writes is
text, and what goes wrong because of it is an observation that says how to do better.
"""

from __future__ import annotations

from contextlib import closing

from langchain_core.tools import tool

from reachlab.tools import Hermes, ToolExecutor

REPORTS = {"Oslo": "2 degrees, snow", "Lagos": "31 degrees, sun"}


@tool
def weather(city: str) -> str:
    """Report the weather of a city."""
    return REPORTS.get(city, f"no report for {city}")


TURNS = (
    '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>',
    '<tool_call>{"name": "wether", "arguments": {"city": "Lagos"}}</tool_call>',
    '<tool_call>{"name": "weather", "arguments": {"town": "Lagos"}}</tool_call>',
    'Two at once. <tool_call>{"name": "weather", "arguments": {"city": "Lagos"}}</tool_call>'
    '<tool_call>{"name": "weather", "arguments": {"city": "Atlantis"}}</tool_call>',
)


def main() -> None:
    with closing(ToolExecutor([weather])) as tools:
        print("offered:", tools.schemas[0]["function"])
        for turn in TURNS:
            for result in tools.execute(Hermes().parse(turn)):
                print("error" if result.is_error else "told ", result.text)


if __name__ == "__main__":
    main()
