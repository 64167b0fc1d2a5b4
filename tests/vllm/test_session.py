"""Sessions over vLLM: ids in and out, transformers' log-probabilities, seeds, a cache across turns, faults."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from reachlab import ActRequest, Message, Prompt, StopReason, Task, TokenKind, ToolResult, Transcript, World
from reachlab.envs.lexicon import Lexicon
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.vllm import load
from reachlab.policies.vllm.engine import VllmEngine
from reachlab.studies.rollout import rollout
from tests.policies.test_session import act, converse, prompts

FAMILY = Lexicon(hops=(1, 2))


def teacher_forced(policy: HuggingFacePolicy, t: Transcript) -> np.ndarray:
    """(T,) log-probabilities under the policy's transformers weights; 0 for the first token."""
    ids = torch.from_numpy(t.ids)
    with torch.inference_mode():
        logprobs_T_V = torch.log_softmax(policy.model(ids[None]).logits[0].float(), -1)
    return np.array([0.0, *logprobs_T_V[:-1].gather(1, ids[1:, None])[:, 0].tolist()])


def tasks(count: int) -> list[Task]:
    return [FAMILY.task("test", i % 20) for i in range(count)]


def test_logprobs_are_those_of_transformers_over_several_turns(policy: HuggingFacePolicy) -> None:
    session, handles = converse(policy)
    sampled = 0
    for transcript in map(session.transcript, handles):
        at = transcript.kinds == TokenKind.POLICY
        assert np.abs(teacher_forced(policy, transcript) - transcript.logprobs)[at].max() < 1e-3
        assert (transcript.logprobs[~at] == 0).all()
        sampled += int(at.sum())
    assert sampled > 100


@pytest.mark.parametrize("world", [World.CLOSED, World.SHUFFLED, World.LIVE, World.IMAGINED])
def test_episodes_are_those_of_transformers(policy: HuggingFacePolicy, base: HuggingFacePolicy, world: World) -> None:
    """Seed by seed, not on average alone; one in a hundred may differ where rounding breaks a tie."""
    asked, seeds = tasks(100), list(range(100))
    mine, theirs = (
        rollout(p, FAMILY, asked, world, seeds, imaginer=base.imaginer() if world is World.IMAGINED else None)
        for p in (policy, base)
    )
    same = [a.messages == b.messages and a.stop is b.stop for a, b in zip(mine, theirs, strict=True)]
    assert sum(same) >= 99
    for a, b, equal in zip(mine, theirs, same, strict=True):
        if equal:
            assert (a.transcript.ids == b.transcript.ids).all() and (a.transcript.kinds == b.transcript.kinds).all()
            assert np.abs(a.transcript.logprobs - b.transcript.logprobs).max() < 1e-3


def test_equal_seeds_sample_equal_turns_in_any_company(policy: HuggingFacePolicy) -> None:
    asked = prompts(12)
    session = policy.session()
    together = session.start(asked, list(range(12)))
    said = act(session, together)
    for i in (0, 5, 11):
        alone = policy.session()
        [handle] = alone.start([asked[i]], [i])
        assert act(alone, [handle])[handle].text == said[together[i]].text
    other = policy.session()
    moved = other.start(asked, list(range(100, 112)))
    assert [t.text for t in act(other, moved).values()] != [t.text for t in said.values()]


def test_a_fork_shares_the_past_and_has_its_own_future(policy: HuggingFacePolicy) -> None:
    session = policy.session()
    [handle] = session.start(prompts(1), [0])
    act(session, [handle])
    session.append(handle, [ToolResult("rami's code is 12.")])
    past = session.transcript(handle).ids
    forks = [session.fork(handle, seed) for seed in range(16)]
    said = act(session, forks)
    assert len({turn.text for turn in said.values()}) > 1
    assert (session.transcript(handle).ids == past).all()
    for fork in forks:
        assert (session.transcript(fork).ids[: len(past)] == past).all()
        session.close(fork)


def test_turns_come_as_they_finish(policy: HuggingFacePolicy) -> None:
    session = policy.session()
    handles = session.start(prompts(8), list(range(8)))
    limits = {handle: 24 if i == 0 else 1 for i, handle in enumerate(handles)}
    order = [handle for handle, _ in session.act([ActRequest(h, limits[h]) for h in handles])]
    assert order[-1] == handles[0] and sorted(order) == sorted(handles)


