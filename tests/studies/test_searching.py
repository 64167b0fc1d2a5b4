"""Search in real episodes: what it finds, what it costs, what it may know; and the design ``search`` as a study."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.tools import BaseTool, StructuredTool

from reachlab import (
    ActRequest,
    Arm,
    Family,
    Heuristic,
    StopReason,
    Task,
    TokenKind,
    Transcript,
    Treatment,
    Turn,
    World,
)
from reachlab.envs.core import Interaction
from reachlab.envs.countdown import Countdown
from reachlab.envs.lexicon import Lexicon
from reachlab.envs.maze import Maze
from reachlab.errors import BadValue
from reachlab.measure.intervals import clopper_pearson
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.scripted import ScriptedPolicy, ScriptedSession
from reachlab.policies.search import ALGORITHMS, SearchConfig
from reachlab.studies import StudySpec, run
from reachlab.studies.context import Context
from reachlab.studies.designs import DEFAULT, find
from reachlab.studies.provenance import provenance
from reachlab.studies.replay import replay_run
from reachlab.studies.rollout import rollout
from reachlab.studies.searching import search
from reachlab.studies.sources import source_of, training_seed
from reachlab.studies.store import RunStore, read_episodes
from reachlab.studies.study import train_one

from .conftest import MICRO, micro_spec

SCRIPTS: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "search.py"))
MAZE, COUNTDOWN = Maze(junctions=(4,), calls=16), Countdown(numbers=(3,), calls=4)
WALKER, CHECKER = ScriptedPolicy("walker", SCRIPTS["walker"]), ScriptedPolicy("checker", SCRIPTS["checker"])
EVERY = list(ALGORITHMS)


def roomy(family: Family) -> Any:
    """A script's tokens are bytes."""
    return replace(family.budget, tokens=100_000)


def asked(family: Family, count: int) -> list[Task]:
    return [family.task("test", i) for i in range(count)]


def wins(episodes: Sequence[Any]) -> tuple[float, float]:
    """Limits of success, each at .001."""
    limits = clopper_pearson(sum(e.success for e in episodes), len(episodes), 0.001)
    return limits.low, limits.high


@dataclass
class Spied(ScriptedSession):
    """Remembers every turn that was sampled."""

    turns: list[Turn] = field(default_factory=list)

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        for handle, turn in super().act(requests):
            self.turns.append(turn)
            yield handle, turn


@dataclass(frozen=True)
class Spy:
    """A scripted policy with one session."""

    inner: Spied
    name: str = "spy"

    def session(self) -> Spied:
        return self.inner


@pytest.mark.parametrize(("family", "policy"), [(MAZE, WALKER), (COUNTDOWN, CHECKER)], ids=["maze", "countdown"])
def test_best_first_beats_a_sample_of_as_many_turns(family: Family, policy: ScriptedPolicy) -> None:
    tasks, seeds, config = asked(family, 100), list(range(100)), SearchConfig("best-first", 20)
    tree = search(policy, family, tasks, World.LIVE, seeds, config, budget=roomy(family))
    one = rollout(policy, family, tasks, World.LIVE, seeds, budget=roomy(family))
    assert wins(tree)[0] > wins(one)[1]


def test_in_a_maze_a_tree_beats_whole_episodes_of_as_many_nodes() -> None:
    """The best of n knows as much of each episode. In Countdown no tree is needed: its checks build on nothing."""
    maze, seeds = Maze(junctions=(7,), calls=16), list(range(60))
    found = {
        name: search(WALKER, maze, asked(maze, 60), World.LIVE, seeds, SearchConfig(name, 40), budget=roomy(maze))
        for name in ("best-first", "best-of-n")
    }
    assert all(e.cost.turns <= 40 for e in found["best-first"])
    assert wins(found["best-first"])[0] > wins(found["best-of-n"])[1]


@pytest.mark.parametrize("algorithm", EVERY)
@pytest.mark.parametrize("verifier", [False, True])
def test_the_whole_tree_is_paid_for(algorithm: Any, verifier: bool) -> None:
    """Every turn that the engine sampled, every call that was answered, every answer whose score was read."""
    spied = Spied(WALKER.script)
    config = SearchConfig(algorithm, 40, verifier=verifier)
    (episode,) = search(Spy(spied), MAZE, asked(MAZE, 1), World.LIVE, [3], config, budget=roomy(MAZE))
    cost = episode.cost
    assert cost.turns == len(spied.turns) <= 40
    assert cost.policy == sum(len(turn.ids) for turn in spied.turns)
    calls = sum("<tool_call>" in turn.text for turn in spied.turns)
    answers = len(spied.turns) - calls
    assert calls - 2 <= cost.calls <= calls  # a call past the budget is not answered
    assert cost.verifier_calls == (answers if verifier else episode.stop is StopReason.ANSWERED)


