"""Every example runs as its docstring says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.smoke
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.smoke
def test_the_throughput_benchmark_runs(tmp_path: Path) -> None:
    benchmark = Path(__file__).parents[1] / "benchmarks" / "throughput.py"
    command = [sys.executable, str(benchmark), "--repeats", "1", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 6 and all(row["low"] <= row["median"] <= row["high"] for row in found.values())


def test_there_are_examples() -> None:
    assert {p.stem for p in EXAMPLES} >= {"study", "own_family", "gymnasium_loop"}
