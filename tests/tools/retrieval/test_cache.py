"""Indices on disk: made once, whole or not at all, also where processes race or are killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from reachlab.errors import BadValue
from reachlab.tools.retrieval import cache
from reachlab.tools.retrieval.cache import LIST, cache_folder, cached, key, whole

SPAWN = multiprocessing.get_context("spawn")


def build(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "index").write_text("whole")
    (folder / "b").write_text("too")


def load(folder: Path) -> str:
    return (folder / "sub" / "index").read_text()


def fail(folder: Path) -> None:
    raise AssertionError("built again")


def slow_build(folder: Path) -> None:
    with (folder.parent / "builds").open("a") as log:
        log.write(f"{os.getpid()}\n")
    (folder / "half").write_text("half")
    time.sleep(0.3)
    build(folder)


def race(place: str) -> str:
    return cached(Path(place), slow_build, load)


def hang(folder: Path) -> None:
    (folder / "half").write_text("half")
    (folder.parent / "started").write_text("")
    time.sleep(60)


def hanging(place: str) -> None:
    cached(Path(place), hang, load)


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    assert cached(tmp_path / "e", build, load) == "whole"
    assert cached(tmp_path / "e", fail, load) == "whole"


@pytest.mark.parametrize("harm", ["cut", "changed", "removed", "list", "list gone", "list of nonsense", "empty"])
def test_a_broken_entry_is_built_again(tmp_path: Path, harm: str) -> None:
    place = tmp_path / "e"
    cached(place, build, load)
    file, listed = place / "sub" / "index", place / LIST
    if harm in ("cut", "changed"):
        file.write_text({"cut": "wh", "changed": "whale"}[harm])
    elif harm in ("removed", "list gone"):
        {"removed": file, "list gone": listed}[harm].unlink()
    else:
        listed.write_text({"list": "{", "list of nonsense": "[3]", "empty": ""}[harm])
    assert not whole(place)
    assert cached(place, build, load) == "whole" and whole(place)
    assert not list(tmp_path.glob("*.building-*"))


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="built again"):
        cached(tmp_path / "e", fail, load)
    assert [p.name for p in tmp_path.iterdir()] == ["e.lock"]
    assert cached(tmp_path / "e", build, load) == "whole"


def test_a_builder_that_lost_patience_gives_way_to_what_was_published(tmp_path: Path) -> None:
    def beaten(folder: Path) -> None:
        build(folder)
        cached(tmp_path / "e", build, load, patience=0)  # another process, as fast

    assert cached(tmp_path / "e", beaten, load) == "whole" and whole(tmp_path / "e")


def test_keys_follow_from_every_part() -> None:
    assert len({key("a", 1), key("a", 2), key("a1"), key(["a", 1]), key("a", "1")}) == 5
    assert key("a", {"x": 1, "y": 2}) == key("a", {"y": 2, "x": 1})


def test_the_folder_is_the_users_cache_or_the_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "reachlab" / "retrieval" and cache_folder().is_dir()
    assert cache_folder(tmp_path / "mine").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadValue, match="cache: got"):
        cache_folder(tmp_path / "file")


@pytest.mark.smoke
def test_processes_that_race_build_once(tmp_path: Path) -> None:
    with SPAWN.Pool(4) as pool:
        assert pool.map(race, [str(tmp_path / "e")] * 8, chunksize=1) == ["whole"] * 8
    assert len((tmp_path / "builds").read_text().split()) == 1


@pytest.mark.smoke
def test_a_killed_builder_leaves_no_index_and_no_lock(tmp_path: Path) -> None:
    place = tmp_path / "e"
    process = SPAWN.Process(target=hanging, args=(str(place),))
    process.start()
    assert process.pid is not None
    until = time.monotonic() + 30
    while not (tmp_path / "started").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not place.exists() and len(list(tmp_path.glob("e.building-*"))) == 1
    old = time.time() - 2 * 24 * 3600
    for left in tmp_path.glob("e.building-*"):
        os.utime(left, (old, old))
    began = time.monotonic()
    assert cached(place, build, load) == "whole" and time.monotonic() - began < 5
    assert not list(tmp_path.glob("e.building-*"))
    assert json.loads((place / LIST).read_text()).keys() == {"b", "sub/index"}


def test_waiting_for_another_process_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def watched(items: Iterable[float], what: str, every: int = 1) -> Iterator[float]:
        shown.append(what)
        yield from items

    monkeypatch.setattr(cache, "watched", watched)
    with cache._alone(tmp_path / "e", 5):
        assert cached(tmp_path / "e", build, load, patience=0.1) == "whole"
    assert any("another process" in what for what in shown)
