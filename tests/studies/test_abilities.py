"""A policy without weights runs the study too: arms and numbers that need them read `not available`, never a number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from reachlab import Json, Message
from reachlab.errors import BadValue
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.studies import run
from reachlab.studies.markdown import markdown
from reachlab.tools.hermes import Hermes
from tests.studies.conftest import micro_spec


def searcher() -> ScriptedPolicy:
    """Asks for what the question is about, and answers with what it was told."""

    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        told = [m.content for m in messages if m.role == "tool"]
        if not told:
            name = re.search(r"What is (\w+)'s code", messages[-1].content)
            return Hermes().render("search", {"query": f"{name[1] if name else ''}'s code"})
        found = re.search(r"code is (\d+)", told[-1])
        return found[1] if found else "?"

    return ScriptedPolicy("searcher", script)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Json:
    spec = micro_spec(policy=f"{__name__}:searcher", digits=[4], budget={"tokens": 512})
    return run(spec, tmp_path_factory.mktemp("scripted") / "run", workers=1)


@pytest.mark.smoke
def test_the_base_is_the_primary_arm_where_nothing_can_be_trained(result: Json) -> None:
    (primary,) = [arm for arm in result["arms"] if arm["primary"]]
    assert primary["name"] == "base·live" and primary["success"]["value"] > 0.9
    assert result["base"]["parameters"] is None and result["cost"]["flops"] is None
    assert result["base"]["abilities"]["train"] == "searcher has no weights that could be trained"


@pytest.mark.smoke
def test_what_needs_weights_or_raw_text_is_not_available(result: Json) -> None:
    arms = {arm["name"]: arm for arm in result["arms"]}
    for name in ("rl·live", "rl·closed", "distil·live→closed", "base·imagined", "sft·closed (train)"):
        assert arms[name]["success"]["value"] is None
        assert arms[name]["success"]["reason"].startswith("not available: searcher")
    assert arms["base·silent"]["success"]["value"] == 0.0
    assert arms["base·live"]["bits_imported"]["value"] is None
    page = markdown(result)
    assert "not available<sup>" in page and "no signal" not in page


@pytest.mark.smoke
def test_where_the_base_was_not_run_only_a_bound_that_needs_no_policy_stands_in(result: Json) -> None:
    axes = {axis["world"]: axis for axis in result["verdicts"][0]["evidence"]["axes"]}
    assert axes["imagined"]["kind"] == "bound" and axes["imagined"]["attempts"] == 0
    assert axes["silent"]["attempts"] > 0


@pytest.mark.smoke
def test_what_is_no_policy_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=r"no session\(\)"):
        run(micro_spec(policy="reachlab.envs.lexicon:Lexicon"), tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()
