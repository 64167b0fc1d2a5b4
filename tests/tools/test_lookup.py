"""``lookup``: tables from a Spec, JSON and CSV; hits, misses and tables that cannot be used."""

from pathlib import Path
from typing import Any

import pytest

from reachlab import ToolCall, ToolResult
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.lookup import lookup_tool

CITIES = "name,country,people\nParis,France,2100000\nOslo,Norway,717710\n"


def ask(asked: str, /, **options: Any) -> str:
    (result,) = ToolExecutor([lookup_tool(**options)]).execute([ToolCall("lookup", {"key": asked})])
    assert not result.is_error
    return result.text


def test_a_table_of_a_spec_answers_exactly() -> None:
    tool = Spec("reachlab.tools.lookup:lookup_tool", {"entries": {"a": "1", "b": {"x": 2}}}).build("tools")
    asked = [ToolCall("lookup", {"key": key}) for key in ("a", "b", "A", "")]
    told = [ToolResult("1"), ToolResult('{"x": 2}'), ToolResult("No entry."), ToolResult("No entry.")]
    assert ToolExecutor([tool]).execute(asked) == told
    assert not prepare(tool).computes and prepare(tool).direct


def test_folded_keys_match_whatever_their_case_and_space() -> None:
    assert ask("  new   YORK ", entries={"New York": "NY"}, match="folded") == "NY"
    assert ask("new york", entries={"New York": "NY"}) == "No entry."


def test_the_nearest_key_is_told_only_where_asked_for() -> None:
    assert ask("Pariss", entries={"Paris": "France"}) == "No entry."
    assert ask("Pariss", entries={"Paris": "France"}, suggest=True) == "No entry. Nearest key: Paris"
    assert ask("Tokyo", entries={"Paris": "France"}, suggest=True) == "No entry."
    assert ask("P" * 10**6, entries={"Paris": "France"}, suggest=True) == "No entry."


def test_files(tmp_path: Path) -> None:
    (tmp_path / "codes.json").write_text('{"é": 1, "list": [1, null]}', encoding="utf-8")
    (tmp_path / "cities.csv").write_text(CITIES)
    assert ask("é", path=tmp_path / "codes.json") == "1"
    assert ask("list", path=tmp_path / "codes.json") == "[1, null]"
    assert ask("Oslo", path=tmp_path / "cities.csv") == "country: Norway, people: 717710"
    assert ask("Norway", path=tmp_path / "cities.csv", key="country", value="name") == "Oslo"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "one of them"),
        ({"entries": {"a": "b"}, "path": "x.json"}, "one of them"),
        ({"entries": {}}, "at least one"),
        ({"entries": {1: "b"}}, "allowed: text"),
        ({"entries": {"A": "1", "a": "2"}, "match": "folded"}, "'A' matches it"),
        ({"path": "missing.json"}, "a file that can be read"),
        ({"path": "table.txt"}, "a .json or a .csv file"),
        ({"entries": {str(n): "" for n in range(10_001)}, "suggest": True}, "at most 10000 keys"),
    ],
)
def test_what_cannot_be_a_table_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadValue, match=says):
        lookup_tool(**options)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "[1]", "one JSON object"),
        ("a.json", "{", "a file that can be read"),
        ("a.csv", "name\nx\n", "two or more"),
        ("a.csv", "name,value\nx\n", "line 2.*as many values"),
        ("a.csv", "name,value\nx,1,2\n", "line 2.*as many values"),
        ("a.csv", "name,value\nx,1\nx,2\n", "line 3.*did not come before"),
        ("a.csv", "", "two or more"),
    ],
)
def test_what_cannot_be_a_file_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadValue, match=says):
        lookup_tool(path=tmp_path / name)


def test_misspelt_columns_and_modes_name_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "cities.csv").write_text(CITIES)
    with pytest.raises(UnknownName, match="Did you mean 'country'"):
        lookup_tool(path=tmp_path / "cities.csv", value="contry")
    with pytest.raises(UnknownName, match="Did you mean 'folded'"):
        lookup_tool({"a": "b"}, match="fold")  # type: ignore[arg-type]
