"""A bench: several studies, one table, resumable, each row what its own study says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reachlab.cli import app
from reachlab.errors import BadValue, CorruptRun
from reachlab.registry import Spec
from reachlab.studies.bench import COLUMNS, ENTRIES, BenchSpec, Entry, bench
from reachlab.studies.bench_report import markdown
from reachlab.studies.tiny.drawers import DRAWERS

from .conftest import MICRO

pytestmark = pytest.mark.smoke
TWO = (
    Entry(Spec("lexicon", {"digits": [1, 2]})),
    Entry(Spec("program", {"kinds": ["sort"], "lengths": [2]})),
)
SPEC = BenchSpec(TWO, "tiny", MICRO, seeds=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench") / "b"
    told: list[tuple[float, float, str]] = []
    bench(SPEC, out, workers=1, report=lambda *now: told.append(now))
    shares = [done / total for done, total, _ in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1) and len({t[1] for t in told}) == 1
    assert any("lexicon" in t[2] for t in told) and any("program" in t[2] for t in told)
    return out


def test_each_row_is_what_its_study_says(made: Path) -> None:
    found = json.loads((made / "bench.json").read_text())
    assert [row["family"] for row in found["rows"]] == ["lexicon", "program"]
    for row in found["rows"]:
        result = json.loads((made / row["family"] / "result.json").read_text())
        (primary,) = [a for a in result["arms"] if a["primary"] and a["split"] == "test"]
        assert row["verdict"] == result["verdicts"][0]["verdict"] and row["interaction"] == result["interaction"]
        assert row["surplus_nats"] == primary["surplus_nats"] and row["success_hard"] == primary["success_hard"]
        removed = next(a for a in result["arms"] if a["name"] == "rl·live→closed")
        assert row["removed"] == removed["success_hard"]


def test_the_page_has_a_row_per_family_and_the_picture_is_drawn(made: Path) -> None:
    page = (made / "bench.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith(("| lexicon", "| program"))]
    assert len(rows) == 2 and all(line.count("|") == len(COLUMNS) + 4 for line in rows)
    assert (made / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_bench_goes_on_where_it_was_stopped(made: Path) -> None:
    before = (made / "lexicon" / "result.json").stat().st_mtime_ns, json.loads((made / "bench.json").read_text())
    with pytest.raises(CorruptRun, match="--resume"):
        bench(SPEC, made, workers=1)
    (made / "program" / "result.json").unlink()
    assert bench(SPEC, made, workers=1, resume=True)["rows"] == before[1]["rows"]
    with pytest.raises(CorruptRun, match="another bench"):
        bench(replace(SPEC, seed=1), made, workers=1, resume=True)


def test_missing_numbers_keep_their_reason() -> None:
    missing = {"value": None, "reason": "no signal: never solved"}
    named = {"family": "f", "mechanism": "m", "verdict": "UNDECIDED", "sentence": "s", "alpha": 0.001, "beside": []}
    row = {**named, **{c.key: missing for c in COLUMNS}}
    page = markdown({"command": "c", "rows": [row]})
    assert "a: no signal: never solved" in page and page.count("– a") == len(COLUMNS)


def test_bad_input_is_said_before_anything_is_made(tmp_path: Path) -> None:
    out = tmp_path / "b"
    told = CliRunner().invoke(app, ["bench", "--families", "lexikon", "--out", str(out)])
    assert told.exit_code == 2 and "lexicon" in told.output and not out.exists()
    with pytest.raises(BadValue, match="all different"):
        BenchSpec((Entry(Spec("lexicon")), Entry(Spec("lexicon"))), "tiny", MICRO)


def test_every_family_that_the_base_is_made_for_has_an_entry() -> None:
    assert {entry.family.name for entry in ENTRIES} == set(DRAWERS)  # what the tiny base is made for
    for entry in ENTRIES:
        entry.family.build("families")
