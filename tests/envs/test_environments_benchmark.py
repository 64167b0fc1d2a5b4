"""The benchmarks of the environments run as their docstrings say, measure what the episodes do, and check promises."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reachlab.envs import SYNTHETIC
from reachlab.registry import Spec

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WITHOUT_PROCESSES = [name for name in SYNTHETIC if name != "program"]


def run(name: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(BENCHMARKS / name), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", WITHOUT_PROCESSES)
def test_bare_calls_return_what_the_episodes_saw_and_a_difference_is_seen(name: str) -> None:
    there = runpy.run_path(str(BENCHMARKS / "environments.py"))
    family = Spec(name).build("families")
    written = [there["script_of"](family, family.task("train", seed)) for seed in range(4)]
    with there["sessions"](written) as held:
        for _ in range(2):  # what an episode keeps (where it stands in a maze) is its own
            assert there["through_bare"](written, held) == sum(len(script.calls) for script in written) > 0
        turns = there["through_core"](family, written)
        assert turns == sum(len(script.turns) for script in written)
        call = replace(written[0].calls[0], returned="something else")
        with pytest.raises(AssertionError):
            there["through_bare"]([replace(written[0], calls=(call,))], held)


def test_threads_keep_to_their_processors_and_the_caller_keeps_its_own() -> None:
    bound_to = runpy.run_path(str(BENCHMARKS / "environments.py"))["bound_to"]
    before = os.sched_getaffinity(0)
    with bound_to({max(before)}) as here:
        assert here(lambda: os.sched_getaffinity(0)) == {max(before)}
    assert os.sched_getaffinity(0) == before


def test_memory_of_children_counts() -> None:
    megabytes = runpy.run_path(str(BENCHMARKS / "environments_memory.py"))["megabytes"]
    before = megabytes(os.getpid())
    code = "held = b'x' * 50_000_000; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert 50 < megabytes(os.getpid()) - before < 150
        child.communicate(b"\n")
    assert megabytes(child.pid) == 0


@pytest.mark.smoke
def test_the_benchmark_runs_and_a_broken_promise_is_exit_code_one(tmp_path: Path) -> None:
    quick = ["--rounds", "2", "--seconds", ".01", "--families", "lock", "program", "--check"]
    done = run("environments.py", tmp_path, "--json", "--least", "1", *quick)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert list(rows) == ["no-op", "lock", "program"]
    for row in rows.values():
        assert set(row) == {"core", "gymnasium", "bare", "ratio", "free"}
        assert all(0 < told["least"] <= told["median"] <= told["most"] for told in row.values())
    done = run("environments.py", tmp_path, "--least", "1e9", *quick)
    assert done.returncode == 1
    assert "promised: 1e+09 turns/s" in done.stderr and "| lock |" in done.stdout


@pytest.mark.smoke
def test_memory_is_measured_and_a_broken_promise_is_exit_code_one(tmp_path: Path) -> None:
    done = run("environments_memory.py", tmp_path, "--environments", "200", "--families", "lock", "maze", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert list(rows) == ["lock", "maze"]
    assert all(0 < row["grown"] < row["MB"] < 1000 for row in rows.values())
    few = ["--environments", "2", "--families", "lock", "--check", "--most", "1"]
    done = run("environments_memory.py", tmp_path, *few)
    assert done.returncode == 1 and "promised: 1 MB" in done.stderr and "| lock |" in done.stdout