def test_n_whole_episodes_cost_what_n_samples_cost() -> None:
    """Closed, every node is an episode; the prompt counts for each."""
    guesser = ScriptedPolicy("guesser", lambda messages, rng: " ".join(rng.choice(["left", "right", "ahead"], 4)))
    (found,) = search(guesser, MAZE, asked(MAZE, 1), World.CLOSED, [0], SearchConfig(nodes=12), budget=roomy(MAZE))
    (one,) = rollout(guesser, MAZE, asked(MAZE, 1), World.CLOSED, [0], budget=roomy(MAZE))
    assert found.cost.turns == 12 and found.cost.prompt == 12 * one.cost.prompt
    assert found.cost.observation == found.cost.calls == 0


@pytest.mark.parametrize("algorithm", EVERY)
def test_the_episode_is_a_path_that_can_be_walked_again(algorithm: Any) -> None:
    """Its turns, played from the start by a fresh interaction, give the same messages, reward and end."""
    config, tasks = SearchConfig(algorithm, 48, exploration=0.1), asked(MAZE, 12)
    for episode in search(WALKER, MAZE, tasks, World.LIVE, list(range(12)), config, budget=roomy(MAZE)):
        again = Interaction(MAZE, MAZE.task("test", episode.task_seed), World.LIVE, roomy(MAZE))
        for message in episode.messages:
            if message.role == "assistant":
                again.step(message.content)
        assert (again.messages, again.reward, again.calls) == (episode.messages, episode.reward, episode.calls)
        assert (again.stop or StopReason.NODES) == episode.stop
        said = episode.transcript.kinds == TokenKind.POLICY
        texts = [m.content for m in episode.messages if m.role == "assistant"]
        assert said.sum() == sum(len(text.encode()) + 1 for text in texts)


@pytest.mark.parametrize("algorithm", EVERY)
def test_the_same_seed_gives_the_same_search_whatever_is_beside_it(algorithm: Any) -> None:
    config, tasks = SearchConfig(algorithm, 24), asked(MAZE, 40)
    many = search(WALKER, MAZE, tasks, World.LIVE, list(range(40)), config, budget=roomy(MAZE))
    (alone,) = search(WALKER, MAZE, tasks[37:38], World.LIVE, [37], config, budget=roomy(MAZE))
    (other,) = search(WALKER, MAZE, tasks[37:38], World.LIVE, [99], config, budget=roomy(MAZE))
    assert (alone.messages, alone.cost, alone.stop) == (many[37].messages, many[37].cost, many[37].stop)
    assert other.messages != alone.messages


def test_without_the_verifier_nothing_hidden_enters() -> None:
    """Closed, no search of 32 nodes is above the bound of one guess; with the verifier, which is information, it is."""
    maze = Maze(junctions=(2,))
    bound = maze.p0_bound(maze.task("test", 0))
    guesser = ScriptedPolicy("guesser", lambda messages, rng: " ".join(rng.choice(["left", "right", "ahead"], 2)))
    assert bound is not None and bound == pytest.approx(1 / 9)
    for verifier, allowed in ((False, True), (True, False)):
        config = SearchConfig(nodes=32, verifier=verifier)
        found = search(guesser, maze, asked(maze, 200), World.CLOSED, list(range(200)), config, budget=roomy(maze))
        assert (wins(found)[0] <= bound) is allowed


def test_too_few_nodes_for_an_answer_end_as_nodes() -> None:
    (episode,) = search(WALKER, MAZE, asked(MAZE, 1), World.LIVE, [0], SearchConfig(nodes=1), budget=roomy(MAZE))
    assert (episode.stop, episode.detail, episode.reward) == (StopReason.NODES, "1 nodes", 0.0)
    assert not episode.stop.is_fault and episode.cost.verifier_calls == 0


