"""Calls per second through the executor, next to a bare ``tool.invoke`` of the same tool.

Command: ``python benchmarks/tools.py [--rounds 7] [--seconds .3] [--json]``. The rows take turns within one run, so
that whatever else the machine does falls on all of them; medians over the rounds with the least and the most, and the
ratio of the medians, executor over invoke. MCP rows need the extra ``mcp`` and are left out without it.

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


def pair(subject: Subject, stack: ExitStack) -> tuple[Callable[[], Any], Callable[[], Any], float]:
    """The call through the executor, the bare one, and milliseconds until the episode's first was answered."""
    executor = stack.enter_context(closing(ToolExecutor([subject.tool])))
    calls = [ToolCall(subject.tool.name, subject.arguments)]
    begun = time.perf_counter()
    (first,) = executor.execute(calls)
    opened = 1000 * (time.perf_counter() - begun)
    assert not first.is_error, first
    arguments = dict(subject.arguments)
    for name, marker in prepare(subject.tool).episodic.items():
        arguments[name] = stack.enter_context(closing(marker.open()))
    call = {"name": subject.tool.name, "args": arguments, "id": "0", "type": "tool_call"}
    return lambda: executor.execute(calls), lambda: subject.tool.invoke(call), opened


def rate(call: Callable[[], Any], seconds: float) -> float:
    call()
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        call()
        done += 1
    return done / spent


def measure(rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    with subjects() as rows, ExitStack() as stack:
        pairs = {name: pair(subject, stack) for name, subject in rows.items()}
        found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in rows}
        for _ in range(rounds):
            for name, (through, bare, _opened) in pairs.items():
                found[name][0].append(rate(through, seconds))
                found[name][1].append(rate(bare, seconds))
    out = {}
    for name, (through_rates, bare_rates) in found.items():
        executor, invoke = summary(through_rates), summary(bare_rates)
        ratio = executor["median"] / invoke["median"]
        out[name] = {"executor": executor, "invoke": invoke, "ratio": ratio, "open_ms": pairs[name][2]}
    return out


def summary(rates: list[float]) -> dict[str, float]:
    return {"median": statistics.median(rates), "least": min(rates), "most": max(rates)}


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
    for name, row in found.items():
        told = "".join(f"{how} {_shown(row[how]):28}" for how in ("executor", "invoke"))
        print(f"{name:12}{told}ratio {row['ratio']:6.2f}  open {row['open_ms']:6.1f} ms")


def _shown(rates: dict[str, float]) -> str:
    return f"{rates['median']:8.0f} ({rates['least']:.0f}..{rates['most']:.0f})"


if __name__ == "__main__":
    main()