def test_later_turns_read_the_earlier_ones_from_the_cache(
    policy: HuggingFacePolicy, engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = policy.session()
    [handle] = session.start([Prompt((Message("user", "Length: 4. " * 40),))], [1])
    act(session, [handle])
    session.append(handle, [ToolResult("rami's code is 12.")])
    cached: list[int] = []
    step = engine._llm.llm_engine.step

    def watched() -> Any:
        outputs = step()
        cached.extend(output.num_cached_tokens for output in outputs)
        return outputs

    monkeypatch.setattr(engine._llm.llm_engine, "step", watched)
    act(session, [handle])
    assert cached[-1] > 64


def test_a_full_context_is_a_stop_reason_and_no_crash() -> None:
    small = load("tiny", context=64)
    long = Lexicon(hops=(4,))
    asked = [long.task("test", i) for i in range(16)]
    episodes = rollout(small, long, asked, World.LIVE, list(range(16)))
    assert not any(e.stop.is_fault for e in episodes)
    full = [e for e in episodes if len(e.transcript.ids) == 64]
    assert full and {e.stop for e in full} == {StopReason.TOKENS}
    session = small.session()
    [handle] = session.start([Prompt((Message("user", "Length: 4. " * 60),))], [0])
    turn = act(session, [handle])[handle]
    assert len(turn.ids) == 0 and not turn.ended
    assert isinstance(small.engine, VllmEngine)
    small.engine.close()


def test_a_cache_that_holds_a_few_rows_changes_nothing(base: HuggingFacePolicy) -> None:
    """Rows give up their place to others half-way, and go on later with the same draws."""
    small = load("tiny", context=96, cache_bytes=2**20)
    asked, seeds = prompts(24), list(range(24))
    said = []
    for chosen in (small, base):
        session = chosen.session()
        session.stop_ids = frozenset()  # type: ignore[attr-defined]
        handles = session.start(asked, seeds)
        turns = act(session, handles, 40)
        said.append([turns[h].text for h in handles])
    assert said[0] == said[1]
    assert isinstance(small.engine, VllmEngine)
    small.engine.close()


def test_weights_without_numbers_are_a_fault(policy: HuggingFacePolicy) -> None:
    broken = policy.with_model(copy.deepcopy(policy.model), "broken")
    with torch.no_grad():
        broken.model.get_output_embeddings().weight.fill_(float("nan"))
    episodes = rollout(broken, FAMILY, tasks(4), World.LIVE, [0, 1, 2, 3])
    assert [e.stop for e in episodes] == [StopReason.FAULT] * 4
    assert all("not numbers" in e.detail and e.reward == 0 for e in episodes)


def test_an_engine_that_dies_faults_its_turns_and_is_built_anew(
    policy: HuggingFacePolicy, engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rollout(policy, FAMILY, tasks(6), World.LIVE, list(range(6)))
    steps = iter(range(100))
    step = engine._llm.llm_engine.step

    def dying() -> Any:
        if next(steps) == 3:
            raise RuntimeError("can't allocate memory: you tried to allocate 68719476736 bytes")
        return step()

    monkeypatch.setattr(engine._llm.llm_engine, "step", dying)
    during = rollout(policy, FAMILY, tasks(6), World.LIVE, list(range(6)))
    faults = [e for e in during if e.stop is StopReason.FAULT]
    assert faults and all("allocate" in e.detail for e in faults)
    after = rollout(policy, FAMILY, tasks(6), World.LIVE, list(range(6)))
    assert [e.messages for e in after] == [e.messages for e in before]


def test_other_weights_in_between_fault_what_was_left_running(policy: HuggingFacePolicy) -> None:
    session = policy.session()
    handles = session.start(prompts(2), [0, 1])
    turns = session.act([ActRequest(handles[0], 1), ActRequest(handles[1], 24)])
    next(turns)
    other = policy.with_model(copy.deepcopy(policy.model), "other")
    elsewhere = other.session()
    [handle] = elsewhere.start(prompts(1), [0])
    assert not act(elsewhere, [handle])[handle].fault
    rest: Sequence[Any] = list(turns)
    assert [h for h, _ in rest] == [handles[1]] and "other weights" in rest[0][1].fault
