"""The benchmark of the estimators runs as its docstring says, and its check fails where the promise is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "estimators.py"


def run(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(BENCHMARK), "--repeats", "1", "--episodes", "32000", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.smoke
def test_the_estimators_benchmark_runs(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "--check", "--seconds", "60")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kept"] and 0 < found["seconds"] < 60 and 0 < found["megabytes"] < 1000
    assert len(found["rows"]) == 22
    assert {name.rsplit(", ", 1)[1] for name in found["rows"]} == {"1,000 x 32", "2,000 x 16"}
    assert all(row["low"] <= row["median"] <= row["high"] for row in found["rows"].values())


@pytest.mark.smoke
def test_a_broken_promise_is_exit_code_one(tmp_path: Path) -> None:
    done = run(tmp_path, "--check", "--seconds", "0")
    assert done.returncode == 1
    assert "promised" in done.stderr and "together" in done.stdout
