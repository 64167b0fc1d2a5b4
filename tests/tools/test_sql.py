"""``sql``: what it shows, what it stops, and that nothing but reading goes through."""

import hashlib
import os
import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from reachlab import ToolCall, ToolResult
from reachlab.errors import BadValue, ToolFault
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.sql import sql_tool

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "a shop?.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE goods (name TEXT PRIMARY KEY, price REAL, note TEXT, picture BLOB)")
        goods = [("tea", 2.5, None, b"abc"), ("jam", 4, "two\nlines", b""), ("long", 1, "x" * 1000, None)]
        connection.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", goods)
        connection.execute("CREATE TABLE numbers (n INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(1000)])
        connection.commit()
    return path


def ask(database: Path, query: str, **options: float) -> ToolResult:
    tool = sql_tool(database, **options)  # type: ignore[arg-type]
    return ToolExecutor([tool]).execute([ToolCall("sql", {"query": query})])[0]


def test_rows_stand_under_their_columns(database: Path) -> None:
    told = ask(database, "SELECT name, price, note, picture FROM goods ORDER BY price LIMIT 2 OFFSET 1")
    rows = ["name | price | note | picture", "tea | 2.5 | NULL | [3 bytes]", "jam | 4.0 | two\\nlines | [0 bytes]"]
    assert told == ToolResult("\n".join(rows))
    assert ask(database, "SELECT name FROM goods WHERE 0").text == "name\n(no rows)"
    assert ask(database, "SELECT 'é' AS \"ü\", CAST(x'ff' AS TEXT) AS bad").text == "ü | bad\né | \ufffd"


def test_what_is_cut_is_marked(database: Path) -> None:
    told = ask(database, "SELECT n FROM numbers ORDER BY n", rows=3).text
    assert told == "n\n0\n1\n2\n[cut: more than 3 rows]"
    assert "cut" not in ask(database, "SELECT n FROM numbers LIMIT 3", rows=3).text
    told = ask(database, "SELECT note FROM goods WHERE name = 'long'", cell_chars=10).text
    assert told == "note\nxxxxxxxxxx[cut: 1000 characters in all]"


def test_the_schema_stands_in_the_description(database: Path) -> None:
    tool = Spec("reachlab.tools.sql:sql_tool", {"path": str(database)}).build("tools")
    assert "CREATE TABLE goods (name TEXT PRIMARY KEY" in prepare(tool).schema["function"]["description"]
    assert prepare(tool).direct and not prepare(tool).stateful


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM goods",
        "INSERT INTO goods VALUES ('x', 1, '', '')",
        "UPDATE goods SET price = 0",
        "DROP TABLE goods",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "ATTACH '/tmp/other.sqlite' AS other",
        "VACUUM INTO '/tmp/copy.sqlite'",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = WAL",
        "SELECT load_extension('x')",
        "SELECT random()",
        "SELECT \"RANDOMBLOB\"(8)",
        "SELECT hex(fts3_tokenizer('simple'))",
        "SELECT readfile('/etc/passwd')",
        "SELECT file FROM pragma_database_list",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA hard_heap_limit = 1",
        "WITH a AS (SELECT 1) DELETE FROM goods",
        "EXPLAIN DELETE FROM goods",
        "ANALYZE",
        "SAVEPOINT a",
        "DETACH main",
        "CREATE VIRTUAL TABLE t USING fts5(a)",
        "BEGIN IMMEDIATE",
        "SELECT 1; DELETE FROM goods",
        "SELECT nothing FROM goods",
        "SELEC 1",
        "SELECT ?",
        "SELECT '\ud800'",
        "SELECT 1\0",
        "-- only a comment",
        "",
    ],
)
def test_anything_but_one_query_is_the_policys_error(database: Path, query: str) -> None:
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    told = ask(database, query)
    assert told.is_error and told.text.startswith("Error: ")
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert os.listdir(database.parent) == [database.name]


def test_the_schema_can_be_asked_for(database: Path) -> None:
    assert "price" in ask(database, "PRAGMA table_info(goods)").text
    assert "goods" in ask(database, "SELECT name FROM sqlite_master").text


