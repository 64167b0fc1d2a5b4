"""What an MCP server returned, as the text that the policy reads.

Text blocks stand as they are, one after the other; what is not text is named with its type and size; structured
content shows only where there is no block, since servers repeat it as text.
"""

from __future__ import annotations

import json
from typing import Any


def rendered(result: Any) -> str:
    """The text of a ``CallToolResult``."""
    if result.content:
        return "\n".join(_block(block) for block in result.content)
    if result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return ""


def _block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}: {block.mime_type}, {_bytes(block.data)} bytes]"
        case "resource_link":
            return f"[resource: {block.name}, {block.uri}]"
        case "resource":
            return _resource(block.resource)
        case other:
            return f"[{other}]"


def _resource(resource: Any) -> str:
    if hasattr(resource, "text"):
        return str(resource.text)
    return f"[resource: {resource.uri}, {resource.mime_type or 'binary'}, {_bytes(resource.blob)} bytes]"


def _bytes(base64: str) -> int:
    """How many bytes the base64 stands for."""
    return len(base64.rstrip("=")) * 3 // 4
