"""LangChain's own standard suites (``langchain-tests``) over every tool that ships.

``python`` and ``shell`` take a hidden argument that an executor fills; the example invocation brings a session along.
Tools over a process (MCP, isolated) need none: outside an executor they open one for each call.
"""

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from reachlab.sandbox.jail import Jail
from reachlab.tools import python_tool, shell_tool
from reachlab.tools.calculator import calculator_tool
from reachlab.tools.lookup import lookup_tool
from reachlab.tools.mcp import mcp_tools
from reachlab.tools.outside.isolated import isolated
from reachlab.tools.search import search_documents
from reachlab.tools.sql import sql_tool
from tests.tools.servers import victims

units: Any = pytest.importorskip("langchain_tests.unit_tests", exc_type=ImportError)
integrations: Any = pytest.importorskip("langchain_tests.integration_tests", exc_type=ImportError)
SERVER = Path(__file__).parent / "servers" / "files.py"

for name in ("test_async_invoke_matches_output_schema", "test_async_invoke_no_tool_call"):
    # The suite leaves it to its user to say who runs its coroutines, and forbids overriding them.
    pytest.mark.anyio(getattr(integrations.ToolsIntegrationTests, name))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@lru_cache(maxsize=1)
def jail() -> Jail:
    return Jail()


@lru_cache(maxsize=1)
def session() -> Any:
    return jail().session()


@pytest.fixture(scope="module", autouse=True)
def _close() -> Any:
    yield
    if session.cache_info().currsize:
        session().close()
        jail().close()


@lru_cache(maxsize=1)
def database() -> Path:
    path = Path(mkdtemp()) / "standard.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    return path


def mcp_tool(**options: Any) -> BaseTool:
    pytest.importorskip("mcp")
    return mcp_tools([sys.executable, str(SERVER), str(SERVER.parent)], names=["read"], **options)[0]


Case = tuple[str, Callable[[], BaseTool], Callable[[], dict[str, Any]], tuple[Any, ...]]
slow = (pytest.mark.services,)
CASES: list[Case] = [
    ("Search", lambda: search_documents(["red fox"]), lambda: {"query": "fox"}, ()),
    ("Calculator", calculator_tool, lambda: {"expression": "6 * 7"}, ()),
    ("Lookup", lambda: lookup_tool({"a": "1"}), lambda: {"key": "a"}, ()),
    ("Sql", lambda: sql_tool(database()), lambda: {"query": "SELECT 1"}, ()),
    ("Python", lambda: python_tool(jail()), lambda: {"code": "print(1)", "session": session()}, ()),
    ("Shell", lambda: shell_tool(jail()), lambda: {"code": "echo 1", "session": session()}, ()),
    ("Mcp", mcp_tool, lambda: {"name": SERVER.name}, slow),
    ("McpShared", lambda: mcp_tool(shared=True), lambda: {"name": SERVER.name}, slow),
    ("Isolated", lambda: isolated(victims.add), lambda: {"a": 1}, slow),
]


def standard(case: Case, suite: type) -> type:
    """The suite's class for one tool. The tool is made once, when its first test asks for it."""
    name, make, example, marks = case
    made = lru_cache(maxsize=1)(make)
    body = {
        "tool_constructor": property(lambda self: made()),
        "tool_invoke_params_example": property(lambda self: example()),
        "pytestmark": list(marks),
    }
    return type(f"Test{name}{suite.__name__.removeprefix('Tools')}", (suite,), body)


for case in CASES:
    for suite in (units.ToolsUnitTests, integrations.ToolsIntegrationTests):
        made = standard(case, suite)
        globals()[made.__name__] = made
del made, suite  # pytest would collect them under these names too
