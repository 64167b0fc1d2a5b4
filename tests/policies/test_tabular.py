"""Tables: sampling follows them, enumeration agrees with arithmetic, and the tilt is the tilt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from reachlab import ActRequest, Message, Prompt, TokenKind, ToolResult, World
from reachlab.errors import BadValue
from reachlab.measure import kl, tilt_kl
from reachlab.measure import tilt as tilted_success
from reachlab.policies.tabular import (
    END,
    Respond,
    Said,
    TabularPolicy,
    courses,
    divergence,
    opening,
    success,
    tilt,
)
from reachlab.policies.tabular.policy import History
from reachlab.studies.calibration import process

ALPHA = 1e-6
PROMPT = Prompt((Message("user", "q"),))
WITH_TOOL = Prompt((Message("user", "q"),), ({"type": "function", "function": {"name": "ask"}},))

DIGITS = TabularPolicy(
    "digits",
    {
        (): {"1": 0.2, "2": 0.3, "3": 0.5},
        ("1",): {"1": 0.5, END: 0.5},
        ("2",): {END: 1.0},
        ("3",): {"3": 0.25, END: 0.75},
        ("1", "1"): {END: 1.0},
        ("3", "3"): {END: 1.0},
    },
)
"""Texts: 1 (.1), 11 (.1), 2 (.3), 3 (.375), 33 (.125)."""
TEXTS = {"1": 0.1, "11": 0.1, "2": 0.3, "3": 0.375, "33": 0.125}


def agrees(counts: Counter[str], law: dict[str, float]) -> bool:
    """Chi-square at ALPHA, nothing outside the law's support."""
    total = counts.total()
    wanted = {text: p * total for text, p in law.items() if p > 0}
    assert set(counts) <= set(wanted)
    found = stats.chisquare([counts[t] for t in wanted], list(wanted.values()))
    return bool(found.pvalue > ALPHA)


def said(policy: TabularPolicy, count: int, prompt: Prompt = PROMPT) -> Counter[str]:
    session = policy.session()
    handles = session.start([prompt] * count, list(range(count)))
    return Counter(turn.text for _, turn in session.act([ActRequest(h, 8) for h in handles]))


def right(*answers: str) -> Respond:
    return lambda turns: float(turns[-1].ended and turns[-1].text in answers)


def test_sampling_follows_the_table() -> None:
    counts = said(DIGITS, 20_000)
    assert agrees(counts, TEXTS)
    assert not agrees(counts, {"1": 0.12, "11": 0.1, "2": 0.28, "3": 0.375, "33": 0.125})  # the test can fail


def test_a_turn_carries_its_log_probability_and_what_it_says_depends_on_its_seed_alone() -> None:
    session = DIGITS.session()
    handles = session.start([PROMPT] * 200, [7, *range(1, 200)])
    turns = dict(session.act([ActRequest(h, 8) for h in handles]))
    for turn in turns.values():
        assert turn.ended and math.isclose(math.exp(turn.logprobs.sum()), TEXTS[turn.text])
    alone = DIGITS.session()
    [handle] = alone.start([PROMPT], [7])
    [(_, turn)] = alone.act([ActRequest(handle, 8)])
    assert turn.text == turns[handles[0]].text
    assert (alone.transcript(handle).ids == session.transcript(handles[0]).ids).all()


def test_transcripts_are_appended_and_forks_sample_their_own_future() -> None:
    session = DIGITS.session()
    [handle] = session.start([PROMPT], [0])
    [(_, turn)] = session.act([ActRequest(handle, 8)])
    session.append(handle, [ToolResult("é")])
    past = session.transcript(handle)
    assert past.kinds.tolist() == [TokenKind.PROMPT] + [TokenKind.POLICY] * len(turn.ids) + [TokenKind.OBSERVATION] * 3
    forks = [session.fork(handle, seed) for seed in range(50)]
    texts = {t.text for _, t in session.act([ActRequest(f, 8) for f in forks])}
    assert len(texts) > 2
    assert all((session.transcript(f).ids[: len(past.ids)] == past.ids).all() for f in forks)
    assert len(session.transcript(handle).ids) == len(past.ids)


def test_the_token_limit_cuts_a_turn_and_enumeration_knows_it() -> None:
    session = DIGITS.session()
    handles = session.start([PROMPT] * 300, list(range(300)))
    turns = [t for _, t in session.act([ActRequest(h, 2) for h in handles])]
    cut = sum(not t.ended for t in turns)
    exact = DIGITS.exact_success([PROMPT], [["1", "2", "3"]], 2)[0]
    assert math.isclose(exact, 0.775) and math.isclose(DIGITS.exact_success([PROMPT], [["11"]], 2)[0], 0.0)
    assert stats.binomtest(cut, 300, 1 - exact).pvalue > ALPHA


def test_every_course_is_listed_once() -> None:
    among = courses(DIGITS, PROMPT, right("33"), 8)
    assert {c.turns[0].text: c.probability for c in among} == pytest.approx(TEXTS)
    assert math.isclose(success(among), 0.125)


@pytest.mark.parametrize("beta", [0.1, 0.5, 3.0])
def test_the_tilt_of_a_binary_reward_is_the_sigmoid(beta: float) -> None:
    found = tilt(DIGITS, PROMPT, right("11", "33"), 8, beta)
    p0 = np.array([0.225])
    assert math.isclose(found.success, tilted_success(p0, 1 / beta)[0])
    assert math.isclose(found.kl, tilt_kl(p0, 1 / beta)[0]) and math.isclose(found.kl, float(kl(found.success, p0[0])))
    among = courses(found.policy, PROMPT, right("11", "33"), 8)
    assert math.isclose(success(among), found.success)
    assert math.isclose(divergence(found.policy, DIGITS, among), found.kl)


