"""An MCP server over one folder, with tools that go wrong: run by the tests in a process of its own.

Command: ``python files.py FOLDER [stdio | http PORT]``.
"""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

FOLDER = Path(sys.argv[1])
READING = ToolAnnotations(read_only_hint=True)
server = MCPServer("files", log_level="ERROR")
notes: list[str] = []


@server.tool(annotations=READING, structured_output=False)
def list_files() -> str:
    """The names of the files."""
    return "\n".join(sorted(path.name for path in FOLDER.iterdir()))


@server.tool(annotations=READING, structured_output=False)
def read(name: Annotated[str, Field(description="Name of the file.")], lines: int = 1000) -> str:
    """The content of a file."""
    if not (FOLDER / name).is_file():
        raise ToolError(f"no file {name!r}")
    return "\n".join((FOLDER / name).read_text().splitlines()[:lines])


@server.tool()
def stat(name: str, schema: str = "plain") -> dict[str, Any]:
    """What is known about a file."""
    return {"name": name, "bytes": (FOLDER / name).stat().st_size, "schema": schema}


@server.tool(structured_output=False)
def remember(note: str) -> str:
    """Keep a note in this session's process."""
    notes.append(note)
    return ",".join(notes)


@server.tool(structured_output=False)
def hang(seconds: float = 600.0, deaf: bool = False) -> str:
    """Answer late; deaf to SIGTERM too, which the kernel can do for this thread's process."""
    if deaf:
        ctypes.CDLL(None).signal(15, ctypes.c_void_p(1))  # SIG_IGN: Python allows this in the main thread alone
    time.sleep(seconds)
    return "late"


@server.tool(structured_output=False)
def die() -> str:
    """End the server."""
    print("the disk is gone", file=sys.stderr, flush=True)
    os._exit(7)


@server.tool(structured_output=False)
def big() -> str:
    """Ten megabytes."""
    return "x" * 10 * 2**20


@server.tool(structured_output=False)
def picture() -> list[Any]:
    """An image with its caption."""
    return ["a dot", Image(data=b"\x89PNG" + bytes(96), format="png")]


@server.tool(structured_output=False)
def daemon() -> str:
    """Leave a process behind, in a session of its own."""
    return str(subprocess.Popen(["sleep", "987"], start_new_session=True).pid)


@server.tool(structured_output=False)
def identify() -> str:
    """This process."""
    return str(os.getpid())


@server.tool(structured_output=False)
def swap(tool: str) -> str:
    """Put another tool in the place of one that has been listed, or take it away."""

    def other(path: str) -> str:
        raise ToolError(f"no path {path!r}")

    server.remove_tool(tool)
    if tool == "read":
        server.add_tool(other, name=tool, structured_output=False)
    return "swapped"


if __name__ == "__main__":
    if sys.argv[2:3] == ["http"]:
        server.run("streamable-http", port=int(sys.argv[3]))
    else:
        server.run("stdio")
