"""The job graph: needs come first, done jobs are skipped, an error stops the rest."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from reachlab.errors import BadValue
from reachlab.studies.jobs import Job, execute


def touch(path: Path, needs: tuple[Path, ...], log: Path) -> None:
    assert all(p.exists() for p in needs)
    with log.open("a") as file:
        file.write(f"{path.name}\n")
    path.write_text("done")


def fail(path: Path) -> None:
    raise BadValue("something", path.name, "anything else")


def graph(root: Path) -> list[Job]:
    """C needs b needs a; d is urgent."""
    a, b, c, d = (root / name for name in "abcd")
    log = root / "log"
    return [
        Job("c", c, partial(touch, c, (b,), log), needs=("b",)),
        Job("b", b, partial(touch, b, (a,), log), needs=("a",)),
        Job("a", a, partial(touch, a, (), log)),
        Job("d", d, partial(touch, d, (), log), priority=9),
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_needs_come_first_and_done_jobs_are_skipped(tmp_path: Path, workers: int) -> None:
    (tmp_path / "a").write_text("done before")
    seen: list[tuple[float, float]] = []
    execute(graph(tmp_path), workers, lambda done, total, running: seen.append((done, total)))
    log = (tmp_path / "log").read_text().split()
    assert sorted(log) == ["b", "c", "d"] and log.index("b") < log.index("c")
    assert workers == 2 or log[0] == "d"
    assert seen[-1] == (3.0, 3.0)
    execute(graph(tmp_path), workers, lambda *_: None)
    assert len((tmp_path / "log").read_text().split()) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_arrives_with_its_message(tmp_path: Path, workers: int) -> None:
    jobs = [Job("bad", tmp_path / "bad", partial(fail, tmp_path / "bad"), priority=5), *graph(tmp_path)]
    with pytest.raises(BadValue, match="something: got 'bad', allowed: anything else"):
        execute(jobs, workers, lambda *_: None)
    assert not (tmp_path / "bad").exists()
    assert workers == 2 or not (tmp_path / "c").exists()


def test_graphs_beside_each_other_keep_their_needs_and_their_order(tmp_path: Path) -> None:
    for group in ("one", "two"):
        (tmp_path / group).mkdir()
    jobs = [job.within(group, i) for i, group in enumerate(("one", "two")) for job in graph(tmp_path / group)]
    heard: list[str] = []
    execute(jobs[::-1], 1, lambda *_: None, lambda job: heard.append(job.name))
    assert heard[0] == "one: d" and {name[:3] for name in heard[:4]} == {"one"}
    for group in ("one", "two"):
        assert (tmp_path / group / "log").read_text().split() == ["d", "a", "b", "c"]
