"""Endpoints: sessions of token ids over HTTP, chat mode where that cannot be had, and servers that misbehave."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from reachlab import ActRequest, Episode, Json, Message, Prompt, StopReason, TokenKind, ToolResult, World
from reachlab.errors import BadValue, MissingExtra, UnknownName
from reachlab.policies.chat_model import ChatModelPolicy, Retry
from reachlab.policies.endpoint import EndpointPolicy, connect
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.studies.rollout import rollout
from tests.policies.chat_model.players import FAMILY, SEEDS, TASKS, WIDE
from tests.policies.endpoint.server import LOGPROB, TOKENIZER, Server, serving

QUESTION = Prompt(TASKS[0].messages)


def tokens(server: Server, **options: Any) -> EndpointPolicy:
    policy = connect(f"{server.url}#base", mode="tokens", **options)
    assert isinstance(policy, EndpointPolicy)
    policy.client.retry = Retry(attempts=3, first=0.01, seconds=options.get("seconds", 20))
    return policy


def play(policy: Any, world: World = World.LIVE, **options: Any) -> list[Episode]:
    return rollout(policy, FAMILY, TASKS, world, SEEDS, budget=WIDE, **options)


def after(count: int, act: Callable[[], tuple[int, str] | None]) -> Callable[[str, Json], tuple[int, str] | None]:
    """Misbehave from the (count + 1)-th turn on."""
    turns = 0

    def misbehave(path: str, body: Json) -> tuple[int, str] | None:
        nonlocal turns
        turns += path == "/completions" and body.get("max_tokens", 1) > 1
        return act() if turns > count and path == "/completions" else None

    return misbehave


@pytest.mark.parametrize("world", list(World))
def test_token_mode_plays_every_world(world: World) -> None:
    with serving() as server:
        policy = tokens(server)
        episodes = play(policy, world, imaginer=policy.imaginer())
    expected = {World.LIVE: [FAMILY.optimum(t) for t in TASKS]}.get(world, [0.0] * len(TASKS))
    assert [e.reward for e in episodes] == expected
    assert not any(e.stop.is_fault for e in episodes)
    if world is World.IMAGINED:
        assert all(e.messages[2].content == "rami's code is 12." for e in episodes)


def test_token_mode_appends_as_a_session_of_the_same_model_does(base: HuggingFacePolicy) -> None:
    calls = [ToolResult("rami's code is 1234."), ToolResult("")]
    with serving() as server:
        session = tokens(server).session()
        [handle] = session.start([QUESTION], [5])
        [(_, turn)] = session.act([ActRequest(handle, 40)])
        session.append(handle, calls)
        found = session.transcript(handle)
    own = base.template.prompt_ids(QUESTION)
    suffix = base.template.suffix(tuple(calls))
    assert found.ids.tolist() == [*own, *turn.ids.tolist(), *suffix.ids]
    assert turn.ended and turn.ids[-1] in base.stop_ids and turn.text == "0000"
    sampled = found.kinds == TokenKind.POLICY
    assert (found.logprobs[sampled] == LOGPROB).all() and not found.logprobs[~sampled].any()


def test_nothing_is_left_to_the_servers_defaults() -> None:
    with serving() as server:
        policy = tokens(server)
        server.bodies.clear()
        play(policy)
        play(policy)
        bodies = [b for b in server.bodies if "stop_token_ids" in b]
    first = bodies[0]
    assert (first["temperature"], first["top_p"], first["top_k"], first["min_p"]) == (1, 1, 0, 0)
    assert first["repetition_penalty"] == 1 and first["presence_penalty"] == first["frequency_penalty"] == 0
    half = len(bodies) // 2
    seeds = [{(tuple(b["prompt"]), b["seed"]) for b in part} for part in (bodies[:half], bodies[half:])]
    assert seeds[0] == seeds[1] and len({seed for _, seed in seeds[0]}) == half


def test_requests_are_made_side_by_side_and_no_more_than_allowed() -> None:
    with serving(lambda path, body: time.sleep(0.02)) as server:
        play(tokens(server, concurrency=3), World.CLOSED)
        assert server.most == 3


def test_given_tokens_are_scored() -> None:
    with serving() as server:
        policy = tokens(server)
        transcripts = [e.transcript for e in play(policy)]
        scores = policy.score(policy, transcripts)
        with pytest.raises(BadValue, match="no KL"):
            policy.score(tokens(server), transcripts)
    for transcript, score in zip(transcripts, scores, strict=True):
        counted = np.isin(transcript.kinds, (TokenKind.POLICY, TokenKind.OBSERVATION))
        assert (score.logprobs == np.where(counted, LOGPROB, 0)).all() and not score.kl.any()


def test_a_full_context_is_a_counted_stop_and_a_prompt_without_room_a_fault() -> None:
    with serving(positions=60) as server:
        episodes = play(tokens(server))
        assert StopReason.TOKENS in {e.stop for e in episodes} and not any(e.stop.is_fault for e in episodes)
        assert max(len(e.transcript.ids) for e in episodes) == 60
    with serving(positions=12) as server:
        assert all(e.stop is StopReason.FAULT and "context" in e.detail for e in play(tokens(server)))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_stumbles_is_asked_again(status: int) -> None:
    count = 0

    def stumble(path: str, body: Json) -> tuple[int, str] | None:
        nonlocal count
        count += 1
        return (status, "{}") if count % 3 == 2 else None

    with serving() as server:
        policy = tokens(server, concurrency=1)
        server.misbehave = stumble
        assert [e.reward for e in play(policy)] == [FAMILY.optimum(t) for t in TASKS]


CHOICE: Json = {"token_ids": [5], "logprobs": {"token_logprobs": [-1.0]}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, '{"error": {"message": "the engine is dead"}}'), "HTTP 500.*the engine is dead"),
        ((400, '{"error": {"message": "no"}}'), "1 attempts.*HTTP 400"),
        ((200, "<html>"), "something else than JSON.*html"),
        ((200, "[]"), "not an object"),
        ((200, "{}"), "no choices"),
        ((200, json.dumps({"choices": [{}]})), "0 token ids"),
        ((200, json.dumps({"choices": [{**CHOICE, "token_ids": [5, 6]}]})), "2 token ids.*1 log-prob"),
        ((200, json.dumps({"choices": [{**CHOICE, "token_ids": ["5"]}]})), "0 token ids"),
        ((200, json.dumps({"choices": [{**CHOICE, "logprobs": {"token_logprobs": [None]}}]})), "no numbers"),
        ((200, json.dumps({"choices": [{**CHOICE, "logprobs": {"token_logprobs": [float("nan")]}}]})), "no numbers"),
    ],
)
def test_what_stays_wrong_is_a_fault_that_says_what(answer: tuple[int, str], said: str) -> None:
    with serving() as server:
        policy = tokens(server)
        server.misbehave = lambda path, body: answer
        episodes = play(policy)
    assert {(e.stop, e.reward) for e in episodes} == {(StopReason.FAULT, 0)}
    assert all(re.search(said, e.detail) for e in episodes), episodes[0].detail


def test_a_server_that_dies_half_way_is_a_fault_of_what_was_under_way() -> None:
    with serving() as server:
        policy = tokens(server)

        def die() -> None:
            server.socket.close()
            raise ConnectionAbortedError

        server.misbehave = after(8, die)
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        episodes = play(policy)
    assert all(e.stop is StopReason.FAULT and e.reward == 0 for e in episodes)
    assert any("Connect" in e.detail or "Protocol" in e.detail for e in episodes)
    assert any(e.cost.calls for e in episodes)


def test_a_server_that_never_answers_is_a_fault_in_bounded_time() -> None:
    with serving() as server:
        policy = tokens(server)
        policy.client.retry = Retry(attempts=2, seconds=0.3)
        server.misbehave = lambda path, body: time.sleep(1.5)
        began = time.monotonic()
        episodes = play(policy)
        assert time.monotonic() - began < 5
    assert all(e.stop is StopReason.FAULT and "0.3 s" in e.detail for e in episodes)


def test_an_end_that_only_the_server_knows_ends_a_turn() -> None:
    said = [*TOKENIZER.encode("12", add_special_tokens=False), 7]  # 7 is no end of the tiny base
    choice = {"token_ids": said, "logprobs": {"token_logprobs": [-1.0] * len(said)}}
    with serving() as server:
        policy = tokens(server)
        for reason, stop in (("stop", StopReason.ANSWERED), ("length", StopReason.TOKENS)):
            text = json.dumps({"choices": [{**choice, "finish_reason": reason}]})
            server.misbehave = lambda path, body, text=text: (200, text)  # type: ignore[misc]
            assert {e.stop for e in play(policy, World.CLOSED)} == {stop}
            if reason == "stop":
                assert all(e.messages[-1].content == "12" for e in play(policy, World.CLOSED))


def test_an_unknown_model_names_those_that_are_offered() -> None:
    with serving() as server:
        with pytest.raises(UnknownName, match=r"unknown model 'bose'. Did you mean 'base'\? Known: base, other"):
            connect(f"{server.url}#bose")
        with pytest.raises(UnknownName, match="say #MODEL"):
            connect(server.url)


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000#m", "ftp://a/v1#m", "http://#m", "http://a/v1?x=1#m"])
def test_an_address_that_is_none_says_the_form(address: str) -> None:
    with pytest.raises(BadValue, match="http://HOST:PORT/v1#MODEL"):
        connect(address)


def test_a_wrong_url_is_said_at_the_start() -> None:
    with serving() as server:
        with pytest.raises(BadValue, match="HTTP 404.*Not Found"):
            connect(server.url.replace("/v1", "/v2") + "#base")
        gone = f"{server.url}#base"
    with pytest.raises(BadValue, match="2 attempts.*Connect"):
        connect(gone, attempts=2)


def test_options_are_checked() -> None:
    for options, error in (
        ({"mode": "token"}, UnknownName),
        ({"concurrency": 0}, BadValue),
        ({"attempts": 0}, BadValue),
    ):
        with pytest.raises(error):
            connect("http://127.0.0.1:1/v1#m", **options)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(key="secret") as server:
        with pytest.raises(BadValue, match="HTTP 401.*no such key"):
            connect(f"{server.url}#base")
        monkeypatch.setenv("MY_KEY", "secret")
        assert "secret" not in repr(tokens(server, key_variable="MY_KEY").name)


def test_a_tokenizer_that_is_not_the_servers_is_refused(tmp_path: Any, qwen: HuggingFacePolicy) -> None:
    qwen.tokenizer.save_pretrained(tmp_path)
    with serving() as server, pytest.raises(BadValue, match="the server reads"):
        tokens(server, tokenizer=str(tmp_path))


def test_token_mode_says_why_it_cannot_be_had() -> None:
    with serving() as server:
        with pytest.raises(BadValue, match="no tokenizer can be loaded.*option tokenizer"):
            tokens(server, tokenizer="/no/such/folder")
        server.takes_ids = False
        with pytest.raises(BadValue, match="does not take and give token ids.*must be a string"):
            tokens(server)


def test_chat_mode_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    with serving() as server, pytest.raises(MissingExtra, match=r"reachlab\[openai\]"):
        connect(f"{server.url}#base", mode="chat")


@pytest.mark.parametrize(
    ("owner", "takes_tools", "calls"), [("someone", True, "native"), ("someone", False, "text"), ("vllm", False, "raw")]
)
def test_without_token_ids_it_chats_and_says_so(
    owner: str, takes_tools: bool, calls: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("langchain_openai")
    with serving() as server:
        server.owner, server.takes_ids, server.takes_tools = owner, False, takes_tools
        policy = connect(f"{server.url}#base")
        assert isinstance(policy, ChatModelPolicy) and policy.calls == calls
        assert "chat mode" in caplog.text and "must be a string" in caplog.text
        episodes = play(policy)
        assert [e.reward for e in episodes] == [FAMILY.optimum(t) for t in TASKS]
        assert [e.reward for e in play(policy, World.CLOSED)] == [0.0] * len(TASKS)
        assert {e.cost.policy % 4 for e in episodes} == {0}
        body = server.bodies[-1]
    assert body["temperature"] == 1 and body["seed"] >= 0 and body["max_completion_tokens"] == WIDE.closed().tokens
    assert ("top_k" in body) is (owner == "vllm")  # others refuse what they do not know


def test_a_chat_that_fills_its_context_is_a_counted_stop_and_advice_where_it_begins_full() -> None:
    pytest.importorskip("langchain_openai")
    full = 400, json.dumps({"error": {"message": "This model's maximum context length is 9 tokens."}})
    with serving() as server:
        policy = connect(f"{server.url}#base", mode="chat")
        server.misbehave = lambda path, body: full if len(body["messages"]) > 1 else None
        assert {e.stop for e in play(policy)} == {StopReason.TOKENS}
        server.misbehave = lambda path, body: full
        assert all(e.stop is StopReason.FAULT and "shorten them by dials" in e.detail for e in play(policy))


def test_a_chat_server_that_fails_is_a_fault() -> None:
    pytest.importorskip("langchain_openai")
    with serving() as server:
        policy = connect(f"{server.url}#base", mode="chat", attempts=2)
        server.misbehave = lambda path, body: (500, "{}")
        episodes = play(policy)
    assert all(e.stop is StopReason.FAULT and "2 attempts" in e.detail for e in episodes)


def test_no_connection_is_left_open() -> None:
    with serving() as server:
        policy = tokens(server)
        play(policy)
        client = policy.client._http
        assert isinstance(client, httpx.Client)
        del policy
        assert client.is_closed


def test_a_prompt_of_the_other_kinds_of_messages_is_taken() -> None:
    with serving() as server:
        session = tokens(server).session()
        [handle] = session.start([Prompt((Message("system", "s"), Message("user", "q")))], [0])
        assert [turn.text for _, turn in session.act([ActRequest(handle, 5)])] == [""]
