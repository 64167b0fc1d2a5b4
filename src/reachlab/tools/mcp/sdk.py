"""The ``mcp`` package, imported when it is needed.

Not covered: which of its versions is installed; the extra asks for 2.x.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from reachlab.errors import MissingExtra


def sdk(module: str = "mcp") -> Any:
    """*module* of the client library or of what comes with it. ``MissingExtra`` where it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra("mcp", "mcp") from error
