"""Worlds, budgets and stop reasons: what ends an episode, with what reward, and what never runs after that."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import pytest
from langchain_core.tools import StructuredTool

from reachlab import Budget, Message, StopReason, World
from reachlab.envs import Interaction
from reachlab.errors import BadValue
from reachlab.tools import EPISODE_RNG

Make = Callable[..., Any]
BAD = '<tool_call>{"name": "ask", "arguments": {}}</tool_call>'
UNKNOWN = '<tool_call>{"name": "aks", "arguments": {"subject": "x"}}</tool_call>'
WITH_TOOLS = [w for w in World if w.offers_tools]


def start(family: Any, world: World, budget: Budget | None = None, **options: Any) -> Interaction:
    return Interaction(family, family.task("train", 7), world, budget, **options)


def test_live_gives_the_fact_and_pays_for_it(toy: Make, call: str) -> None:
    family = toy()
    episode = start(family, World.LIVE)
    step = episode.step(call, tokens=10)
    assert [r.text for r in step.results] == ["fact7"] and step.awaiting == "turn" and step.stop is None
    end = episode.step("fact7", tokens=3)
    assert (end.stop, end.reward, end.awaiting) == (StopReason.ANSWERED, 1.0, "nothing")
    cost = episode.cost
    assert (cost.turns, cost.calls, cost.verifier_calls, cost.policy) == (2, 1, 1, 13)
    assert [m.role for m in episode.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert episode.messages[3] == Message("tool", "fact7")


def test_a_wrong_answer_has_no_reward(toy: Make) -> None:
    assert start(toy(), World.LIVE).step("fact8").reward == 0.0


def test_shuffled_gives_the_donors_fact_under_the_same_prompt(toy: Make, call: str) -> None:
    family = toy()
    shuffled, live = start(family, World.SHUFFLED), start(family, World.LIVE)
    assert shuffled.prompt == live.prompt
    assert shuffled.step(call).results[0].text == "donor7"
    assert shuffled.step("donor7").reward == 0.0


def test_silent_returns_nothing_and_runs_nothing(toy: Make, call: str) -> None:
    family = toy()
    (result,) = start(family, World.SILENT).step(call).results
    assert result.text == "" and not result.is_error and family.ran == []


def test_oracle_shows_the_evidence_before_the_question_and_offers_no_tool(toy: Make) -> None:
    episode = start(toy(), World.ORACLE)
    assert episode.prompt.messages[-1] == Message("user", "The fact is fact7.\nWhat is the fact?")
    assert episode.prompt.tools == () and episode.prompt.messages[0].content == "Be brief."
    assert episode.step("fact7").reward == 1.0


def test_closed_offers_no_tool_and_the_question_only(toy: Make) -> None:
    episode = start(toy(), World.CLOSED)
    assert episode.prompt.tools == () and episode.prompt.messages == episode.task.messages
    assert episode.budget == toy().budget.closed()


@pytest.mark.parametrize("world", WITH_TOOLS)
def test_worlds_with_tools_show_the_same_schemas(toy: Make, world: World) -> None:
    (schema,) = start(toy(), world).prompt.tools
    assert schema["type"] == "function" and schema["function"]["name"] == "ask"


@pytest.mark.parametrize("world", [World.CLOSED, World.ORACLE])
@pytest.mark.parametrize("text", [BAD, UNKNOWN, "<tool_call>", "fact7 <tool_call>{}</tool_call>"])
def test_any_call_in_a_world_without_tools_is_forbidden(toy: Make, world: World, text: str, call: str) -> None:
    for attempt in (text, call):
        family = toy()
        episode = start(family, world)
        end = episode.step(attempt)
        assert (end.stop, end.reward, end.awaiting) == (StopReason.FORBIDDEN, 0.0, "nothing")
        assert family.ran == [] and episode.cost.verifier_calls == 0


@pytest.mark.parametrize("world", WITH_TOOLS)
@pytest.mark.parametrize("text", [BAD, UNKNOWN, "<tool_call>{"])
def test_malformed_calls_get_their_true_error_in_every_world(toy: Make, world: World, text: str) -> None:
    step = start(toy(), world).step(text)
    (truth,) = start(toy(), World.LIVE).step(text).results
    assert step.awaiting == "turn" and step.results == (truth,) and truth.is_error


def test_imagined_asks_for_one_observation_per_well_formed_call(toy: Make, call: str) -> None:
    family = toy()
    episode = start(family, World.IMAGINED)
    first = episode.step(call + BAD + call, tokens=20)
    assert first.awaiting == "observation" and first.results == ()
    second = episode.observe("one")
    assert second.awaiting == "observation" and second.results == ()
    third = episode.observe("two")
    assert third.awaiting == "turn" and [r.is_error for r in third.results] == [False, True, False]
    assert [third.results[0].text, third.results[2].text] == ["one", "two"]
    assert family.ran == [] and episode.cost.calls == 3 and episode.cost.policy == 20
    again = start(family, World.IMAGINED)
    again.step(call)
    assert [r.text for r in again.observe("next").results] == ["next"]


def test_imagined_observations_are_capped(toy: Make, call: str) -> None:
    episode = start(toy(), World.IMAGINED, Budget(observation_chars=50))
    episode.step(call)
    assert len(episode.observe("x" * 900).results[0].text) == 50


def test_turns_and_observations_cannot_be_swapped(toy: Make, call: str) -> None:
    episode = start(toy(), World.IMAGINED)
    with pytest.raises(BadValue, match="a observation"):
        episode.observe("early")
    episode.step(call)
    with pytest.raises(BadValue, match="a turn"):
        episode.step("fact7")


@pytest.mark.parametrize("world", WITH_TOOLS)
def test_a_call_in_the_last_turn_ends_the_episode_and_is_not_run(toy: Make, call: str, world: World) -> None:
    family = toy()
    episode = start(family, world, Budget(turns=2, calls=9))
    episode.step(call)
    if world is World.IMAGINED:
        episode.observe("x")
    before = list(family.ran)
    end = episode.step(call)
    assert (end.stop, end.reward, end.awaiting) == (StopReason.TURNS, 0.0, "nothing")
    assert family.ran == before and episode.cost.calls == 1


@pytest.mark.parametrize("world", WITH_TOOLS)
def test_calls_past_the_budget_end_the_episode_and_none_of_them_runs(toy: Make, call: str, world: World) -> None:
    family = toy()
    episode = start(family, world, Budget(turns=9, calls=1))
    end = episode.step(call * 2)
    assert (end.stop, end.reward) == (StopReason.CALLS, 0.0) and family.ran == []
    assert len(episode.calls) == 2 and episode.cost.calls == 0


def test_malformed_calls_count_against_the_budget(toy: Make) -> None:
    episode = start(toy(), World.LIVE, Budget(turns=9, calls=1))
    episode.step(BAD)
    assert episode.step(BAD).stop is StopReason.CALLS


@pytest.mark.parametrize(("tokens", "ended"), [(65, True), (10, False), (64, False)])
def test_running_out_of_tokens_fails_even_with_the_right_answer(toy: Make, tokens: int, ended: bool) -> None:
    episode = start(toy(), World.LIVE)
    end = episode.step("fact7", tokens=tokens, ended=ended)
    assert (end.stop, end.reward) == (StopReason.TOKENS, 0.0) and episode.cost.verifier_calls == 0


def test_the_token_budget_spans_the_episode_and_its_last_token_counts(toy: Make, call: str) -> None:
    episode = start(toy(), World.LIVE)
    episode.step(call, tokens=40)
    assert episode.tokens_left == 24
    assert episode.step("fact7", tokens=24).reward == 1.0


def test_nothing_is_accepted_after_the_end(toy: Make) -> None:
    episode = start(toy(), World.LIVE)
    episode.step("no")
    for action in (episode.step, episode.observe):
        with pytest.raises(BadValue, match="a reset"):
            action("fact7")
    assert episode.reward == 0.0 and episode.cost.turns == 1


def test_a_crashing_tool_is_a_fault_not_a_failure(toy: Make) -> None:
    def crash(a: str) -> str:
        """Crash."""
        raise OSError("disk full")

    episode = start(toy(extra=(StructuredTool.from_function(crash),)), World.LIVE)
    end = episode.step('<tool_call>{"name": "crash", "arguments": {"a": "x"}}</tool_call>')
    assert end.stop is StopReason.FAULT and end.stop.is_fault and "disk full" in end.detail and end.results == ()
    assert [m.role for m in episode.messages][-1] == "assistant"  # the error is no observation


@pytest.mark.parametrize("reward", [float("nan"), 1.5, -1.0, "crash"])
def test_a_broken_verifier_is_a_fault(toy: Make, reward: Any) -> None:
    class Broken:
        exact = False

        def __call__(self, text: str, answers: Sequence[str]) -> float:
            if reward == "crash":
                raise RuntimeError("no judge")
            return float(reward)

    end = start(toy(verifier=Broken()), World.LIVE).step("fact7")
    assert end.stop is StopReason.FAULT and end.reward == 0.0 and "verifier" in end.detail


def test_the_wall_clock_cap_is_a_fault_and_comes_before_the_answer(toy: Make, call: str) -> None:
    now = [0.0]
    episode = start(toy(), World.LIVE, Budget(seconds=5), clock=lambda: now[0])
    episode.step(call)
    now[0] = 6.0
    end = episode.step("fact7")
    assert end.stop is StopReason.SECONDS and end.reward == 0.0 and "5 s" in end.detail


def test_reward_cannot_be_written(toy: Make) -> None:
    episode = start(toy(), World.LIVE)
    for name in ("reward", "stop", "messages", "cost"):
        with pytest.raises(AttributeError):
            setattr(episode, name, 1.0)


@pytest.mark.parametrize("field", ["turns", "tokens"])
def test_a_budget_of_nothing_is_refused(toy: Make, field: str) -> None:
    with pytest.raises(BadValue, match=f"budget {field}: got 0"):
        start(toy(), World.LIVE, Budget(**{field: 0}))


def test_replay_runs_nothing_and_reaches_the_same_state(toy: Make, call: str) -> None:
    family = toy()
    first = start(family, World.LIVE)
    first.step(call, tokens=5)
    first.step(BAD, tokens=6)
    first.step("fact7", tokens=2)
    ran = list(family.ran)
    second = start(family, World.LIVE)
    second.replay(first.log)
    assert family.ran == ran
    for name in ("messages", "calls", "cost", "stop", "reward", "detail", "awaiting", "log", "last"):
        assert getattr(second, name) == getattr(first, name)
    with pytest.raises(BadValue, match="fresh"):
        second.replay(first.log)


def roll(rng: Annotated[np.random.Generator, EPISODE_RNG]) -> int:
    """Roll a die of a million sides."""
    return int(rng.integers(10**6))


ROLL = '<tool_call>{"name": "roll", "arguments": {}}</tool_call>'


def test_what_tools_draw_follows_from_task_and_seed(toy: Make) -> None:
    family = toy(extra=(StructuredTool.from_function(roll),))

    def rolled(task_seed: int, seed: int) -> list[str]:
        episode = Interaction(family, family.task("train", task_seed), World.LIVE, seed=seed)
        return [episode.step(ROLL).results[0].text for _ in range(2)]

    assert rolled(7, 1) == rolled(7, 1)
    assert len({*rolled(7, 1), *rolled(7, 2), *rolled(8, 1)}) == 6


def test_a_replay_brings_back_what_tools_drew(toy: Make) -> None:
    family = toy(extra=(StructuredTool.from_function(roll),))
    first, second = start(family, World.LIVE, seed=3), start(family, World.LIVE, seed=3)
    first.step(ROLL)
    second.replay(first.log)
    assert not second.unrestorable
    assert second.step(ROLL).results == first.step(ROLL).results
