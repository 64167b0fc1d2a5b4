"""Tools of MCP servers as LangChain tools, through the official client library (extra ``mcp``).

::

    tools = mcp_tools(command=["python", "server.py", "/data"])                    # a process of ours, over stdio
    tools = mcp_tools(url="http://127.0.0.1:8000/mcp", headers={"Authorization": "Bearer ${TOKEN}"}, names=["read"])
    Spec("reachlab.tools.mcp:mcp_tools", {"command": [...]}).build("tools")        # the same from a Spec

Each episode has a session of its own (a process of its own, over stdio), opened by its first call and closed with it;
``shared=True`` keeps one for all episodes of the process: for servers that keep nothing, since a server written in
Python takes most of a second to start. Tools are listed once per server and process.

What the server says about a call (``isError``, arguments it refuses) is the policy's error; a server that cannot be
started, dies, breaks the protocol, takes too long or has changed its tools is a fault. With ``timeouts="observation"``
a call that takes too long is the policy's error: say so where only its arguments can make a call long. After
a fault and after a late call the session ends; over stdio the process and all it started are killed, and the next call
has a fresh one.

Over HTTP the server is not ours: what it keeps outlives every session and episode (shuffled and live episodes meet in
it), and what it does with a call that took too long is its own business. Such a server should keep nothing.

Nothing waits without a limit, and no process of a server outlives its session, or this process. Closing a session over
stdio takes .15 s; that of a server that hangs takes two seconds, which the late call adds to its own (the client
library waits for the server to end by itself), and a third where it ignores SIGTERM.

Not covered: resources, prompts, sampling, elicitation, OAuth; images and other binary content are named, not shown.
"""

from reachlab.tools.mcp.factory import mcp_tools
from reachlab.tools.mcp.servers import HttpServer, Limits, StdioServer
from reachlab.tools.mcp.session import McpSession

__all__ = ["HttpServer", "Limits", "McpSession", "StdioServer", "mcp_tools"]
