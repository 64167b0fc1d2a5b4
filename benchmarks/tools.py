"""Calls per second through the executor, next to a bare ``tool.invoke`` of the same tool.

Command: ``python benchmarks/tools.py [--rounds 7] [--seconds .3] [--json]``. The rows take turns within one run, so
that whatever else the machine does falls on all of them. Shown are medians over the rounds, with the least and the
most; the ratio, executor over invoke, is taken within each round. The executor has a limit of seconds, as in an
episode. MCP rows need the extra ``mcp`` and are left out without it.

trivial: a typed function; calculator, sql: as shipped; mcp shared: a living stdio server of the process; mcp episode:
one within an episode, opened beforehand; isolated: a worker process, opened beforehand. Bare invoke of the per-episode
rows is given the episode's session too. open: milliseconds until a fresh episode's first call is answered.

Not covered: HTTP, several threads, tools that work for long.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from langchain_core.tools import BaseTool, tool

from reachlab import ToolCall
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.calculator import calculator_tool
from reachlab.tools.mcp import mcp_tools
from reachlab.tools.outside.isolated import isolated
from reachlab.tools.outside.shared import close_shared
from reachlab.tools.sql import sql_tool

LIMIT_SECONDS = 600.0
SERVER = Path(__file__).parents[1] / "examples" / "servers" / "folder.py"


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


@dataclass(frozen=True)
class Subject:
    """A tool and one call of it."""

    tool: BaseTool
    arguments: Mapping[str, Any]


@contextmanager
def subjects() -> Iterator[dict[str, Subject]]:
    with TemporaryDirectory() as folder:
        database = Path(folder, "numbers.sqlite")
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY, square INTEGER)")
            connection.executemany("INSERT INTO numbers VALUES (?, ?)", [(n, n * n) for n in range(1000)])
            connection.commit()
        rows = {
            "trivial": Subject(echo, {"text": "a"}),
            "calculator": Subject(calculator_tool(), {"expression": "(1 + 2) * sqrt(9) / 4"}),
            "sql": Subject(sql_tool(database), {"query": "SELECT square FROM numbers WHERE n = 12"}),
            "isolated": Subject(isolated("reachlab.tools.calculator:calculator_tool"), {"expression": "6 * 7"}),
        }
        if find_spec("mcp") is not None:
            for name, shared in (("mcp shared", True), ("mcp episode", False)):
                command = [sys.executable, str(SERVER), folder]
                (listing,) = mcp_tools(command=command, names=["list_files"], shared=shared)
                rows[name] = Subject(listing, {})
        yield rows
        close_shared()


@dataclass(frozen=True)
class Row:
    """Two ways to make the same call."""

    through: Callable[[], Any]
    bare: Callable[[], Any]


def row(subject: Subject, stack: ExitStack) -> Row:
    executor = stack.enter_context(closing(ToolExecutor([subject.tool], seconds=LIMIT_SECONDS)))
    calls = [ToolCall(subject.tool.name, subject.arguments)]
    arguments = dict(subject.arguments)
    for name, marker in prepare(subject.tool).episodic.items():
        arguments[name] = stack.enter_context(closing(marker.open()))
    call = {"name": subject.tool.name, "args": arguments, "id": "0", "type": "tool_call"}
    return Row(lambda: executor.execute(calls), lambda: subject.tool.invoke(call))


def opening(subject: Subject) -> float:
    """Milliseconds until the first call of a fresh episode was answered."""
    with closing(ToolExecutor([subject.tool], seconds=LIMIT_SECONDS)) as executor:
        begun = time.perf_counter()
        (first,) = executor.execute([ToolCall(subject.tool.name, subject.arguments)])
        assert not first.is_error, first
        return 1000 * (time.perf_counter() - begun)


def rate(call: Callable[[], Any], seconds: float) -> float:
    call()
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        call()
        done += 1
    return done / spent


def measure(rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, list[float]]] = {}
    with subjects() as chosen, ExitStack() as stack:
        rows = {name: row(subject, stack) for name, subject in chosen.items()}
        for turn in range(rounds):
            for name, ways in rows.items():
                told = found.setdefault(name, {"executor": [], "invoke": [], "ratio": [], "open_ms": []})
                order = ("executor", "invoke") if turn % 2 == 0 else ("invoke", "executor")
                for how in order:
                    told[how].append(rate(ways.through if how == "executor" else ways.bare, seconds))
                told["ratio"].append(told["executor"][-1] / told["invoke"][-1])
                told["open_ms"].append(opening(chosen[name]))
    return {name: {what: summary(values) for what, values in told.items()} for name, told in found.items()}


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds, options.seconds)
    if options.json:
        print(json.dumps({"rounds": options.rounds, "seconds": options.seconds, "rows": found}))
        return
    print(f"{'':12}{'executor, calls/s':>28}{'invoke, calls/s':>28}{'ratio':>24}{'open, ms':>28}")
    for name, told in found.items():
        rates = "".join(f"{_shown(told[how], 0):>28}" for how in ("executor", "invoke"))
        print(f"{name:12}{rates}{_shown(told['ratio'], 2):>24}{_shown(told['open_ms'], 1):>28}")


def _shown(values: dict[str, float], places: int) -> str:
    return f"{values['median']:.{places}f} ({values['least']:.{places}f} to {values['most']:.{places}f})"


if __name__ == "__main__":
    main()
