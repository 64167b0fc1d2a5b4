"""Every way an episode of a tabular policy can go, where what a turn leads to is fixed by the turns so far.

``tilt`` is pi0 exp(r/beta) itself, token by token: a policy again, with its exact success and KL.
Not covered: environments that draw at random; more than ``MOST_COURSES`` ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reachlab import Prompt, ToolResult
from reachlab.errors import BadValue
from reachlab.policies.tabular.policy import END, History, TabularPolicy, opening

MOST_COURSES = 200_000
"""More ways for an episode to go than this are refused: sample instead."""


class Said(NamedTuple):
    """One turn: its text, its tokens (``END`` included), whether it ended before the tokens ran out."""

    text: str
    tokens: int
    ended: bool


Respond = Callable[[Sequence[Said]], "Sequence[ToolResult] | float"]
"""What the turns so far lead to: tool results, or the reward with which the episode ends."""


@dataclass(frozen=True, slots=True)
class Course:
    """One way for an episode to go."""

    choices: tuple[tuple[History, str], ...]
    """Every token, with the history that it was drawn after."""
    turns: tuple[Said, ...]
    probability: float
    reward: float


def courses(policy: TabularPolicy, prompt: Prompt, respond: Respond, tokens: int) -> list[Course]:
    """Every way that an episode of at most *tokens* policy tokens can go; the probabilities sum to 1."""
    found: list[Course] = []
    for course in _courses(policy, (opening(prompt),), respond, tokens):
        found.append(course)
        if len(found) > MOST_COURSES:
            raise BadValue("courses of an episode", f"over {MOST_COURSES}", "fewer: a smaller table, or sampling")
    return found


class _State(NamedTuple):
    history: History
    choices: tuple[tuple[History, str], ...]
    turns: tuple[Said, ...]
    begun: int
    """Tokens before the turn under way."""
    probability: float


def _courses(policy: TabularPolicy, start: History, respond: Respond, tokens: int) -> Iterator[Course]:
    open_ = [_State(start, (), (), 0, 1.0)]
    while open_:
        state = open_.pop()
        for token, p in zip(*policy.row(state.history), strict=True):
            choices = (*state.choices, (state.history, token))
            after = state._replace(
                history=(*state.history, token), choices=choices, probability=state.probability * float(p)
            )
            if token != END and len(choices) < tokens:
                open_.append(after)
                continue
            said = [t for _, t in choices[state.begun :]]
            turn = Said("".join(t for t in said if t != END), len(said), token == END)
            turns = (*state.turns, turn)
            reply = respond(turns)
            if isinstance(reply, int | float):
                yield Course(choices, turns, after.probability, float(reply))
            elif len(choices) >= tokens:
                yield Course(choices, turns, after.probability, 0.0)  # no token is left for another turn
            else:
                results = (r.text for r in reply)
                open_.append(_State((*after.history, *results), choices, turns, len(choices), after.probability))


def closed_success(policy: TabularPolicy, prompt: Prompt, answers: Sequence[str], tokens: int) -> float:
    """Probability of one turn that ends within *tokens* and is one of *answers*."""
    return success(courses(policy, prompt, lambda turns: float(turns[-1].ended and turns[-1].text in answers), tokens))


def success(among: Sequence[Course]) -> float:
    """The expected reward."""
    return math.fsum(c.probability * c.reward for c in among)


def divergence(policy: TabularPolicy, base: TabularPolicy, among: Sequence[Course]) -> float:
    """KL(policy, base) in nats of whole episodes, given the *policy*'s courses; infinite where the base has none."""
    nats = 0.0
    for course in among:
        for history, token in course.choices:
            there, here = (_probability(p, history, token) for p in (base, policy))
            nats += course.probability * (math.log(here / there) if there > 0 else math.inf)
    return nats


def _probability(policy: TabularPolicy, history: History, token: str) -> float:
    tokens, probabilities = policy.row(history)
    return float(probabilities[tokens.index(token)]) if token in tokens else 0.0


class Tilt(NamedTuple):
    """pi ∝ pi0 exp(r/beta) as a policy, with its expected reward and KL(pi, pi0) in nats."""

    policy: TabularPolicy
    success: float
    kl: float


def tilt(base: TabularPolicy, prompt: Prompt, respond: Respond, tokens: int, beta: float) -> Tilt:
    """The exact tilt after one *prompt*; after others it is the base.

    pi(a | h) = pi0(a | h) V(ha) / V(h), V(h) = E_pi0[exp(r/beta) | h], and KL = E_pi[r] / beta - log V (the soft
    Bellman recursion; Korbak et al. 2022, arXiv 2205.11275, for language models).
    """
    if not beta > 0:
        raise BadValue("beta", beta, "above 0")
    among = courses(base, prompt, respond, tokens)
    top = max(c.reward for c in among)
    weights = [c.probability * math.exp((c.reward - top) / beta) for c in among]
    rows: dict[History, dict[str, float]] = {}
    for course, weight in zip(among, weights, strict=True):
        for history, token in course.choices:
            row = rows.setdefault(history, {})
            row[token] = row.get(token, 0.0) + weight
    table = {h: {t: w / sum(row.values()) for t, w in row.items()} for h, row in rows.items() if sum(row.values()) > 0}
    z = math.fsum(weights)
    reward = math.fsum(w * c.reward for w, c in zip(weights, among, strict=True)) / z
    policy = TabularPolicy(f"{base.name} tilted by {beta:g}", {**base.table, **table})
    return Tilt(policy, reward, (reward - top) / beta - math.log(z))
