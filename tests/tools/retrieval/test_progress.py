"""The bar: on terminals only, only for long work, and never in the way of what it counts."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from reachlab.tools.retrieval import progress, read_corpus
from reachlab.tools.retrieval.formats import how_many
from reachlab.tools.retrieval.progress import pulsing, watched


def slowly(n: int) -> list[int]:
    found = []
    for i in watched(range(n), "indexing [x]", every=1):
        time.sleep(0.01)
        found.append(i)
    return found


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    assert slowly(20) == list(range(20)) and capsys.readouterr() == ("", "")


def test_short_work_shows_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert slowly(20) == list(range(20)) and capsys.readouterr() == ("", "")


def test_long_work_shows_what_how_much_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in {"TERM": "xterm", "COLUMNS": "120", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert slowly(60) == list(range(60))
    out, err = capsys.readouterr()
    assert out == "" and "indexing [x]" in err and "/60" in err and "left" in err


def test_a_loop_that_breaks_off_ends_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    stream = watched(iter(range(5)), "reading", every=1)
    assert [next(stream), next(stream)] == [0, 1]
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert list(stream) == []


def test_what_counts_itself_is_asked_only_when_the_bar_appears(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never() -> int:
        raise AssertionError("counting may take long")

    assert list(watched(iter("abc"), "reading", every=1, count=never)) == list("abc")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in {"TERM": "xterm", "COLUMNS": "120", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(f'{{"text": "text {i}"}}\n' for i in range(600)))
    assert len(read_corpus(corpus).documents) == 600
    assert "/600" in capsys.readouterr().err


def test_about_how_many_records_there_are(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text("{}\n" * 7)
    (tmp_path / "d.txt").write_text("x")
    parquet.write_table(pyarrow.table({"text": ["x"] * 5}), tmp_path / "c.parquet")
    names = ("c.jsonl", "c.parquet", ".", "c.jsonl.gz")
    assert [how_many(tmp_path / name) for name in names] == [7, 5, 1, None]


def test_work_that_says_nothing_pulses_and_only_when_it_is_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in {"TERM": "xterm", "COLUMNS": "120", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with pulsing("scoring"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with pytest.raises(ZeroDivisionError), pulsing("scoring"):
        time.sleep(0.3)
        raise ZeroDivisionError
    assert "scoring" in capsys.readouterr().err
    assert [t.name for t in threading.enumerate() if isinstance(t, threading.Timer)] == []
