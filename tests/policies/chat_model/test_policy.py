"""A chat model plays the six worlds that need no imaginer as the family's script does, by native calls and by text."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Lock

import numpy as np
import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage

from reachlab import ActRequest, Json, Message, Prompt, StopReason, TokenKind, ToolResult, World
from reachlab.errors import BadValue, UnknownName
from reachlab.policies.chat_model import ChatModelPolicy, Retry, ScriptedChatModel, load
from reachlab.policies.chat_model.messages import Calls
from reachlab.policies.chat_model.reading import COUNTED, ESTIMATED
from reachlab.studies.rollout import rollout
from tests.policies.chat_model.players import AT_ONCE, FAMILY, SEEDS, TASKS, WIDE, native, question, solver

SEARCH = '<tool_call>{"name": "search", "arguments": {"query": "rami"}}</tool_call>'
WORLDS = [world for world in World if world is not World.IMAGINED]
made = ScriptedChatModel(script=solver)


def says(*turns: str | AIMessage | Exception) -> ScriptedChatModel:
    """The n-th message of every episode is the n-th of *turns*."""

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
        said = turns[sum(m.type == "ai" for m in messages)]
        if isinstance(said, Exception):
            raise said
        return said

    return ScriptedChatModel(script=script)


def play(model: ScriptedChatModel, world: World = World.LIVE, calls: Calls = "auto", retry: Retry = AT_ONCE) -> list:  # type: ignore[type-arg]
    policy = ChatModelPolicy(model, calls=calls, retry=retry)
    return rollout(policy, FAMILY, TASKS, world, SEEDS, budget=WIDE)


@pytest.mark.parametrize("calls", ["native", "text"])
@pytest.mark.parametrize("world", WORLDS)
def test_live_it_reaches_the_scripted_optimum_and_without_information_nothing(world: World, calls: Calls) -> None:
    episodes = play(made, world, calls)
    assert all(e.stop is StopReason.ANSWERED for e in episodes)
    expected = [FAMILY.optimum(t) for t in TASKS] if world is World.LIVE else [0.0] * len(TASKS)
    if world is not World.ORACLE:  # its script does not read
        assert [e.reward for e in episodes] == expected
    if world is World.LIVE:
        assert {e.cost.calls for e in episodes} == {1, 2, 3}
        assert all(e.cost.tokens == len(e.transcript.ids) for e in episodes)


def test_results_of_native_calls_come_back_under_their_ids() -> None:
    heard: list[list[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
        heard.append(list(messages))
        assert [tool["function"]["name"] for tool in tools] == ["search"]
        asked = [{"name": "search", "args": {"query": q}, "id": q} for q in ("one", "two")]
        return AIMessage("Let me see.", tool_calls=asked) if len(messages) == 1 else "7"

    [episode] = rollout(ChatModelPolicy(ScriptedChatModel(script=script)), FAMILY, TASKS[:1], World.LIVE, [0])
    first, second = (m for m in heard[1] if isinstance(m, ToolMessage))
    assert (first.tool_call_id, second.tool_call_id) == ("one", "two")
    assert [first.text, second.text] == [m.content for m in episode.messages if m.role == "tool"]
    assert [c.arguments for c in episode.calls] == [{"query": "one"}, {"query": "two"}]
    assert episode.messages[1].content.startswith("Let me see.\n<tool_call>")


def test_raw_calls_leave_turns_as_they_were_said_and_results_to_the_template() -> None:
    heard: list[list[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> str:
        heard.append(list(messages))
        assert [tool["function"]["name"] for tool in tools] == ["search"]
        return SEARCH * 2 if len(heard) == 1 else "7"

    policy = ChatModelPolicy(ScriptedChatModel(script=script), calls="raw")
    rollout(policy, FAMILY, TASKS[:1], World.LIVE, [0], budget=WIDE)
    assert [m.type for m in heard[1]] == ["human", "ai", "tool", "tool"] and heard[1][1].text == SEARCH * 2


def test_text_calls_are_described_and_answered_in_text() -> None:
    heard: list[list[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> str:
        heard.append(list(messages))
        return SEARCH * 2 if len(heard) == 1 else "7"

    policy = ChatModelPolicy(ScriptedChatModel(script=script), calls="text")
    rollout(policy, FAMILY, TASKS[:1], World.LIVE, [0], budget=WIDE)
    system = heard[0][0]
    assert isinstance(system, SystemMessage) and '"search"' in system.text and "<tool_call>" in system.text
    assert heard[1][-1].type == "human" and str(heard[1][-1].text).count("<tool_response>") == 2


@pytest.mark.parametrize(
    ("turn", "stop"),
    [
        (SEARCH, StopReason.FORBIDDEN),
        (AIMessage("", tool_calls=[{"name": "search", "args": {}, "id": "1"}]), StopReason.FORBIDDEN),
        ("<tool_call>{", StopReason.FORBIDDEN),
        ("", StopReason.ANSWERED),
    ],
)
def test_a_call_in_the_closed_world_ends_the_episode(turn: str | AIMessage, stop: StopReason) -> None:
    assert {(e.stop, e.reward) for e in play(says(turn), World.CLOSED)} == {(stop, 0)}


@pytest.mark.parametrize(
    "turn",
    [
        AIMessage("", invalid_tool_calls=[{"name": "search", "args": '{"query": ', "id": "x", "error": "cut"}]),
        AIMessage("", invalid_tool_calls=[{"name": None, "args": "[1]", "id": None, "error": None}]),
        AIMessage("", tool_calls=[{"name": "search", "args": {"query": "</tool_call>"}, "id": "x"}]),
        AIMessage("", tool_calls=[{"name": "search", "args": {"nothing": 1}, "id": None}]),
        "<tool_call>{",
    ],
)
def test_malformed_calls_are_answered_not_faults(turn: AIMessage | str) -> None:
    for episode in play(says(turn, "7")):
        assert episode.stop is StopReason.ANSWERED and len(episode.calls) == 1
        assert episode.messages[2].role == "tool" and episode.messages[2].content


def test_a_broken_call_does_not_take_the_result_of_a_good_one() -> None:
    good = {"name": "search", "args": {"query": "rami"}, "id": "good"}
    bad = {"name": "search", "args": "{", "id": "bad", "error": "cut"}
    heard: list[BaseMessage] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
        heard[:] = messages
        return AIMessage("", tool_calls=[good], invalid_tool_calls=[bad]) if len(messages) == 1 else "7"

    rollout(ChatModelPolicy(ScriptedChatModel(script=script)), FAMILY, TASKS[:1], World.LIVE, [0], budget=WIDE)
    said, result, more = heard[1:]
    assert (
        isinstance(said, AIMessage) and [c["id"] for c in said.tool_calls] == ["good"] and not said.invalid_tool_calls
    )
    assert isinstance(result, ToolMessage) and result.tool_call_id == "good"
    assert more.type == "human" and "JSON" in str(more.text)


def test_what_the_provider_counted_stands_in_the_transcript() -> None:
    usage = [{"input_tokens": n, "output_tokens": 3, "total_tokens": n + 3} for n in (50, 90)]
    call = AIMessage("", tool_calls=[{"name": "search", "args": {"query": "x"}, "id": "1"}])
    turns = [m.model_copy(update={"usage_metadata": u}) for m, u in zip((call, AIMessage("7")), usage, strict=True)]
    episode = play(says(*turns))[0]
    assert (episode.cost.prompt, episode.cost.policy, episode.cost.observation) == (50, 6, 37)
    assert set(episode.transcript.ids.tolist()) == {COUNTED}


def test_without_counts_the_transcript_says_that_it_is_an_estimate() -> None:
    model = says("seven is my answer, and I stand by it")
    model.counts = False
    episode = play(model)[0]
    assert set(episode.transcript.ids.tolist()) == {ESTIMATED}
    assert episode.cost.policy == 10 and episode.cost.prompt > 10
    assert not episode.transcript.logprobs.any() and not ChatModelPolicy(model).scores


def test_log_probabilities_are_taken_where_they_come() -> None:
    told = {"logprobs": {"content": [{"token": "7", "logprob": -0.25}, {"token": "", "logprob": -0.5}]}}
    usage = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
    transcript = play(says(AIMessage("7", response_metadata=told, usage_metadata=usage)))[0].transcript
    assert transcript.logprobs[transcript.kinds == TokenKind.POLICY].tolist() == [-0.25, -0.5]


def test_the_token_limit_is_passed_on_and_a_cut_turn_is_no_answer() -> None:
    session = ChatModelPolicy(says("one two three four five")).session()
    [handle] = session.start([Prompt((Message("user", "count"),))], [0])
    [(_, turn)] = session.act([ActRequest(handle, 3)])
    assert turn.text.split() == ["one", "two", "three"] and not turn.ended and not turn.fault
    assert {e.stop for e in play(says("word " * 5000))} == {StopReason.TOKENS}


def test_seeds_are_passed_on_and_fix_what_is_said() -> None:
    def draw(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> str:
        return str(rng.integers(10**9))

    policy = ChatModelPolicy(ScriptedChatModel(script=draw))
    answers = [
        [e.messages[-1].content for e in rollout(policy, FAMILY, TASKS, World.CLOSED, seeds)]
        for seeds in (SEEDS, SEEDS, [7] * len(TASKS))
    ]
    assert answers[0] == answers[1] and len(set(answers[0])) == len(TASKS) and len(set(answers[2])) == 1


def test_a_fork_shares_the_past_and_not_the_future() -> None:
    session = ChatModelPolicy(says("a", "b", "c")).session()
    [handle] = session.start([Prompt((Message("user", "q"),))], [0])
    list(session.act([ActRequest(handle, 9)]))
    session.append(handle, [ToolResult("r")])
    twin = session.fork(handle, 1)
    before = session.transcript(handle).ids
    assert [t.text for _, t in session.act([ActRequest(twin, 9)])] == ["b"]
    assert (session.transcript(handle).ids == before).all()
    session.close(handle)
    assert [t.text for _, t in session.act([ActRequest(twin, 9)])] == ["c"]


def test_turns_are_asked_for_side_by_side_and_no_more_than_allowed() -> None:
    lock, busy, most, full = Lock(), 0, 0, Event()

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> str:
        nonlocal busy, most
        with lock:
            busy, most = busy + 1, max(most, busy + 1)
            if most == 3:
                full.set()
        full.wait(10)
        with lock:
            busy -= 1
        return "7"

    policy = ChatModelPolicy(ScriptedChatModel(script=script), concurrency=3)
    rollout(policy, FAMILY, TASKS, World.CLOSED, SEEDS)
    assert most == 3


@pytest.mark.parametrize("error", [ValueError("garbage"), ConnectionError("refused"), TimeoutError()])
def test_what_keeps_failing_is_a_fault_that_says_why(error: Exception) -> None:
    for episode in play(says(error)):
        assert episode.stop is StopReason.FAULT and episode.reward == 0
        assert "3 attempts" in episode.detail and type(error).__name__ in episode.detail


def test_what_fails_once_is_tried_again() -> None:
    failed: set[str] = set()

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
        if question(messages) not in failed:
            failed.add(question(messages))
            raise ConnectionError("reset")
        return solver(messages, tools, rng)

    assert [e.reward for e in play(ScriptedChatModel(script=script))] == [FAMILY.optimum(t) for t in TASKS]


def test_a_message_that_cannot_be_read_is_garbage() -> None:
    call = {"name": "search", "args": {"query": object()}, "id": "1"}
    for episode in play(says(AIMessage("", tool_calls=[call]))):
        assert episode.stop is StopReason.FAULT and "3 attempts" in episode.detail


def test_a_model_that_never_answers_is_a_fault_in_bounded_time() -> None:
    never = Event()

    def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> str:
        never.wait(60)
        return "7"

    episodes = play(ScriptedChatModel(script=script), retry=Retry(seconds=0.2))
    never.set()
    assert {e.stop for e in episodes} == {StopReason.FAULT} and "0.2 s" in episodes[0].detail


def test_a_context_that_is_full_from_the_start_is_a_fault_and_later_a_counted_stop() -> None:
    first, later = play(says(ContextOverflowError("too long"))), play(says(native(SEARCH, 0), ContextOverflowError("")))
    assert {e.stop for e in first} == {StopReason.FAULT} and "dials" in first[0].detail
    assert {e.stop for e in later} == {StopReason.TOKENS}


def test_models_are_loaded_by_name() -> None:
    assert load(f"{__name__}:made").chat_model is made
    policy = load("reachlab.policies.chat_model:ScriptedChatModel", model="a", calls="text", attempts=2)
    assert policy.chat_model._get_ls_params()["ls_model_name"] == "a"
    assert policy.calls == "text" and policy.retry.attempts == 2
    assert ChatModelPolicy(made).name == "ScriptedChatModel:scripted" and ChatModelPolicy(made).calls == "native"


@pytest.mark.parametrize(
    ("target", "options", "error", "said"),
    [
        ("reachlab.policies.chat_model:ScriptedChatModel", {"modle": "a"}, UnknownName, "Did you mean 'model'"),
        ("reachlab.policies.chat_model:ScriptedChatModel", {"seed": "x"}, BadValue, "seed"),
        ("reachlab.policies.chat_model:ScriptedChatModel", {"calls": "nativ"}, UnknownName, "'native'"),
        ("reachlab.policies.chat_model:ScriptedChatModel", {"seconds": 0}, BadValue, "seconds"),
        ("reachlab.policies.chat_model:Retry", {}, BadValue, "BaseChatModel"),
        (f"{__name__}:made", {"second": 1}, UnknownName, "Did you mean 'seconds'.*made already"),
        ("no_such_module_7:Model", {}, UnknownName, "no module"),
    ],
)
def test_bad_names_and_options_say_what_is_allowed(
    target: str, options: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(target, **options)  # type: ignore[arg-type]


def test_models_without_native_calls_get_text_calls() -> None:
    policy = ChatModelPolicy(FakeListChatModel(responses=["7"]))
    assert policy.calls == "text"
    assert {e.stop for e in rollout(policy, FAMILY, TASKS, World.LIVE, SEEDS)} == {StopReason.ANSWERED}
    with pytest.raises(BadValue, match="bind_tools"):
        ChatModelPolicy(policy.chat_model, calls="native")
