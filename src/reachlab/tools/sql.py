"""``sql(query)``: one read-only query over a SQLite file, with hard limits.

::

    sql_tool("shop.sqlite")                      # the schema stands in the tool's description
    sql_tool("shop.sqlite", rows=50, steps=10**6, description="Ask the shop's database.")

The file is opened read-only for each call, and an authorizer lets through reading alone: no writing, no ATTACH, no
PRAGMA but those that tell the schema, no extension, nothing random. A query that fails, or that is stopped after
``steps`` instructions of SQLite's machine (the same on every machine), ``seconds`` or ``megabytes`` (which should never
come first), is the policy's error; a file that is gone, broken or locked is a fault. Rows and cells beyond the cap are
cut, visibly. Texts and blobs of more than ``value_bytes`` cannot be touched: what one instruction costs grows with the
square of them. Nothing is written to disk, temporary files included.

Not covered: parameters, several statements, other databases, virtual tables (full-text search); ``datetime('now')``
answers with the clock; memory is the process's, looked at every hundred instructions (Linux).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

from reachlab.errors import BadValue, ToolFault

SCHEMA_CHARS = 4000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STEPS_BETWEEN_LOOKS = 100
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}
_FORBIDDEN = {"random", "randomblob", "load_extension", "fts3_tokenizer"}
"""Functions whose results differ from run to run (the last one tells addresses), or that load code."""
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
"""What one instruction can cost has to be bounded too, or counting them would bound nothing; ``SqlLimits.value_bytes``
is one of these."""
_HARNESS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
}
"""Result codes that no query causes."""


@dataclass(frozen=True)
class SqlLimits:
    """What one query may take and show."""

    rows: int = 20
    cell_chars: int = 200
    steps: int = 5_000_000
    seconds: float = 10.0
    megabytes: float = 512.0
    value_bytes: int = 65536

    def __post_init__(self) -> None:
        for limit in fields(self):
            if not getattr(self, limit.name) > 0:
                raise BadValue(limit.name, getattr(self, limit.name), "> 0")


def sql_tool(
    path: str | Path,
    *,
    rows: int = SqlLimits.rows,
    cell_chars: int = SqlLimits.cell_chars,
    steps: int = SqlLimits.steps,
    seconds: float = SqlLimits.seconds,
    megabytes: float = SqlLimits.megabytes,
    value_bytes: int = SqlLimits.value_bytes,
    description: str = "Query a SQLite database with one SELECT statement.",
) -> BaseTool:
    """The tool over the database at *path*, whose schema is added to *description*."""
    limits = SqlLimits(rows, cell_chars, steps, seconds, megabytes, value_bytes)
    database = Path(path)
    try:
        schema = _schema(database, limits)
    except sqlite3.Error as error:
        raise BadValue("path of a database", str(path), f"a SQLite file that can be read ({error})") from error

    def sql(query: Annotated[str, Field(description="One SELECT statement.")]) -> str:
        return run(database, query, limits)

    return StructuredTool.from_function(sql, description=f"{description}\nSchema:\n{schema}")


def run(database: Path, query: str, limits: SqlLimits) -> str:
    """The rows of *query* as text, under a line with the names of the columns."""
    clock = _Clock(limits)
    try:
        with _opened(database, limits) as connection:
            connection.set_authorizer(_authorize)
            connection.set_progress_handler(clock.look, STEPS_BETWEEN_LOOKS)
            cursor = connection.execute(query)
            if cursor.description is None:
                raise ToolException("the query is empty")
            return _table([column[0] for column in cursor.description], cursor.fetchmany(limits.rows + 1), limits)
    except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError, ValueError) as error:
        if clock.stopped:
            raise ToolException(clock.stopped) from error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _HARNESS:
            raise ToolFault(f"database {database}: {error}") from error
        raise ToolException(str(error)) from error


class _Clock:
    """Counts what a query has used; SQLite stops it when ``look`` returns true."""

    def __init__(self, limits: SqlLimits) -> None:
        self._limits, self._steps, self._end = limits, 0, time.monotonic() + limits.seconds
        self._most = _resident() + limits.megabytes * 2**20
        self.stopped = ""

    def look(self) -> bool:
        self._steps += STEPS_BETWEEN_LOOKS
        if self._steps > self._limits.steps:
            self.stopped = f"stopped after {self._limits.steps} steps; ask for less"
        elif time.monotonic() > self._end:
            self.stopped = f"stopped after {self._limits.seconds:g} s; ask for less"
        elif _resident() > self._most:
            self.stopped = f"stopped after {self._limits.megabytes:g} MB; ask for less"
        return bool(self.stopped)


def _resident() -> int:
    """Bytes of memory that this process occupies; 0 where that cannot be read."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


@contextmanager
def _opened(database: Path, limits: SqlLimits) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True, timeout=1.0)
    try:
        for limit, most in {**_LIMITS, sqlite3.SQLITE_LIMIT_LENGTH: limits.value_bytes}.items():
            connection.setlimit(limit, most)
        connection.text_factory = _decoded
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        yield connection
    finally:
        connection.close()


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _authorize(action: int, first: str | None, second: str | None, _database: Any, _trigger: Any) -> int:
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _schema(database: Path, limits: SqlLimits) -> str:
    with _opened(database, limits) as connection:
        statements = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        text = "\n".join(row[0] for row in connection.execute(statements))
    return _cut(text, SCHEMA_CHARS) or "(no tables)"


def _table(names: list[str], rows: Sequence[Sequence[Any]], limits: SqlLimits) -> str:
    shown = [names, *rows[: limits.rows]]
    lines = [" | ".join(_cell(cell, limits.cell_chars) for cell in row) for row in shown]
    if not rows:
        lines.append("(no rows)")
    if len(rows) > limits.rows:
        lines.append(f"[cut: more than {limits.rows} rows]")
    return "\n".join(lines)


def _cell(value: Any, most: int) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    return _cut(str(value).replace("\n", "\\n").replace("\r", "\\r"), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}[cut: {len(text)} characters in all]"