def test_a_query_without_end_is_stopped_by_its_steps_and_always_at_the_same(database: Path) -> None:
    told = ask(database, FOREVER, steps=200_000)
    assert told == ToolResult("Error: stopped after 200000 steps; ask for less", is_error=True)
    begun = time.perf_counter()
    assert "stopped after 0.1 s" in ask(database, FOREVER, steps=10**9, seconds=0.1).text
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT hex(zeroblob(1000000000))",
        "SELECT printf('%1000000000d', 1)",
        "SELECT trim(replace(hex(zeroblob(250000)), '0', 'a'), replace(hex(zeroblob(25000)), '0', 'b') || 'a')",
        "SELECT instr(hex(zeroblob(500000)), hex(zeroblob(250000)) || '1'), instr(hex(zeroblob(500000)), '02')",
        "SELECT 'a' LIKE replace(hex(zeroblob(1000)), '0', '%a')",
        "SELECT " + "(" * 500 + "1" + ")" * 500,
        "SELECT group_concat(a.n || b.n) FROM numbers a, numbers b, numbers c",
    ],
)
def test_no_single_instruction_is_expensive(database: Path, query: str) -> None:
    begun = time.perf_counter()
    told = ask(database, query)
    assert told.is_error or told.text.endswith("\nNULL")  # what printf says to a result that is too long
    assert time.perf_counter() - begun < 5


HEAVY = [
    f"SELECT json_group_array(hex(zeroblob(400))) FROM {', '.join('numbers AS ' + name for name in 'abc')}",
    "WITH RECURSIVE r(i, s) AS (SELECT 1, hex(zeroblob(30000)) UNION SELECT i + 1, s FROM r) SELECT max(i) FROM r",
]


@pytest.mark.parametrize("query", HEAVY)
def test_memory_is_bounded_and_the_disk_is_not_its_substitute(database: Path, query: str) -> None:
    before = _peak()
    told = ask(database, query, steps=10**9, megabytes=100)
    assert told == ToolResult("Error: stopped after 100 MB; ask for less", is_error=True)
    assert _peak() - before < 300 * 2**20


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_large_values_are_refused_and_can_be_allowed(tmp_path: Path) -> None:
    path = tmp_path / "large.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b BLOB)")
        connection.execute("INSERT INTO t VALUES (?, ?)", ("x" * 10 * 2**20, bytes(10 * 2**20)))
        connection.commit()
    refused = ask(path, "SELECT a, b FROM t")
    assert refused == ToolResult("Error: string or blob too big", is_error=True)
    told = ask(path, "SELECT a, b FROM t", value_bytes=2**26).text
    assert told.endswith("[cut: 10485760 characters in all] | [10485760 bytes]") and len(told) < 300


@pytest.mark.parametrize(
    "query",
    [
        "SELECT instr(hex(zeroblob(32000)), hex(zeroblob(16000)) || '1') FROM numbers",
        "SELECT trim(hex(zeroblob(32000)), replace(hex(zeroblob(2000)), '0', '1') || '0') FROM numbers",
        "SELECT replace(hex(zeroblob(32000)), hex(zeroblob(16000)) || '1', 'a') FROM numbers",
    ],
)
def test_the_dearest_instructions_are_cheap_enough_to_be_stopped_between_them(database: Path, query: str) -> None:
    begun = time.perf_counter()
    ask(database, query, rows=1000, seconds=0.1)
    assert time.perf_counter() - begun < 5


def test_a_database_that_goes_away_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "gone.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    executor = ToolExecutor([sql_tool(path)])
    path.unlink()
    with pytest.raises(ToolFault, match="unable to open"):
        executor.execute([ToolCall("sql", {"query": "SELECT 1"})])
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(ToolFault, match="not a database"):
        executor.execute([ToolCall("sql", {"query": "SELECT * FROM t"})])


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello" * 1000)
    for name in ("text", "missing"):
        with pytest.raises(BadValue, match=f"{name}.*a SQLite file that can be read"):
            sql_tool(tmp_path / name)
    assert not (tmp_path / "missing").exists()


def test_limits_are_checked(database: Path) -> None:
    with pytest.raises(BadValue, match="rows: got 0"):
        sql_tool(database, rows=0)
