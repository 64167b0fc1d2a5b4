"""The benchmark runs, reads WordNet's format, and measures what it says."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "retrieval.py"
DATA = """  1 This is a licence.
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is perceived
00002137 03 n 02 abstraction 0 abstract_entity 0 000 | a general concept; "an example"
00002200 00 a 01 galore(ip) 0 000 | in great numbers
"""


def test_words_and_glosses_are_read(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(DATA)
    assert list(runpy.run_path(str(BENCHMARK))["synsets"](tmp_path)) == [
        ("n00001740", ["entity"], "that which is perceived"),
        ("n00002137", ["abstraction", "abstract entity"], 'a general concept; "an example"'),
        ("a00002200", ["galore"], "in great numbers"),
    ]


def test_recall_is_against_what_there_is() -> None:
    recall = runpy.run_path(str(BENCHMARK))["recall"]
    assert recall(["a", "x", "y"], ["a"]) == 1 and recall(["a", "x", "y"], ["a", "b"]) == 0.5
    assert recall(["a", "b", "c"], ["a", "b", "c", "d"]) == 1 and recall([], ["a"]) == 0


@pytest.mark.smoke
def test_it_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(BENCHMARK), "--documents", "300", "--repeats", "2", "--json",
               "--embed", "20"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    found = said["found"]
    assert {*found, *said["skipped"]} == {"bm25", "fts5", "hybrid", "http", "dense"}
    assert said["skipped"].keys() <= {"dense"}, "needs an extra"
    for rows in found.values():
        assert rows["queries/s"]["median"] > 0 and rows["index, s"]["low"] <= rows["index, s"]["high"]
    assert found["bm25"]["queries/s / bm25's"] == {"median": 1.0, "low": 1.0, "high": 1.0, "repeats": 2}
    if "dense" in found:
        assert found["dense"]["documents embedded"]["median"] == 20 and found["dense"]["documents"]["median"] == 300
