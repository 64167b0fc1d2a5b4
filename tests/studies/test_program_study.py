"""A study whose tool runs code: the same for any number of workers, and more of the base where no bound is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reachlab import NO_INFORMATION_WORLDS, Json
from reachlab.studies import StudySpec, run
from reachlab.studies.context import open_run
from reachlab.studies.designs import DEFAULT

from .conftest import MICRO, micro_spec, without_costs


def spec() -> StudySpec:
    return replace(micro_spec(family="program", design="core", lengths=[2, 4]), profile=replace(MICRO, base_repeats=3))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Json]:
    out = tmp_path_factory.mktemp("program") / "run"
    return out, run(spec(), out, workers=1)


def test_code_runs_in_it_and_nothing_is_a_fault(finished: tuple[Path, Json]) -> None:
    _, result = finished
    arms = {a["name"]: a for a in result["arms"]}
    assert arms["base·live"]["success"]["value"] > 0.1
    assert result["faults"] == 0 and result["cost"]["tool_calls"] > 0
    assert result["family"]["name"] == "program" and result["p0"]["kind"] != "missing"


def test_two_workers_give_the_same_result(finished: tuple[Path, Json], tmp_path: Path) -> None:
    assert without_costs(run(spec(), tmp_path / "b", workers=2)) == without_costs(finished[1])


def test_where_no_bound_is_known_the_base_is_sampled_more(finished: tuple[Path, Json], tmp_path: Path) -> None:
    out, result = finished
    episodes = {a["name"]: a["episodes"] for a in result["arms"]}
    once = MICRO.test_tasks * MICRO.episodes
    for world in NO_INFORMATION_WORLDS:
        assert episodes[f"base·{world}"] == 3 * once
    for name in ("base·live", "rl·live→shuffled"):
        assert episodes[name] == once
    arm = next(a for a in DEFAULT.arms if a.name == "base·silent")
    folder = tmp_path / "bounded"
    folder.mkdir()
    (folder / "spec.json").write_text((out / "spec.json").read_text().replace('"program"', '"lexicon"').replace(
        '"lengths"', '"digits"'))  # fmt: skip
    assert len(open_run(folder).runs(arm)) == 1  # Lexicon bounds what anybody can guess
