"""The rollout engine holds policies of known behaviour to what the family states."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from reachlab import NO_INFORMATION_WORLDS, Budget, Message, StopReason, TokenKind, World
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.studies.rollout import rollout

FAMILY = Lexicon(digits=(1, 2, 4), hops=(1, 2, 3))
WIDE = Budget(turns=4, tokens=4000, calls=3, observation_tokens=400)
TASKS = [FAMILY.task("test", i) for i in range(36)]


def solver(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """The scripted optimum, from the conversation alone."""
    task = next(t for t in TASKS if t.messages[-1].content == messages[0].content.splitlines()[-1])
    seen = [m.content for m in messages if m.role == "tool"]
    return FAMILY.solution(task, seen) if all(seen) else FAMILY.guess(task, rng)


def guesser(messages: Sequence[Message], rng: np.random.Generator) -> str:
    match = re.search(r"Length: (\d)", messages[0].content)
    assert match
    return "".join(map(str, rng.integers(10, size=int(match[1]))))


def play(script: object, world: World, repeat: int = 1, budget: Budget = WIDE) -> list[StopReason | float]:
    policy = ScriptedPolicy("scripted", script)  # type: ignore[arg-type]
    tasks = TASKS * repeat
    episodes = rollout(policy, FAMILY, tasks, world, list(range(len(tasks))), budget=budget, imaginer=Echo())
    return [e.reward if e.stop is StopReason.ANSWERED else e.stop for e in episodes]


class Echo:
    """Imagines the same fact every time."""

    def imagine(self, transcripts: object, results: object, seeds: Sequence[int], max_tokens: int) -> list[str]:
        return ["rami's code is 12."] * len(seeds)


def test_the_scripted_solution_reaches_the_stated_optimum_live() -> None:
    assert play(solver, World.LIVE) == [FAMILY.optimum(t) for t in TASKS]


@pytest.mark.parametrize("world", NO_INFORMATION_WORLDS)
def test_without_information_nobody_beats_the_stated_bound(world: World) -> None:
    script = guesser if world is World.CLOSED else solver
    rewards = np.array(play(script, world, repeat=20), dtype=float)
    bound = np.array([FAMILY.p0_bound(t) for t in TASKS] * 20)
    for digits in (1, 2, 4):
        mask = bound == 10.0**-digits
        spread = (bound[mask].mean() / mask.sum()) ** 0.5
        assert rewards[mask].mean() <= bound[mask].mean() + 4 * spread


def test_a_guesser_sits_at_the_bound() -> None:
    rewards = np.array(play(guesser, World.CLOSED, repeat=60), dtype=float)
    easy = np.array([dict(t.difficulty)["digits"] == 1 for t in TASKS] * 60)
    assert rewards[easy].mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("text", "world", "stop"),
    [
        ("x" * 10_000, World.LIVE, StopReason.TOKENS),
        ("<tool_call>{", World.LIVE, StopReason.TURNS),
        ("<tool_call>{", World.CLOSED, StopReason.FORBIDDEN),
        ('<tool_call>{"name": "search", "arguments": {"query": "rami"}}</tool_call>' * 4, World.LIVE, StopReason.CALLS),
        ('<tool_call>{"name": "search", "arguments": {"query": "rami"}}</tool_call>', World.SHUFFLED, StopReason.TURNS),
    ],
)
def test_misbehaviour_is_counted_as_failure_not_fault(text: str, world: World, stop: StopReason) -> None:
    assert set(play(lambda messages, rng: text, world)) == {stop}
    assert not stop.is_fault


def test_malformed_calls_are_answered_by_what_is_wrong() -> None:
    policy = ScriptedPolicy("clumsy", lambda messages, rng: "<tool_call>{" if len(messages) == 1 else "7")
    [episode] = rollout(policy, FAMILY, TASKS[:1], World.LIVE, [0], budget=WIDE)
    assert [m.role for m in episode.messages] == ["user", "assistant", "tool", "assistant"]
    assert "not closed" in episode.messages[2].content
    assert episode.calls[0].problem and episode.stop is StopReason.ANSWERED


def test_an_engine_without_numbers_is_a_fault(base: HuggingFacePolicy) -> None:
    broken = base.with_model(copy.deepcopy(base.model), "broken")
    with torch.no_grad():
        broken.model.get_output_embeddings().weight.fill_(float("nan"))
    episodes = rollout(broken, Lexicon(), [Lexicon().task("test", i) for i in range(4)], World.LIVE, [0, 1, 2, 3])
    assert [e.stop for e in episodes] == [StopReason.FAULT] * 4
    assert all("not numbers" in e.detail and e.reward == 0 for e in episodes)


@pytest.mark.parametrize("world", list(World))
def test_an_episode_holds_everything_to_score_it_again(base: HuggingFacePolicy, world: World) -> None:
    family = Lexicon(hops=(1, 2))
    tasks = [family.task("test", i % 20) for i in range(60)]
    episodes = rollout(base, family, tasks, world, list(range(60)), imaginer=base.imaginer())
    for episode, task in zip(episodes, tasks, strict=True):
        t = episode.transcript
        assert episode.task == task.id and episode.world is world
        assert episode.cost.tokens == len(t.ids)
        assert episode.cost.policy == (t.kinds == TokenKind.POLICY).sum() <= family.budget.closed().tokens
        assert (t.logprobs[t.kinds != TokenKind.POLICY] == 0).all()
        assert (t.logprobs[t.kinds == TokenKind.POLICY] < 0).all()
        if episode.stop is StopReason.ANSWERED:
            assert episode.reward == task.verify(episode.messages[-1].content)
    if world.offers_tools:
        assert sum(e.cost.calls for e in episodes) > 20


def test_the_base_imagines_facts_about_the_name_it_asked_for(base: HuggingFacePolicy) -> None:
    family = Lexicon(digits=(4,))
    tasks = [family.task("test", i) for i in range(40)]
    seen = 0
    for episode in rollout(base, family, tasks, World.IMAGINED, list(range(40)), imaginer=base.imaginer()):
        for before, after in zip(episode.messages, episode.messages[1:], strict=False):
            if after.role == "tool" and "search" in before.content:
                asked = re.search(r'"query": "(\w+)\'s code"', before.content)
                if asked:
                    seen += bool(re.fullmatch(rf"{asked[1]}'s code is \d{{4}}\.", after.content))
    assert seen >= 10


def test_the_imagined_world_needs_someone_to_imagine() -> None:
    with pytest.raises(BadValue, match="imaginer"):
        rollout(ScriptedPolicy("s", guesser), FAMILY, TASKS[:1], World.IMAGINED, [0])
