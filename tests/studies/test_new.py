"""``reachlab new`` writes packages that work: their own tests pass, they install, they show up, they run in a study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reachlab.cli import app
from reachlab.cli.new import write


def python(*arguments: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["tool", "env"])
def test_what_it_writes_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["new", kind, "my_own", "--in", str(tmp_path)], catch_exceptions=False)
    root = tmp_path / "my_own"
    pytest_command = ("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio")
    python(*pytest_command, path=root / "src", cwd=root)


def test_nothing_is_written_over_and_bad_names_are_named(tmp_path: Path) -> None:
    write("tool", "weather", tmp_path)
    run = CliRunner().invoke
    for kind, name, said in (
        ("tool", "weather", "does not exist yet"),
        ("tols", "other", "tool"),
        ("env", "No Good", "small letters"),
        ("env", "class", "Python name"),
        ("env", "../up", "Python name"),
        ("tool", "search", "no tool of the registry has"),
        ("env", "lexicon", "no env of the registry has"),
        ("env", "task", "no builtin and no module"),  # its class would hide the Task that it makes
        ("tool", "tool", "no builtin and no module"),
        ("tool", "str", "no builtin and no module"),
        ("env", "json", "no builtin and no module"),
    ):
        shown = run(app, ["new", kind, name, "--in", str(tmp_path)])
        assert shown.exit_code == 2 and said in shown.output


@pytest.mark.services
@pytest.mark.parametrize("kind", ["tool", "env"])
def test_what_it_writes_is_linted_and_typed(kind: str, tmp_path: Path) -> None:
    write(kind, "my_own", tmp_path)
    root = tmp_path / "my_own"
    rules = "E,F,W,I,B,UP,SIM,D300,D403,D419,ANN,PLE,PLW"
    ruff = ("check", "--isolated", "--select", rules, "--line-length", "120")
    python("-m", "ruff", *ruff, ".", path=root / "src", cwd=root)
    python("-m", "ruff", "format", "--isolated", "--check", "--line-length", "120", ".", path=root / "src", cwd=root)
    python("-m", "mypy", "--strict", "src", "tests", path=root / "src", cwd=root)


@pytest.mark.services
def test_installed_as_wheels_they_are_listed_checked_and_studied(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for kind, name in (("tool", "word_count"), ("env", "treasure")):
        write(kind, name, tmp_path)
        pip = ("-m", "pip", "--disable-pip-version-check")
        wheel = (*pip, "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path / "wheels"), str(tmp_path / name))
        python(*wheel, path=site, cwd=tmp_path)
    wheels = [str(p) for p in (tmp_path / "wheels").glob("*.whl")]
    python("-m", "pip", "install", "--no-deps", "--quiet", "--target", str(site), *wheels, path=site, cwd=tmp_path)
    listed = json.loads(python("-m", "reachlab", "list", "--json", path=site, cwd=tmp_path).stdout)
    assert "word_count" in listed["tools"] and "treasure" in listed["families"]
    python("-m", "reachlab", "check-tool", "word_count", path=site, cwd=tmp_path)
    python("-m", "reachlab", "check-env", "treasure", path=site, cwd=tmp_path)
    study = ("-m", "reachlab", "run", "treasure", "--profile", "smoke", "--out", "run", "--json")
    result = json.loads(python(*study, path=site, cwd=tmp_path).stdout)
    assert result["family"]["name"] == "treasure" and result["verdicts"][0]["verdict"] != "INVALID"
    rows = [{"question": f"How many words: {n} {n}?", "answer": str(n)} for n in range(300)]
    (tmp_path / "qa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dials = ("path=qa.jsonl", 'affordances=["word_count"]', "test_share=0.5", "tokens=64", "observation_tokens=16")
    dataset = ("dataset", *(part for dial in dials for part in ("--dial", dial)))
    counting = ("-m", "reachlab", "run", *dataset, "--profile", "smoke", "--out", "counts", "--json")
    result = json.loads(python(*counting, path=site, cwd=tmp_path).stdout)
    assert result["spec"]["family"]["options"]["affordances"] == ["word_count"]
    assert result["verdicts"][0]["verdict"] != "INVALID"