def test_the_tilt_weighs_graded_rewards_by_their_exponential() -> None:
    rewards = {"1": 0.0, "11": 0.25, "2": 0.5, "3": 0.75, "33": 1.0}
    found = tilt(DIGITS, PROMPT, lambda turns: rewards[turns[-1].text], 8, 0.4)
    weights = {t: p * math.exp(rewards[t] / 0.4) for t, p in TEXTS.items()}
    law = {t: w / sum(weights.values()) for t, w in weights.items()}
    assert {c.turns[0].text: c.probability for c in courses(found.policy, PROMPT, right(), 8)} == pytest.approx(law)
    assert math.isclose(found.kl, sum(p * math.log(p / TEXTS[t]) for t, p in law.items()))
    assert agrees(said(found.policy, 20_000), law)
    other = Prompt((Message("user", "something else"),))
    assert agrees(said(found.policy, 20_000, other), TEXTS)  # untouched


def test_no_reward_anywhere_tilts_nothing() -> None:
    found = tilt(DIGITS, PROMPT, right("9"), 8, 0.01)
    assert found.success == 0.0 and abs(found.kl) < 1e-12


# ---------------------------------------------------------------------------------------------------- with a tool


def caller(call: float, copy: float, own: float) -> TabularPolicy:
    """Calls or answers; after a result copies the fact or answers from its own head."""
    head = {"fact": own, "other": 1 - own}
    told = {"fact": copy + (1 - copy) * own, "other": (1 - copy) * (1 - own)}
    rows: dict[History, dict[str, float]] = {
        (): head,
        (opening(WITH_TOOL),): {"CALL": call, **{t: (1 - call) * p for t, p in head.items()}},
    }
    ends: dict[History, dict[str, float]] = {(token,): {END: 1.0} for token in ("CALL", "fact", "other")}
    return TabularPolicy("caller", {**rows, **ends, ("fact!",): told})


def tool(turns: Sequence[Said]) -> Sequence[ToolResult] | float:
    return [ToolResult("fact!")] if turns[-1].text == "CALL" else float(turns[-1].text == "fact")


SKILLS = [((0.9, 0.95, 0.01), (0.5, 0.8, 0.01)), ((0.2, 0.3, 0.4), (0.3, 0.4, 0.2))]


@pytest.mark.parametrize(("trained", "base"), SKILLS)
def test_success_and_nats_agree_with_the_calibrations_tabular_worlds(
    trained: tuple[float, ...], base: tuple[float, ...]
) -> None:
    def population(call: float, copy: float, own: float) -> process.TabularPolicy:
        return process.TabularPolicy(*(np.array([v]) for v in (call, copy, own, own, 0.0)))

    channel = process.Channel(bits=np.array([3.0]), hit=np.array([1.0]), leak=np.array([0.0]))
    law = process.law(population(*trained), population(*base), channel, World.LIVE)
    among = courses(caller(*trained), WITH_TOOL, tool, 8)
    assert math.isclose(success(among), law.success[0])
    # There copying is a choice of its own; the text does not tell it from a lucky guess, so its nats are at most those.
    assert 0 < divergence(caller(*trained), caller(*base), among) <= law.nats[0] + 1e-12


def test_the_tilt_of_an_episode_with_a_tool_moves_every_turn() -> None:
    base = caller(0.5, 0.8, 0.1)
    found = tilt(base, WITH_TOOL, tool, 8, 0.2)
    among = courses(found.policy, WITH_TOOL, tool, 8)
    p0 = np.array([success(courses(base, WITH_TOOL, tool, 8))])
    assert math.isclose(found.success, tilted_success(p0, 5.0)[0]) and math.isclose(success(among), found.success)
    assert math.isclose(divergence(found.policy, base, among), tilt_kl(p0, 5.0)[0])
    tokens, probabilities = found.policy.row((opening(WITH_TOOL),))
    assert probabilities[tokens.index("CALL")] > 0.5


def test_running_out_of_tokens_before_another_turn_is_worth_nothing() -> None:
    [called, *_] = [c for c in courses(caller(1.0, 1.0, 0.5), WITH_TOOL, tool, 2)]
    assert called.turns == (Said("CALL", 2, True),) and called.reward == 0.0


# ------------------------------------------------------------------------------------------------------ bad tables


@pytest.mark.parametrize("row", [{}, {"a": 0.4}, {"a": 1.5, "b": -0.5}, {"": 1.0}])
def test_rows_that_are_no_distributions_are_refused(row: dict[str, float]) -> None:
    with pytest.raises(BadValue, match="sum to 1"):
        TabularPolicy("bad", {("x",): row})


def test_a_history_without_a_row_is_named() -> None:
    with pytest.raises(BadValue, match="'a'.*ends with a key"):
        courses(TabularPolicy("short", {("q",): {"a": 1.0}}), PROMPT, right(), 8)


def test_too_many_courses_ask_for_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reachlab.policies.tabular.exact.MOST_COURSES", 1000)
    wide = TabularPolicy("wide", {(): {"a": 0.5, "b": 0.5}})
    with pytest.raises(BadValue, match="or sampling"):
        courses(wide, PROMPT, right(), 20)
    with pytest.raises(BadValue, match="beta"):
        tilt(DIGITS, PROMPT, right(), 8, 0.0)
