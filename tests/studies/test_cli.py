"""The command line: what it prints, what it exits with, and what it says about bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from reachlab.cli import app


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "lexicn"), "Did you mean 'lexicon'?"),
        (("run", "lexicon", "--profile", "smok"), "Did you mean 'smoke'?"),
        (("run", "lexicon", "--policy", "no/such/folder"), "no/such/folder"),
        (("run", "lexicon", "--policy", "tinny"), "Did you mean 'tiny'?"),
        (("run", "lexicon", "--dial", "digits=[7]"), "code lengths from 1 to 6"),
        (("run", "lexicon", "--dial", "hobs=[1]"), "hops"),
        (("run", "lexicon", "--dial", "hops"), "name=JSON"),
        (("run", "lexicon", "--seed", "-1"), "0 to 999999"),
        (("episode", "lexicon", "--world", "lif"), "Did you mean 'live'?"),
        (("episode", "lexicon", "--split", "dev"), "train or test"),
        (("train", "lexicon", "--algorithm", "ppo"), "rl"),
        (("train", "lexicon", "--algorithm", "base"), "a treatment that trains"),
        (("report", "nowhere"), "no run directory"),
        (("compare", "nowhere", "elsewhere"), "nowhere"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, tuple) else "",
)
def test_bad_input_is_explained_and_exits_with_2(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]  # nothing is left behind


def test_a_mistyped_command_names_the_nearest() -> None:
    result = call("rum")
    assert result.exit_code == 2 and "run" in result.stderr


@pytest.mark.parametrize("command", ["run", "train", "episode", "list", "report", "compare"])
def test_help_teaches(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    if command not in ("list", "report", "compare"):
        assert "Example: reachlab" in result.output


def test_list_names_everything() -> None:
    content = json.loads(call("list", "--json").stdout)
    assert "lexicon" in content["families"] and "tiny" in content["policies"]
    assert content["worlds"] == ["closed", "silent", "imagined", "shuffled", "live", "oracle"]
    assert "lexicon" in call("list").stdout


@pytest.mark.parametrize("world", ["closed", "silent", "imagined", "shuffled", "live", "oracle"])
def test_an_episode_can_be_read_and_parsed(world: str) -> None:
    text = call("episode", "lexicon", "--world", world, "--seed", "4")
    assert text.exit_code == 0 and "code?" in text.stdout
    content = json.loads(call("episode", "lexicon", "--world", world, "--seed", "4", "--json").stdout)
    assert content["world"] == world and 0 <= content["reward"] <= 1
    assert content["messages"][0]["role"] == "user"
    again = json.loads(call("episode", "lexicon", "--world", world, "--seed", "4", "--json").stdout)
    assert again["messages"] == content["messages"]


@pytest.mark.smoke
def test_run_report_and_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reachlab.studies import spec

    from .conftest import MICRO

    monkeypatch.setitem(spec.PROFILES, "smoke", MICRO)
    first, second = str(tmp_path / "a run"), str(tmp_path / "b")
    ran = call("run", "lexicon", "--profile", "smoke", "--out", first, "--workers", "1")
    assert ran.exit_code == 0 and "retrieval on Lexicon is" in " ".join(ran.stdout.split())
    result = json.loads(call("report", first, "--json").stdout)
    assert result["schema"] == "reachlab.result/1"
    again = call("run", "lexicon", "--profile", "smoke", "--out", first, "--workers", "1")
    assert again.exit_code == 2 and "--resume" in again.stderr
    call("run", "lexicon", "--profile", "smoke", "--out", second, "--workers", "1", "--seed", "1")
    compared = json.loads(call("compare", first, second, "--json").stdout)
    assert compared["arms"]