@pytest.mark.parametrize(
    ("family", "told", "value"),
    [
        (COUNTDOWN, [], 0),
        (COUNTDOWN, ["20, 4 away"], 3 / 4 / 5),
        (COUNTDOWN, ["20, 4 away", "23, 1 away", "12, 12 away"], 1 / 4 / 2),
        (COUNTDOWN, ["23, 1 away"] * 5, 0),
        (COUNTDOWN, ["-3, 27 away", "24, right", "5, 19 away"], 1),
        (COUNTDOWN, ["Use 3, 7, 3, each once.", "all is right"], 0),
        (MAZE, [], 1 / 5),
        (MAZE, ["junction 2"], 2 / 5),
        (MAZE, ["junction 2", "dead end"], 1.5 / 5),
        (MAZE, ["junction 2", "dead end", "junction 2", "junction 3"], 3 / 5),
        (MAZE, ["dead end", "This is the dead end: there is only the way back."], 0.5 / 5),
        (MAZE, ["dead end", "dead end"], 0.5 / 5),
        (MAZE, ["junction 4", "exit", "junction 4"], 4 / 5),
        (MAZE, ["exit"], 1),
    ],
)
def test_progress_is_what_was_printed(family: Heuristic, told: list[str], value: float) -> None:
    """And nothing else: it says the same of the donor, whose hidden facts are others."""
    assert isinstance(family, Family)
    task = family.task("test", 0)
    assert family.progress(task, told) == family.progress(family.donor(task), told) == pytest.approx(value)


def test_progress_is_optional() -> None:
    assert isinstance(MAZE, Heuristic) and not isinstance(Lexicon(), Heuristic)


@dataclass(frozen=True)
class Boastful(Maze):
    def progress(self, task: Task, observations: Sequence[str]) -> float:
        return 2.0


@dataclass(frozen=True)
class Forgetful(Maze):
    """Its tool keeps state that cannot be restored."""

    def tools(self, task: Task) -> Sequence[BaseTool]:
        def look() -> str:
            return "junction 1"

        return [StructuredTool.from_function(look, description="Look.", metadata={"stateful": True})]


@dataclass(frozen=True)
class Broken(Maze):
    def tools(self, task: Task) -> Sequence[BaseTool]:
        def move(way: str) -> str:
            raise RuntimeError("the floor gave way")

        return [StructuredTool.from_function(move, description="Move.")]


def test_what_cannot_be_searched_is_said() -> None:
    def one(family: Family, world: World = World.LIVE) -> list[Any]:
        return search(WALKER, family, asked(family, 1), world, [0], SearchConfig(), budget=roomy(family))

    with pytest.raises(BadValue, match="progress of maze: got 2.0, allowed: 0 to 1"):
        one(Boastful())
    with pytest.raises(BadValue, match=r"tools of a search: got \('look',\)"):
        one(Forgetful())
    with pytest.raises(BadValue, match="world of a search"):
        one(MAZE, World.IMAGINED)
    (episode,) = one(Broken())
    assert episode.stop is StopReason.FAULT and "the floor gave way" in episode.detail and episode.cost.turns == 1


def test_a_fork_of_a_model_s_session_is_an_exact_continuation(base: HuggingFacePolicy) -> None:
    """The recorded log-probabilities of the chosen path are those of the model on its whole transcript."""
    family = Lexicon(digits=(1,), hops=(2,))
    config = SearchConfig("mcts", 12, branching=2)
    episodes = search(base, family, asked(family, 6), World.LIVE, list(range(6)), config)
    scores = base.score(base, [e.transcript for e in episodes])
    assert max(e.transcript.kinds.tolist().count(TokenKind.OBSERVATION) for e in episodes) > 0
    for episode, known in zip(episodes, scores, strict=True):
        said = episode.transcript.kinds == TokenKind.POLICY
        assert np.allclose(episode.transcript.logprobs[said], known.logprobs[said], atol=1e-4)


def test_the_benchmark_holds_every_search_against_samples_at_its_tokens() -> None:
    rows: list[Any] = []
    SCRIPTS["measure"]("maze", "wanderer", 4, [8, 40], 0, rows.append)
    assert [r.policy for r in rows] == ["one sample", *(name for name in SCRIPTS["SEARCHES"] for _ in range(2))]
    assert all(0 <= r.low <= r.success <= r.high <= 1 for r in rows)
    for row in rows[1:]:
        assert row.turns <= row.nodes and row.k >= row.tokens / rows[0].tokens and 0 <= row.best_of_k <= 1
        assert row.verifier_calls <= 1 or row.policy == "best-of-n, verified"


def test_the_design_adds_searching_to_the_default_study() -> None:
    design = find("search")
    assert design.arms[: len(DEFAULT.arms)] == DEFAULT.arms
    added = [arm.name for arm in design.arms[len(DEFAULT.arms) :]]
    assert added == ["search·closed", "search·live", "rft-search·live"]
    assert (Treatment.RFT_SEARCH, World.LIVE) in design.trainings
    assert all(treatment.trains for treatment, _ in design.trainings)


