"""The bar: on terminals only, only for long work, and never in the way of what it counts."""

from __future__ import annotations

import sys
import time

import pytest

from reachlab.tools.retrieval import progress
from reachlab.tools.retrieval.progress import watched


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
