"""What a policy may call: LangChain tools, the executor that runs them, the format calls stand in, retrieval.

The contracts are ``reachlab.Executor`` and ``reachlab.CallFormat``. Any ``BaseTool`` works; a family hands them out in
``Family.tools``. Not covered yet: an MCP bridge, dense retrieval, code in a sandbox.
"""

from reachlab.tools.executor import ToolExecutor
from reachlab.tools.hermes import Hermes
from reachlab.tools.prepared import PreparedTool, prepare
from reachlab.tools.search import Bm25, Retriever, search_tool

__all__ = ["Bm25", "Hermes", "PreparedTool", "Retriever", "ToolExecutor", "prepare", "search_tool"]
