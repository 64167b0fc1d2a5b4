"""C4: what was learned on one family, evaluated on another, by the same jobs, checks and table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reachlab import Json, Treatment, World
from reachlab.cli import app
from reachlab.errors import BadValue, CorruptRun
from reachlab.registry import Spec
from reachlab.studies import StudySpec, run
from reachlab.studies.collect import collect_arm, study_counts
from reachlab.studies.context import Context, open_run
from reachlab.studies.replay import replay_run
from reachlab.studies.store import RunStore, read_episodes, write_json
from reachlab.studies.study import train_one
from reachlab.studies.transfer import elsewhere, transfer

from .conftest import micro_spec

PROGRAM = Spec("program", {"kinds": ["sort", "reverse"]})
SPEC = replace(micro_spec(design="core"), family=PROGRAM, trained_on=Spec("lexicon"))


def test_the_training_split_is_of_the_family_trained_on(tmp_path: Path) -> None:
    context = Context(SPEC, RunStore(tmp_path))
    assert [t.id for t in context.pool] == [t.id for t in Context(micro_spec(), RunStore(tmp_path)).pool]
    assert (context.family_of("train").name, context.family_of("test").name) == ("lexicon", "program")


def test_the_spec_survives_json_and_says_nothing_where_there_is_nothing() -> None:
    assert StudySpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC
    assert "trained_on" not in micro_spec().to_json()


def test_the_same_family_is_no_transfer(tmp_path: Path) -> None:
    same = replace(micro_spec(), trained_on=Spec("reachlab.envs.lexicon:Lexicon", {"digits": [2]}))
    with pytest.raises(BadValue, match="another family"):
        _ = Context(same, RunStore(tmp_path)).taught


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptRun, match="no run directory"):
        elsewhere(RunStore(tmp_path), PROGRAM)
    write_json(tmp_path / "spec.json", micro_spec().to_json())
    with pytest.raises(CorruptRun, match="rl-live-0"):
        elsewhere(RunStore(tmp_path), PROGRAM)


# ------------------------------------------------------------------------------------------------------- end to end


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("transfer") / "learned"
    run(micro_spec(design="core"), out, workers=1)
    return out


@pytest.fixture(scope="module")
def moved(learned: Path) -> tuple[Path, Json]:
    out = learned.with_name("moved")
    return out, transfer(learned, PROGRAM, out, workers=1)


@pytest.mark.smoke
def test_the_policies_are_the_run_s_and_the_tasks_the_other_family_s(learned: Path, moved: tuple[Path, Json]) -> None:
    out, result = moved
    for world in (World.LIVE, World.CLOSED):
        weights = [RunStore(r).policy(Treatment.RL, world, 0) / "model.safetensors" for r in (learned, out)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    context = open_run(out)
    for arm in context.spec.designed.arms:
        there = {e.task for e in read_episodes(context.store.episodes(arm, 0, 0))}
        assert there <= {t.id for t in context.tasks(arm.split)}
        assert there or arm.training is not None
    assert result["family"]["name"] == "program"
    assert result["verdicts"][0]["sentence"].startswith("computation by code on Program (trained on Lexicon) is ")


@pytest.mark.smoke
def test_the_verdict_is_told_of_the_transfer(moved: tuple[Path, Json], learned: Path) -> None:
    for root, expected in ((moved[0], "Lexicon"), (learned, "")):
        context = open_run(root)
        data = [collect_arm(context, arm) for arm in context.spec.designed.arms]
        assert study_counts(context, data).transfer == expected


@pytest.mark.smoke
def test_the_record_replays_and_training_anew_gives_the_same_weights(moved: tuple[Path, Json], tmp_path: Path) -> None:
    """The weights that were taken over are what the spec stands for."""
    out, _ = moved
    for arm in ("rl·live", "rl·closed (train)"):
        found = replay_run(out, arm)
        assert found.episodes > 0 and not found.differences
    anew = train_one(open_run(out).spec, tmp_path / "anew", Treatment.RL, World.LIVE, report=lambda *_: None)
    folders = RunStore(out).policy(Treatment.RL, World.LIVE, 0), Path(anew["weights"])
    weights = [folder / "model.safetensors" for folder in folders]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.smoke
def test_the_command(learned: Path, tmp_path: Path) -> None:
    arguments = ["transfer", str(learned), "--family", "lexicon", "--out", str(tmp_path / "same")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert not (tmp_path / "same").exists()
