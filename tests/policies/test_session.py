"""Sessions: exact log-probabilities over a ragged cache, seeds that mean something, ids that are only appended."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from reachlab import ActRequest, Message, Prompt, Session, TokenKind, ToolResult, Turn
from reachlab.policies.huggingface import HuggingFacePolicy

TOOL = {"type": "function", "function": {"name": "search", "description": "Search.", "parameters": {}}}
NAMES = ("rami", "vawu", "reno", "pura", "mewu", "woji", "tevi", "wari")


def prompts(count: int) -> list[Prompt]:
    """Of different lengths, half of them with a tool."""
    asked = [
        f"What is {NAMES[i % 8]}{chr(39)}s{' friend' * (i % 3)} code? Length: {1 + i % 6}. Reply with the code only."
        for i in range(count)
    ]
    return [Prompt((Message("user", text),), (TOOL,) if i % 2 else ()) for i, text in enumerate(asked)]


def act(session: Session, handles: list[int], tokens: int = 24) -> dict[int, Turn]:
    return dict(session.act([ActRequest(h, tokens) for h in handles]))


def converse(policy: HuggingFacePolicy, count: int = 12, turns: int = 3) -> tuple[Session, list[int]]:
    """Ragged episodes: after each turn, every other episode that ended its turn gets results and acts again."""
    session = policy.session()
    handles = session.start(prompts(count), list(range(count)))
    said = act(session, handles)
    for turn in range(turns):
        again = [h for i, h in enumerate(handles) if said[h].ended and (i + turn) % 3]
        for h in again:
            session.append(h, [ToolResult(f"rami's code is {10**turn + h}."), ToolResult("é\n")][: 1 + h % 2])
        said |= act(session, again)
    return session, handles


@pytest.mark.parametrize("name", ["base", "qwen"])
def test_logprobs_equal_an_uncached_forward_pass(name: str, request: pytest.FixtureRequest) -> None:
    policy: HuggingFacePolicy = request.getfixturevalue(name)
    session, handles = converse(policy)
    worst, sampled = 0.0, 0
    for handle in handles:
        t = session.transcript(handle)
        with torch.inference_mode():
            logprobs = torch.log_softmax(policy.model(torch.from_numpy(t.ids)[None]).logits[0].float(), -1).numpy()
        for i in np.flatnonzero(t.kinds == TokenKind.POLICY):
            worst = max(worst, abs(float(logprobs[i - 1, t.ids[i]]) - t.logprobs[i]))
            sampled += 1
    assert sampled > 30
    assert worst < 1e-3  # positions counted by column instead of by token are off by .008


def test_equal_seeds_sample_equal_turns_in_any_company(base: HuggingFacePolicy) -> None:
    asked = prompts(12)
    session = base.session()
    together = session.start(asked, list(range(12)))
    said = [act(session, together)]
    for turn in range(2):
        for handle in together:
            session.append(handle, [ToolResult(f"rami's code is {turn}{handle}.")])
        limits = {h: 8 + 3 * (i % 5) for i, h in enumerate(together)}
        said.append(dict(session.act([ActRequest(h, limits[h]) for h in together])))
    for i in (0, 5, 11):
        alone = base.session()
        [handle] = alone.start([asked[i]], [i])
        for turn, limit in enumerate((24, limits[together[i]], limits[together[i]])):
            assert act(alone, [handle], limit)[handle].text == said[turn][together[i]].text
            alone.append(handle, [ToolResult(f"rami's code is {turn}{together[i]}.")])
    other = base.session()
    moved = other.start(asked, list(range(100, 112)))
    assert [t.text for t in act(other, moved).values()] != [t.text for t in said[0].values()]


def test_samples_follow_the_models_distribution(base: HuggingFacePolicy) -> None:
    prompt = Prompt((Message("user", "What is rami's code? Length: 1. Reply with the code only."),))
    count = 4000
    session = base.session()
    said = act(session, session.start([prompt] * count, list(range(count))))
    texts = [t.text for t in said.values()]
    for digit in "0123456789":
        exact = float(base.exact_success([prompt], [[digit]], 24)[0])
        assert abs(texts.count(digit) / count - exact) < 5 * (exact * (1 - exact) / count) ** 0.5


def test_ids_are_only_appended_and_every_token_has_a_kind(base: HuggingFacePolicy) -> None:
    session = base.session()
    handles = session.start(prompts(8), list(range(8)))
    before = {h: session.transcript(h) for h in handles}
    assert all((t.kinds == TokenKind.PROMPT).all() for t in before.values())
    said = act(session, handles)
    for h in handles:
        session.append(h, [ToolResult("No results.")]) if said[h].ended else None
        now = session.transcript(h)
        assert (now.ids[: len(before[h].ids)] == before[h].ids).all()
        fresh = now.kinds[len(before[h].ids) :]
        assert fresh[: len(said[h].ids)].tolist() == [TokenKind.POLICY] * len(said[h].ids)
        assert TokenKind.POLICY not in fresh[len(said[h].ids) :]


def test_fork_shares_the_past_and_samples_its_own_future(base: HuggingFacePolicy) -> None:
    session = base.session()
    [handle] = session.start(prompts(2)[1:], [3])
    act(session, [handle])
    session.append(handle, [ToolResult("rami's code is 12.")])
    past = session.transcript(handle).ids
    forks = [session.fork(handle, seed) for seed in range(40)]
    said = act(session, forks)
    assert len({t.text for t in said.values()}) > 1
    assert all((session.transcript(f).ids[: len(past)] == past).all() for f in forks)
    assert len(session.transcript(handle).ids) == len(past)
    session.close(handle)
    assert act(session, [forks[0]])  # the fork outlives what it was forked from


def test_the_token_limit_ends_a_turn(qwen: HuggingFacePolicy) -> None:
    session = qwen.session()
    handles = session.start(prompts(6), list(range(6)))
    turns = dict(session.act([ActRequest(h, 1 + i) for i, h in enumerate(handles)]))
    assert all(len(turns[h].ids) <= 1 + i for i, h in enumerate(handles))
    cut = [t for t in turns.values() if not t.ended]
    assert cut and all(t.ids[-1] not in qwen.stop_ids for t in cut)


def test_logits_that_are_no_numbers_make_a_fault_not_a_turn(base: HuggingFacePolicy) -> None:
    broken = base.with_model(copy.deepcopy(base.model), "broken")
    with torch.no_grad():
        broken.model.get_output_embeddings().weight.fill_(float("nan"))
    session = broken.session()
    turns = act(session, session.start(prompts(3), [0, 1, 2]))
    assert all(t.fault and len(t.ids) == 0 for t in turns.values())
