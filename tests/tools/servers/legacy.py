"""An MCP server of the handshake era in plain Python: one tool, and protocol errors on request.

Command: ``python legacy.py`` on standard streams.
"""

import json
import sys
from typing import Any

TOOL = {
    "name": "double",
    "description": "Double.",
    "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
}


def answer(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            information = {"name": "legacy", "version": "0"}
            version = "2025-06-18"
            return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": information}}
        case "tools/list":
            return {"result": {"tools": [TOOL]}}
        case "tools/call":
            return called(parameters["arguments"]["n"])
    return {"error": {"code": -32601, "message": f"no method {method}"}}


def called(n: int) -> dict[str, Any]:
    if n < 0:
        return {"error": {"code": -32602, "message": "n must not be negative"}}
    if n == 1000:
        return {"error": {"code": -32603, "message": "out of order"}}
    if n == 1001:
        return {"result": {"content": "not a list"}}
    return {"result": {"content": [{"type": "text", "text": str(2 * n)}]}}


if __name__ == "__main__":
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            reply = {"jsonrpc": "2.0", "id": message["id"], **answer(message["method"], message.get("params") or {})}
            print(json.dumps(reply), flush=True)
