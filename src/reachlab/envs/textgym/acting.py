"""``act``: an environment's ``step`` as a tool.

Not covered: several environments in one episode.
"""

from functools import lru_cache
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import Field

from reachlab.envs.textgym.receipts import Paid, receipt
from reachlab.tools.episodic import PerEpisode

ENDED = "[ended] receipt "
"""What stands before the receipt in the last observation."""


@lru_cache(maxsize=4096)
def act_tool(paid: Paid, name: str, description: str) -> BaseTool:
    """Steps the environment that *paid* judges; opened by the episode's first call, closed with the episode."""

    played = PerEpisode(paid.start, replays=True)

    def act(action: Annotated[str, Field(description="What to do.")], play: Annotated[Any, played]) -> str:
        shown: str = play.act(action)
        return f"{shown}\n{ENDED}{receipt(paid.key, play.score)}" if play.ended else shown

    return StructuredTool.from_function(act, name=name, description=description)
