"""The command line: what it prints, what it exits with, and what it says about bad input."""

from __future__ import annotations

import io
import json
import re
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from reachlab import Json, World
from reachlab.cli import app, console
from reachlab.cli.commands import _folder
from reachlab.errors import BadValue, MissingExtra
from reachlab.studies import StudySpec

from .conftest import micro_spec


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
        (("run", "lexicon", "--dial", "digits=abc"), "code lengths from 1 to 6"),
        (("run", "lexicon", "--dial", "entities=abc"), "entities: got 'abc', allowed: a whole number, 4 to"),
        (("run", "lexicon", "--dial", "top_k=0"), "top_k: got 0"),
        (("run", "lexicon", "--dial", "salt=[1]"), "salt: got [1]"),
        (("run", "math:pi"), "family: got 'math:pi', allowed: a name of a reachlab.Family; this float is none"),
        (("run", "json:loads"), "with s, for which"),
        (("episode", "json:dumps", "--dial", "obj=1"), "this str is none"),
        (("run", "[/x]"), "unknown family '[/x]'"),
        (("report", "[/x]"), "[/x] is no run directory"),
        (("run", "lexicon", "--out", "/dev/null"), "Not a directory: /dev/null"),
        (("run", "lexicon", "--out", "/proc/nothing"), "/proc/nothing"),
        (("train", "lexicon", "--out", "/dev/null"), "Not a directory: /dev/null"),
        (("episode", "lexicon", "--policy", "reachlab.policies.scripted:ScriptedPolicy"), "with name and script"),
        (("episode", "lexicon", "--policy", "reachlab.envs.lexicon:Lexicon"), "this one has no session()"),
        (
            ("episode", "lexicon", "--world", "imagined", "--base", "reachlab.envs.lexicon:Lexicon"),
            "this one has no imaginer()",
        ),
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


@pytest.fixture
def studied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StudySpec, Path]]:
    """What `run` would have run, and where; the verdict is INVALID."""
    import reachlab.studies
    import reachlab.studies.report

    asked: list[tuple[StudySpec, Path]] = []

    def pretend(spec: StudySpec, out: Path, **_: Any) -> Json:
        asked.append((spec, out))
        return {"verdicts": [{"verdict": "INVALID"}]}

    monkeypatch.setattr(reachlab.studies, "run", pretend)
    monkeypatch.setattr(reachlab.studies.report, "terminal", lambda result: "a table")
    return asked


def test_an_invalid_verdict_has_an_exit_code_of_its_own(studied: list[tuple[StudySpec, Path]]) -> None:
    result = call("run", "lexicon", "--out", "a[b]c")
    assert result.exit_code == 3
    assert "pictures and report: a[b]c/report.md" in result.stdout


def test_the_default_folder_tells_studies_apart(studied: list[tuple[StudySpec, Path]]) -> None:
    call("run", "lexicon", "--seed", "3", "--profile", "smoke")
    assert studied[0][1] == Path("runs/lexicon-smoke-3")
    dotted = "reachlab.envs.lexicon:Lexicon"
    for more in (["--policy", "a/b"], ["--dial", "digits=4"], ["--dial", "digits=5"], ["--seeds", "2"], [dotted]):
        call("run", *([] if more == [dotted] else ["lexicon"]), "--seed", "3", "--profile", "smoke", *more)
    assert len({out.name.lower() for _, out in studied}) == 6
    call("run", "lexicon", "--dial", "hops=[1]", "--dial", "digits=4")
    call("run", "lexicon", "--dial", "digits=4", "--dial", "hops=[1]", "--seeds", "1", "--policy", "tiny")
    assert studied[-1][1] == studied[-2][1] and re.fullmatch(r"lexicon-default-0-[0-9a-f]{6}", studied[-1][1].name)


