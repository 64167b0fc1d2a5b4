"""kill -9 at ten random moments, then --resume: the same result as an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reachlab.seeding import generator
from reachlab.studies import run

from .conftest import MICRO, micro_spec, without_costs

pytestmark = pytest.mark.services

SCRIPT = """
import json, sys
from reachlab.studies import StudySpec, run
spec = StudySpec.from_json(json.loads(sys.argv[2]))
if __name__ == "__main__":
    run(spec, sys.argv[1], workers=int(sys.argv[3]), resume=True)
"""


def start(script: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    arguments = [str(out), json.dumps(micro_spec().to_json()), str(workers)]
    return subprocess.Popen([sys.executable, str(script), *arguments], start_new_session=True)


def progress(out: Path) -> int:
    """Files published so far, and training steps taken."""
    while True:
        try:
            published = sum(1 for p in out.rglob("*") if p.is_file() and not p.name.startswith("."))
            return published + sum(p.read_bytes().count(b"\n") for p in out.glob("policies/*/metrics.jsonl"))
        except FileNotFoundError:  # a temporary folder took its name while it was being read
            continue


def kill(process: subprocess.Popen[bytes]) -> None:
    """The parent only: its workers must end by themselves."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def group_is_gone(pgid: int, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not subprocess.run(["pgrep", "-g", str(pgid)], capture_output=True, check=False).stdout:
            return True
        time.sleep(0.1)
    return False


def test_ten_kills_change_nothing(tmp_path: Path) -> None:
    undisturbed = without_costs(run(micro_spec(), tmp_path / "whole", workers=1))
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    rng = generator(0, "kills")
    total = progress(tmp_path / "whole")
    kills, attempt, moments = 0, 0, []
    while kills < 10:
        out, attempt = tmp_path / f"killed-{attempt}", attempt + 1
        while True:
            workers = 1 + kills % 2
            process = start(script, out, workers)
            goal = progress(out) + int(rng.integers(0, total // 3))
            while kills < 10 and process.poll() is None and progress(out) <= goal:
                time.sleep(0.01)
            if kills < 10 and process.poll() is None:
                kill(process)
                assert group_is_gone(process.pid), "workers outlived their parent"
                kills += 1
                moments.append(progress(out))
                continue
            assert process.wait(timeout=120) == 0
            break
        assert without_costs(json.loads((out / "result.json").read_text())) == undisturbed
    assert len(set(moments)) >= 5  # the kills fell on different moments
    assert MICRO.checkpoint_every == 1


def test_interrupt_leaves_a_run_that_can_go_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "reachlab", "run", "lexicon", "--profile", "smoke", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not list(out.glob("policies/*/metrics.jsonl")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in " ".join(said.decode().split())
    assert group_is_gone(process.pid)
    done = subprocess.run([*command, "--resume", "--json"], capture_output=True, check=True, timeout=300)
    assert json.loads(done.stdout)["verdicts"]
