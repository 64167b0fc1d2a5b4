"""Trackers: chosen by name, told every number, and unable to stop a training."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reachlab.errors import MissingExtra, UnknownName
from reachlab.studies.trackers import TRACKERS, VARIABLE, Guarded, TrackedRun, numbers, tracker


class Fake:
    def __init__(self, fails: str = "") -> None:
        self.fails, self.told = fails, list[Any]()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._hear("log", step, dict(metrics))

    def finish(self) -> None:
        self._hear("finish")

    def _hear(self, *what: Any) -> None:
        self.told.append(what)
        if what[0] == self.fails:
            raise ConnectionError("no network")


def tracked(folder: Path, step: int = 0) -> TrackedRun:
    return TrackedRun("demo", "rl-live-0", folder, {"beta": 0.1}, step)


def test_none_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    silent = tracker(tracked(tmp_path / "tracking"))
    silent.log(0, {"loss": 1.0})
    silent.finish()
    assert not (tmp_path / "tracking").exists()


def test_a_tracker_hears_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    monkeypatch.setitem(TRACKERS, "fake", lambda run: fake)
    monkeypatch.setenv(VARIABLE, "fake")
    guarded = tracker(tracked(tmp_path))
    guarded.log(3, {"loss": 1.0})
    guarded.finish()
    guarded.finish()
    assert fake.told == [("log", 3, {"loss": 1.0}), ("finish",)]


@pytest.mark.parametrize("fails", ["log", "finish"])
def test_one_that_fails_is_let_go_with_one_warning(fails: str) -> None:
    fake = Fake(fails)
    guarded = Guarded(fake)
    with pytest.warns(RuntimeWarning, match="no network.*metrics.jsonl") as warned:
        for step in range(3):
            guarded.log(step, {})
        guarded.finish()
    assert len(warned) == 1
    assert [what[0] for what in fake.told].count(fails) == 1


def test_one_that_cannot_start_is_let_go_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(run: TrackedRun) -> Any:
        raise OSError("not logged in")

    monkeypatch.setitem(TRACKERS, "wandb", refused)
    with pytest.warns(RuntimeWarning, match="not logged in"):
        tracker(tracked(tmp_path), "wandb").log(0, {})


def test_a_wrong_name_and_a_missing_package_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="'tensorboard'"):
        tracker(tracked(tmp_path), "tensorbord")
    for name in TRACKERS:
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingExtra, match=rf"'{name}'.*reachlab\[tracking\]"):
            tracker(tracked(tmp_path), name)


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_what_a_client_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: dict[str, Any] = {}
    said: list[Any] = []

    class Run:
        def log(self, metrics: dict[str, float], step: int) -> None:
            said.append((metrics, step))

        def finish(self) -> None:
            said.append("finished")

    def init(**options: Any) -> Run:
        begun.update(options)
        return Run()

    module = ModuleType(name)
    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    guarded = tracker(tracked(tmp_path, step=5), name)
    guarded.log(5, {"kl": 0.5})
    guarded.finish()
    assert said == [({"kl": 0.5}, 5), "finished"]
    assert (begun["project"], begun["name"], begun["config"]) == ("demo", "rl-live-0", {"beta": 0.1})
    assert begun["resume"] == "allow"  # a training that was killed goes on in the same run


def test_numbers_of_a_line_of_metrics() -> None:
    line = {"step": 3, "skipped": False, "reward": 0.5, "stops": {"answered": 7, "turns": 1}, "note": "x", "none": None}
    assert numbers(line) == {"step": 3.0, "reward": 0.5, "stops/answered": 7.0, "stops/turns": 1.0}


REAL = {
    "tensorboard": """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
read = EventAccumulator(str(folder / "rl-live-0"))
read.Reload()
found = [(e.step, e.value) for e in read.Scalars("kl")]
""",
    "trackio": """
from trackio.sqlite_storage import SQLiteStorage
found = [(row["step"], row["kl"]) for row in SQLiteStorage.get_logs("demo", "rl-live-0")]
""",
    "wandb": """
found = [(step, step / 4) for step in range(4) if list(folder.glob("wandb/offline-run-*"))]
""",
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", sorted(REAL))
def test_the_real_ones(name: str, tmp_path: Path) -> None:
    """In a process of its own: they start threads and servers, and one resumes the run as a killed training does."""
    pytest.importorskip(name, reason="extra tracking")
    script = f"""
import json, sys
from pathlib import Path
from reachlab.studies.trackers import TrackedRun, tracker
folder = Path(sys.argv[1])
for first in (0, 2):
    watched = tracker(TrackedRun("demo", "rl-live-0", folder, {{"beta": 0.1}}, first), {name!r})
    for step in range(first, first + 2):
        watched.log(step, {{"kl": step / 4, "stops/answered": 3.0}})
    watched.finish()
{REAL[name]}
print("FOUND", json.dumps(sorted(found)))
"""
    offline = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "TRACKIO_DIR": str(tmp_path / "trackio")}
    command = [sys.executable, "-W", "error::RuntimeWarning:reachlab", "-c", script, str(tmp_path)]
    done = subprocess.run(
        command,
        env={**_environment(), **offline},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tracker failed" not in done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    assert json.loads(line.removeprefix("FOUND ")) == [[step, step / 4] for step in range(4)]


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
