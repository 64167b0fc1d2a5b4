"""``lookup(key)``: one entry of a table that stands in a Spec, a JSON file or a CSV file.

::

    lookup_tool({"Paris": "France"})
    lookup_tool(path="codes.json")                                     # one object: key to value
    lookup_tool(path="cities.csv", key="name", suggest=True)           # all other columns, or value="country"

Keys match exactly, or with ``match="folded"`` regardless of case and of space around them. A key that is not there is
a result, not an error: the policy asked well. ``suggest`` then names the nearest key, which helps a policy that writes
almost the right one, and tells it what exists: leave it off where that is a leak.

Not covered: tables beyond memory (``sql``), search by content (``search``).
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import Field

from reachlab.errors import BadValue, UnknownName
from reachlab.tools.prepared import to_text

NO_ENTRY = "No entry."
MOST_SUGGESTED_FROM = 10_000
"""Keys; comparing with more would make a miss slow."""
MOST_COMPARED_CHARS = 100
Match = Literal["exact", "folded"]


def lookup_tool(
    entries: Mapping[str, Any] | None = None,
    *,
    path: str | Path | None = None,
    key: str | None = None,
    value: str | None = None,
    match: Match = "exact",
    suggest: bool = False,
    description: str = "Look up a key.",
) -> BaseTool:
    """The tool over *entries* or over the file at *path*. *key* and *value* name columns of a CSV file: by default
    the first, and all others."""
    if (entries is None) == (path is None):
        raise BadValue("table", {"entries": entries, "path": path}, "entries or a path, one of them")
    if match not in get_args(Match):
        raise UnknownName("match", str(match), get_args(Match))
    fold: Callable[[str], str] = _as_written if match == "exact" else _folded
    table = _table(dict(entries) if entries is not None else _read(Path(str(path)), key, value), fold)
    if suggest and len(table) > MOST_SUGGESTED_FROM:
        raise BadValue("suggest", f"a table of {len(table)} keys", f"at most {MOST_SUGGESTED_FROM} keys")
    names = list(table) if suggest else []

    def lookup(key: Annotated[str, Field(description="The key.")]) -> str:
        found = table.get(fold(key))
        if found is not None:
            return found[1]
        close = difflib.get_close_matches(fold(key)[:MOST_COMPARED_CHARS], names, n=1)
        return f"{NO_ENTRY} Nearest key: {table[close[0]][0]}" if close else NO_ENTRY

    return StructuredTool.from_function(lookup, description=description)


def _as_written(key: str) -> str:
    return key


def _folded(key: str) -> str:
    return " ".join(key.casefold().split())


def _table(entries: Mapping[str, Any], fold: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Folded key to the key as written and the value as text."""
    if not entries:
        raise BadValue("table", "no entries", "at least one")
    table: dict[str, tuple[str, str]] = {}
    for key, value in entries.items():
        if not isinstance(key, str):
            raise BadValue("key of a table", key, "text")
        if fold(key) in table:
            raise BadValue("key of a table", key, f"keys that differ: {table[fold(key)][0]!r} matches it")
        table[fold(key)] = (key, to_text(value))
    return table


def _read(path: Path, key: str | None, value: str | None) -> dict[str, Any]:
    readers = {".json": lambda: _json(path, key, value), ".csv": lambda: _csv(path, key, value)}
    if path.suffix not in readers:
        raise BadValue("path of a table", str(path), "a .json or a .csv file")
    try:
        return readers[path.suffix]()
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise BadValue("path of a table", str(path), f"a file that can be read ({error})") from error


def _json(path: Path, key: str | None, value: str | None) -> dict[str, Any]:
    if key or value:
        raise BadValue("columns", {"key": key, "value": value}, "none: they belong to a CSV file")
    read = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(read, dict):
        raise BadValue(f"table in {path}", type(read).__name__, "one JSON object: key to value")
    return read


def _csv(path: Path, key: str | None, value: str | None) -> dict[str, Any]:
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        columns = list(reader.fieldnames or ())
        for wanted in (key, value):
            if wanted is not None and wanted not in columns:
                raise UnknownName(f"column of {path}", wanted, columns)
        if len(columns) < 2:
            raise BadValue(f"columns of {path}", columns, "two or more")
        key = key or columns[0]
        rest = [value] if value else [column for column in columns if column != key]
        return _rows(path, reader, key, rest)


def _rows(path: Path, reader: csv.DictReader[str], key: str, rest: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in reader:
        if None in row or None in row.values():
            raise BadValue(f"line {reader.line_num} of {path}", row, "as many values as there are columns")
        if row[key] in found:
            raise BadValue(f"line {reader.line_num} of {path}", row[key], "a key that did not come before")
        found[row[key]] = row[rest[0]] if len(rest) == 1 else ", ".join(f"{name}: {row[name]}" for name in rest)
    return found