def test_the_default_folder_of_a_training_tells_profiles_apart() -> None:
    def named(profile: str, **dials: Any) -> str:
        return _folder(micro_spec(**dials), profile, "rl", "live").name

    assert named("default") == "lexicon-rl-live-0"
    assert len({named("default"), named("smoke"), named("default", digits=4), named("smoke", digits=4)}) == 4


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MissingExtra("vllm", "vllm"), "pip install 'reachlab[vllm]'"),
        (BadValue("x", "[/red]", "[bold]"), "x: got '[/red]', allowed: [bold]"),
        (BrokenProcessPool("terminated abruptly"), "a worker process was killed; most often the memory"),
        (BrokenProcessPool(), "run --dial 'hops=[1,2]' --resume"),
        (OSError(28, "No space left on device", "[a]"), "error: No space left on device: [a]"),
        (OSError("odd"), "error: odd"),
    ],
    ids=repr,
)
def test_errors_are_printed_as_they_are(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as exit, console.explained("go on: reachlab run --dial 'hops=[1,2]' --resume"):
        raise error
    assert exit.value.exit_code == 2
    assert said in capsys.readouterr().err


def test_other_errors_are_not_hidden() -> None:
    for error in (RuntimeError("a bug"), BrokenPipeError(32, "Broken pipe")):
        with pytest.raises(type(error)), console.explained():
            raise error


def test_stopping_shows_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as exit, console.explained("reachlab run --dial 'hops=[1,2]'"):
        raise KeyboardInterrupt
    assert exit.value.exit_code == 130
    assert capsys.readouterr().err == "stopped. reachlab run --dial 'hops=[1,2]'\n"


def test_warnings_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with console.explained():
            warnings.warn("pip install 'reachlab[mcp]' [/x]", stacklevel=1)
    assert capsys.readouterr().err == "warning: pip install 'reachlab[mcp]' [/x]\n"


def test_a_broken_plug_in_is_named_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "it comes with: pip install 'reachlab[mcp]'"
    monkeypatch.setattr("reachlab.registry.problems", lambda kind: {"[/poor]": why} if kind == "tools" else {})
    assert f"plug-in [/poor] is broken: {why}" in call("list").stderr


def test_json_survives_what_a_policy_may_write(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"text": "\ud800 é", "numbers": [float("nan"), (1.5, float("-inf"))], "world": World.LIVE})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"text": "\ud800 é", "numbers": [None, [1.5, None]], "world": "live"}


@pytest.mark.parametrize(("world", "reward"), [("live", 1.0), ("silent", 0.0), ("shuffled", 0.0)])
def test_the_familys_script_can_be_watched(world: str, reward: float) -> None:
    """Every call fits into its budget, though its tokens are bytes; where nothing is told it answers something."""
    content = json.loads(call("episode", "lexicon", "--policy", "script", "--world", world, "--json").stdout)
    assert (content["stop"], content["reward"], content["offered"]) == ("answered", reward, ["search"])


def test_an_episode_with_odd_arguments_is_still_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_policy.py").write_text(ODD)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = call("episode", "lexicon", "--dial", "hops=4", "--policy", "odd_policy:odd", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["calls"][0]["arguments"] == {"q": "\ud800", "k": None}
    assert call("episode", "lexicon", "--dial", "hops=4", "--policy", "odd_policy:odd").exit_code == 0


def test_an_imaginer_of_another_vocabulary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other_words.py").write_text(OTHER)
    monkeypatch.syspath_prepend(str(tmp_path))
    episode = ("episode", "lexicon", "--world", "imagined")
    result = call(*episode, "--base", "other_words:other")
    assert result.exit_code == 2 and "a policy with the vocabulary of 'tiny'" in result.stderr
    assert call(*episode, "--base", "other_words:same").exit_code == 0
    assert call(*episode, "--policy", "other_words:same").exit_code == 0  # by default it imagines for itself


ODD = """
from reachlab.policies.scripted import ScriptedPolicy
TURN = '<tool_call>{"name":"a","arguments":{"q":"\\\\ud800","k":NaN}}</tool_call>'
def odd():
    return ScriptedPolicy("odd", lambda messages, rng: TURN if len(messages) == 1 else "1")
"""

OTHER = """
from reachlab.policies.huggingface import tiny
def same():
    return tiny()
def other():
    policy = tiny()
    policy.tokenizer.add_tokens(["foreign"])
    return policy
"""


def test_work_without_an_end_in_sight_shows_a_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, force_terminal=True, width=100))
    with console.working("analysing [/x]"):
        time.sleep(0.2)
    assert "analysing [/x]" in shown.getvalue()
    with console.Bar("analysing and drawing") as bar:
        bar(1.0, 2.0, "train [/x] #0")
        time.sleep(0.2)
        assert "train [/x] #0" in shown.getvalue() and "drawing" not in shown.getvalue()
        bar(2.0, 2.0, "")
        time.sleep(0.2)
    assert "analysing and drawing" in shown.getvalue()


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