def test_settings_of_the_search_travel_in_the_spec() -> None:
    spec = replace(micro_spec(), design="search", search=SearchConfig("beam", 9, width=3))
    assert StudySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_training_on_searches_takes_the_turns_that_plain_samples_may_take(
    base: HuggingFacePolicy, tmp_path: Path
) -> None:
    """And keeps verified paths alone."""
    spec = replace(micro_spec(digits=[1], hops=[1]), search=SearchConfig("best-first", 8))
    context = Context(spec, RunStore(tmp_path))
    context.__dict__["base"] = base
    source: Any = source_of(context, Treatment.RFT_SEARCH, World.LIVE, training_seed(context, 0))
    turns = MICRO.steps * MICRO.groups * MICRO.group_size * context.family.budget.turns
    assert 0 < len(source.transcripts) <= turns // 8
    assert source.spent.tokens > 0 and source.spent.verifier_calls >= len(source.transcripts)
    assert all(isinstance(t, Transcript) and (t.kinds == TokenKind.POLICY).any() for t in source.transcripts)


def test_what_does_not_train_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="a treatment that trains: sft"):
        train_one(micro_spec(), tmp_path / "t", Treatment.SEARCH, World.LIVE, report=lambda *_: None)


@pytest.mark.smoke
def test_a_family_that_cannot_be_searched_is_refused_before_anything_is_sampled(tmp_path: Path) -> None:
    """A sandbox keeps what its code did."""
    spec = replace(micro_spec(family="program", kinds=["sort"], lengths=[2]), design="search")
    with pytest.raises(BadValue, match=r"tools of a search: got \('python',\)"):
        run(spec, tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("search") / "run"
    spec = replace(micro_spec(digits=[1, 2]), design="search", search=SearchConfig("best-first", 8))
    run(spec, out, workers=1)
    return out


def arms_of(root: Path) -> dict[str, Any]:
    return {arm["name"]: arm for arm in json.loads((root / "result.json").read_text())["arms"]}


@pytest.mark.smoke
def test_a_search_has_success_and_cost_but_no_nats(finished: Path) -> None:
    arms = arms_of(finished)
    for name in ("search·closed", "search·live"):
        assert arms[name]["success"]["value"] > 0
        for missing in ("spent_nats", "surplus_nats", "log_ratio_nats", "bits_imported", "free_energy_gap"):
            assert arms[name][missing]["value"] is None
            assert arms[name][missing]["reason"].startswith("not available: a search chooses")
    assert arms["search·closed"]["cost_matched_k"]["value"] == pytest.approx(8, rel=0.05)
    assert arms["rft-search·live"]["spent_nats"]["value"] > 0
    assert arms["base·live"]["spent_nats"]["value"] == 0
    report = (finished / "report.md").read_text()
    assert "a search chooses among samples" in report
    assert "best-first, 8 nodes; the verifier scores the chosen answer alone" in report


@pytest.mark.smoke
def test_a_search_is_no_base_to_the_verdict(finished: Path) -> None:
    """More than a closed guess can reach, or more than one episode's budget allows, is no violated theorem."""
    result = json.loads((finished / "result.json").read_text())
    about = {check["name"]: check["status"] for check in result["checks"] if "search·" in check["name"]}
    assert {"not testable"} == {about[f"spent >= required: search·{world}"] for world in ("closed", "live")}
    assert not any(name.startswith("success <=") and ": search·" in name for name in about)
    assert any(name.startswith("success <=") and "rft-search·live" in name for name in about)


@pytest.mark.smoke
def test_the_record_is_the_path_at_the_cost_of_the_tree(finished: Path) -> None:
    arm = Arm(Treatment.SEARCH, None, World.LIVE)
    episodes = read_episodes(RunStore(finished).episodes(arm, 0, 0))
    assert len(episodes) == 5 * 16 and all(e.scores is None for e in episodes)
    assert max(e.cost.turns for e in episodes) == 8
    assert any(e.cost.turns > sum(m.role == "assistant" for m in e.messages) for e in episodes)


@pytest.mark.smoke
def test_what_is_not_on_record_is_not_repeated(finished: Path) -> None:
    replayed = replay_run(finished, "search·live")
    assert (replayed.episodes, replayed.skipped, replayed.differences) == (160, 160, ())
    with pytest.raises(BadValue, match="does not search"):
        provenance(finished, "search·live")
