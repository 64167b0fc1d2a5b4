"""What a policy may call: LangChain tools, the executor that runs them, the format calls stand in, retrieval.

The contracts are ``reachlab.Executor`` and ``reachlab.CallFormat``. Any ``BaseTool`` works; a family hands them out in
``Family.tools``. Retrieval beyond ``search`` is ``tools.retrieval``, MCP servers are ``tools.mcp``, tools in a process
of their own ``tools.outside``. Not covered: servers that parse calls themselves.
"""

from reachlab.tools.code import python_tool, shell_tool
from reachlab.tools.episodic import EPISODE_RNG, PerEpisode
from reachlab.tools.executor import ToolExecutor
from reachlab.tools.hermes import Hermes
from reachlab.tools.prepared import PreparedTool, prepare
from reachlab.tools.search import Bm25, Retriever, search_tool
from reachlab.tools.soundness import check_tool

__all__ = [
    "EPISODE_RNG",
    "Bm25",
    "Hermes",
    "PerEpisode",
    "PreparedTool",
    "Retriever",
    "ToolExecutor",
    "check_tool",
    "prepare",
    "python_tool",
    "search_tool",
    "shell_tool",
]
