"""Names: short, dotted, plugged in; specs that travel as JSON; plug-ins that break only themselves."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, get_args

import pytest

from reachlab import Family, registry
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue, BrokenPlugin, MissingExtra, UnknownName
from reachlab.registry import Kind, Spec, names, problems, resolve


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four installed plug-ins: one works, one is broken, one lacks an extra, one wants a taken name."""
    (tmp_path / "reach_good.py").write_text("from reachlab.envs.lexicon import Lexicon as Other\n")
    (tmp_path / "reach_bad.py").write_text("raise RuntimeError('half installed')\n")
    poor = "from reachlab.errors import MissingExtra\nraise MissingExtra('mcp', 'mcp')\n"
    (tmp_path / "reach_poor.py").write_text(poor)
    monkeypatch.syspath_prepend(str(tmp_path))
    group = "reachlab.families"
    installed = {"good": "reach_good:Other", "bad": "reach_bad:X", "poor": "reach_poor:X", "lexicon": "reach_bad:X"}
    entries = [EntryPoint(name, value, group) for name, value in installed.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: [e for e in entries if e.group == group])
    registry._plug_ins.cache_clear()
    yield
    registry._plug_ins.cache_clear()


def test_short_and_dotted_names_give_the_same_thing() -> None:
    assert resolve("families", "lexicon") is resolve("families", "reachlab.envs.lexicon:Lexicon") is Lexicon
    assert isinstance(Spec("lexicon").build("families"), Family)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_short_name_is_listed(kind: Kind) -> None:
    assert set(registry.SHORT_NAMES[kind]) <= set(names(kind))


def test_names_import_nothing(plug_ins: None) -> None:
    assert names("families") == sorted([*registry.SHORT_NAMES["families"], "bad", "good", "poor"])
    assert not {"reach_good", "reach_bad", "reach_poor"} & set(sys.modules)


def test_a_plug_in_is_found_and_a_broken_one_breaks_only_itself(plug_ins: None) -> None:
    assert resolve("families", "good") is Lexicon
    with pytest.raises(BrokenPlugin, match="'bad' of families.*RuntimeError: half installed"):
        resolve("families", "bad")
    with pytest.raises(MissingExtra, match=r"pip install 'reachlab\[mcp\]'"):
        resolve("families", "poor")
    assert set(problems("families")) == {"bad", "poor"}


def test_a_plug_in_cannot_take_a_name_of_the_core(plug_ins: None) -> None:
    assert resolve("families", "lexicon") is Lexicon


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("families", "lexikon", "Did you mean 'lexicon'"),
        ("policies", "tyni", "Did you mean 'tiny'"),
        ("families", "reachlab.envs.lexicn:Lexicon", "no module 'reachlab.envs.lexicn'"),
        ("families", "reachlab.envs.lexicon:Lexikon", "Did you mean 'Lexicon'"),
        ("families", "some/path", "unknown family"),
        ("family", "lexicon", "Did you mean 'families'"),
    ],
)
def test_a_typo_names_the_nearest(kind: Any, name: str, says: str) -> None:
    with pytest.raises(UnknownName, match=says):
        resolve(kind, name)


def test_a_module_that_cannot_import_its_own_dependency_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text("import surely_not_installed\n")
    (tmp_path / "optional.py").write_text("import sentence_transformers.surely_not\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(BrokenPlugin, match="surely_not_installed"):
        resolve("families", "needy:X")
    with pytest.raises(MissingExtra, match=r"reachlab\[dense\]"):
        resolve("families", "optional:X")


@pytest.mark.parametrize("name", ["owner/model", "./weights", "/abs/weights", "."])
def test_paths_and_hub_names_are_policies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.RUNNERS, "hf", f"{__name__}:load")
    assert resolve("policies", name)(dtype="float32") == (name, "float32")


def load(name: str, dtype: str = "auto") -> tuple[str, str]:
    return name, dtype


def test_what_runs_a_policy_stands_before_its_name_and_its_options_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    for runner in registry.RUNNERS:
        monkeypatch.setitem(registry.RUNNERS, runner, f"{__name__}:load")
        address = "http://127.0.0.1:8000/v1#model"
        assert Spec(f"{runner}:{address}?dtype=bfloat16").build("policies") == (address, "bfloat16")
        assert Spec(f"{runner}:{address}").build("policies") == (address, "auto")
    assert Spec('hf:x?dtype={"a": [1]}').build("policies") == ("x", {"a": [1]})
    with pytest.raises(UnknownName, match="Did you mean 'dtype'"):
        resolve("policies", "hf:x?dtipe=bfloat16")
    with pytest.raises(BadValue, match="hf:owner/name"):
        resolve("policies", "hf:")
    with pytest.raises(UnknownName, match="runners hf, vllm, openai, chat"):
        resolve("policies", "tinny")


def test_a_spec_survives_json_and_builds_the_same_object() -> None:
    spec = Spec("lexicon", {"digits": (1, 4), "hops": [2], "salt": 3})
    back = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec and spec.to_json() == {"name": "lexicon", "options": {"digits": [1, 4], "hops": [2], "salt": 3}}
    assert back.build("families") == Lexicon(digits=(1, 4), hops=(2,), salt=3)
    assert resolve("families", spec) is Lexicon


def test_a_misspelt_option_names_the_nearest_and_a_bad_value_says_what_is_allowed() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'digits'"):
        Spec("lexicon", {"digit": [1]}).build("families")
    with pytest.raises(BadValue, match="1 to 4"):
        Spec("lexicon", {"hops": [9]}).build("families")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("json:loads", {}, "with s, for which"),
        ("reachlab.policies.scripted:ScriptedPolicy", {}, "with name and script, for which"),
        ("math:pi", {"digits": 3}, "takes no options"),
        ("builtins:dict", {}, "parameters can be read"),
    ],
)
def test_what_cannot_be_called_like_this_says_why(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadValue, match=says):
        Spec(name, options).build("families")


def test_the_search_tool_is_built_by_name() -> None:
    tool = Spec("search", {"documents": ["the red fox", "the brown bear"], "k": 1}).build("tools")
    assert tool.name == "search" and tool.invoke({"query": "bear"}) == "the brown bear"
    with pytest.raises(BadValue, match="with documents, for which"):
        Spec("search").build("tools")


@pytest.mark.parametrize("options", [{"a": object()}, {"a": float("nan")}, {"a": {1, 2}}])
def test_options_that_are_not_json_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match="plain JSON"):
        Spec("lexicon", options)


@pytest.mark.parametrize("data", [{}, {"name": 1}, {"name": "a", "option": {}}])
def test_json_that_is_no_spec_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match="spec"):
        Spec.from_json(data)


def test_a_module_of_the_users_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_written.py").write_text("def tool(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BrokenPlugin, match="half_written.*SyntaxError.*line 1"):
        resolve("tools", "half_written:tool")
