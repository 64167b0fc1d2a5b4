"""Tilts against exact numbers: the samplers' laws on tables, intervals on mixtures, what is said of too few draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from langchain_core.tools import BaseTool, tool
from scipy import stats

from reachlab import ActRequest, Budget, Estimate, Family, Message, Split, Task, ToolResult, Turn, World
from reachlab.envs.core import Interaction
from reachlab.errors import BadValue, UnknownName
from reachlab.measure import best_of, best_of_bound, best_of_kl, tilt_kl
from reachlab.measure import tilt as tilted_success
from reachlab.policies import tilts
from reachlab.policies.tabular import END, Respond, Said, TabularPolicy, TabularSession, courses, opening
from reachlab.policies.tabular import tilt as exact_tilt
from reachlab.policies.tabular.policy import History
from reachlab.policies.tilts import BestOf, Gibbs
from reachlab.studies.rollout import rollout
from reachlab.studies.tilting import Tilted, limits, reweigh, tilt
from reachlab.studies.tilting.limits import Draws
from reachlab.tools.hermes import Hermes

ALPHA = 1e-6
"""Of every test on samples; seeds are fixed, so that a test that passes goes on passing."""
TEXTS = {"aa": 0.02, "ab": 0.08, "ba": 0.3, "bb": 0.3, "c": 0.3}
GRADES = {"aa": 1.0, "ab": 0.75, "ba": 0.5, "bb": 0.25, "c": 0.0}


@dataclass(frozen=True)
class Grade:
    """The reward of a text by a list."""

    grades: Mapping[str, float]
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return self.grades.get(text, 0.0)


@tool
def ask() -> str:
    """Ask for the letter."""
    return "it is a"


CALL = Hermes().render("ask", {})


@dataclass(frozen=True)
class Letters:
    """Write the right letters: questions q0, q1, ... that differ in name alone."""

    grades: Mapping[str, float]
    name: str = "letters"
    version: str = "0"
    mechanism: str = "asking"
    budget: Budget = field(default=Budget(turns=3, tokens=12, calls=2))

    def task(self, split: Split, seed: int) -> Task:
        asked = (Message("user", f"q{seed}"),)
        return Task(f"letters-{seed}", asked, ("aa",), Grade(self.grades), "", (("letters", 2),), seed, split)

    def donor(self, task: Task) -> Task:
        return task

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [ask]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        return "aa"

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return "aa"

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0


ENDS: dict[History, dict[str, float]] = {(text,): {END: 1.0} for text in TEXTS}
WRITER = TabularPolicy("writer", {**ENDS, (): TEXTS})
BINARY: Family = Letters({"aa": 1.0, "ab": 1.0})
GRADED: Family = Letters(GRADES)


def run(rule: tilts.Rule, count: int, family: Family = BINARY, seed: int = 0, **how: float) -> Tilted:
    tasks = [family.task("test", 0)] * count
    p0 = np.full(count, how["p0"]) if "p0" in how else None
    seeds = list(range(seed, seed + count))
    return tilt(WRITER, family, tasks, World.CLOSED, seeds, rule, p0=p0, alpha=ALPHA)


def kept(found: Tilted) -> Counter[str]:
    return Counter(e.messages[-1].content for e in found.episodes if e is not None)


def agrees(counts: Counter[str], law: Mapping[str, float]) -> bool:
    """Chi-square at ALPHA over what the law allows; nothing else is there."""
    wanted = {text: p * counts.total() for text, p in law.items() if p * counts.total() > 1e-9}
    assert set(counts) <= set(wanted)
    return bool(stats.chisquare([counts[t] for t in wanted], list(wanted.values())).pvalue > ALPHA)


def covers(estimate: Estimate, value: float) -> bool:
    assert estimate.ci is not None
    low, high = estimate.ci
    assert low is not None and high is not None and low <= (estimate.value or 0.0) <= high
    return low <= value <= high


def response(grades: Mapping[str, float]) -> Respond:
    return lambda turns: grades.get(turns[-1].text, 0.0)


def gibbs_law(grades: Mapping[str, float], beta: float) -> dict[str, float]:
    weights = {t: p * math.exp(grades.get(t, 0.0) / beta) for t, p in TEXTS.items()}
    return {t: w / sum(weights.values()) for t, w in weights.items()}


# ------------------------------------------------------------------------------------------------------- the samplers


@pytest.mark.parametrize("family", [BINARY, GRADED], ids=["binary", "graded"])
def test_rejection_samples_the_exact_tilt(family: Letters) -> None:
    beta, prompt = 0.4, BINARY.task("test", 0).messages
    found = run(Gibbs(beta), 2000, family)
    asked = Interaction(family, family.task("test", 0), World.CLOSED).prompt
    assert asked.messages == prompt
    exact = exact_tilt(WRITER, asked, response(family.grades), 8, beta)
    law = {c.turns[0].text: c.probability for c in courses(exact.policy, asked, response({}), 8)}
    assert law == pytest.approx(gibbs_law(family.grades, beta))
    assert agrees(kept(found), law) and not agrees(kept(found), TEXTS)
    assert covers(found.success, exact.success) and covers(found.kl, exact.kl)
    accepted = sum(p * math.exp((family.grades.get(t, 0.0) - 1) / beta) for t, p in TEXTS.items())
    spread = math.sqrt(1 - accepted) / accepted / math.sqrt(2000)
    assert abs(found.draws.mean() - 1 / accepted) < 5 * spread
    assert abs((found.kl.value or 0.0) - exact.kl) < 0.1 and not found.warnings


def test_the_harmonic_number_of_the_draws_is_unbiased() -> None:
    """Mean over 200,000 geometric waits against -log q."""
    rng = np.random.default_rng(0)
    for q in (0.02, 0.3, 0.9):
        waits = rng.geometric(q, 200_000)
        drawn = [Draws((0.0,) * (int(n) - 1) + (1.0,), 0, int(n) - 1) for n in waits[:20_000]]
        found = limits.divergence(drawn, Gibbs(0.2), 0.025, None)
        sums = np.array([sum(1 / j for j in range(1, int(n))) for n in waits[:20_000]])
        assert abs(sums.mean() + math.log(q)) < 5 * sums.std() / math.sqrt(20_000)
        assert math.isclose(found.value or 0.0, min(sums.mean(), tilts.most_gibbs_nats(0.2)), rel_tol=1e-9)


def test_resampling_of_many_draws_comes_to_the_tilt_and_of_few_falls_short_as_computed() -> None:
    beta, few = 0.5, 2
    many = run(Gibbs(beta, "resampling", 100), 300)
    assert agrees(kept(many), gibbs_law(GRADES | dict.fromkeys(GRADES, 0.0) | {"aa": 1.0, "ab": 1.0}, beta))
    assert covers(many.success, tilted_success(np.array([0.1]), 2.0)[0])
    assert covers(many.kl, tilt_kl(np.array([0.1]), 2.0)[0])
    pair, e = run(Gibbs(beta, "resampling", few), 2000), math.exp(2.0)
    shares = [math.comb(few, c) * 0.1**c * 0.9 ** (few - c) * c * e / (c * e + few - c) for c in range(few + 1)]
    hits = sum(n for text, n in kept(pair).items() if text in ("aa", "ab"))
    assert stats.binomtest(hits, 2000, sum(shares)).pvalue > ALPHA
    assert sum(shares) < tilted_success(np.array([0.1]), 2.0)[0] - 0.1
    assert covers(pair.success, tilted_success(np.array([0.1]), 2.0)[0])


@pytest.mark.parametrize("n", [1, 3, 8])
def test_best_of_n_keeps_a_success_if_there_is_one_and_looks_at_nothing_else(n: int) -> None:
    found = run(BestOf(n), 1500)
    p0 = np.array([0.1])
    p = float(best_of(p0, n)[0])
    law = {t: (p / 0.1 if t in ("aa", "ab") else (1 - p) / 0.9) * q for t, q in TEXTS.items()}
    assert agrees(kept(found), law)
    assert covers(found.success, p) and covers(found.kl, float(best_of_kl(p0, n)[0]))
    assert found.most_kl.value == best_of_bound(n) and found.most_kl.kind == "bound"
    assert (found.draws == n).all() and found.cost.verifier_calls == 1500 * n


def test_best_of_n_of_graded_rewards_is_bounded() -> None:
    found = run(BestOf(4), 200, GRADED)
    assert (found.kl.kind, found.kl.value) == ("bound", best_of_bound(4))
    assert found.kl.ci == (0.0, best_of_bound(4))
    below = np.cumsum([TEXTS[t] for t in ("c", "bb", "ba", "ab", "aa")])
    law = np.diff(np.concatenate([[0.0], below**4]))
    exact = float((law * np.log(law / np.array([TEXTS[t] for t in ("c", "bb", "ba", "ab", "aa")]))).sum())
    assert exact < best_of_bound(4)  # the bound holds where it can be computed


def test_with_p0_the_numbers_are_exact() -> None:
    for rule in (Gibbs(0.3), Gibbs(0.3, "resampling", 8), BestOf(5)):
        found = run(rule, 40, p0=0.1)
        gibbs, p0 = isinstance(rule, Gibbs), np.array([0.1])
        assert found.kl.kind == "exact" and found.exact.kind == "exact"
        assert found.kl.value == pytest.approx(float((tilt_kl(p0, 1 / 0.3) if gibbs else best_of_kl(p0, 5))[0]))
        assert found.exact.value == pytest.approx(float((tilted_success(p0, 1 / 0.3) if gibbs else best_of(p0, 5))[0]))
    assert run(BestOf(5), 40).exact.value is None


def test_a_tilt_over_turns_with_a_tool_is_the_exact_tilt_of_whole_episodes() -> None:
    beta, task = 0.25, BINARY.task("test", 0)
    asked = Interaction(BINARY, task, World.LIVE).prompt
    table: dict[History, dict[str, float]] = {(t,): {END: 1.0} for t in (CALL, "aa", "c")}
    table |= {(): {"c": 1.0}, (opening(asked),): {CALL: 0.3, "aa": 0.05, "c": 0.65}}
    policy = TabularPolicy("asker", table | {("it is a",): {"aa": 0.6, "c": 0.2, CALL: 0.2}})

    def respond(turns: Sequence[Said]) -> Sequence[ToolResult] | float:
        interaction = Interaction(BINARY, task, World.LIVE)
        for turn in turns:
            interaction.step(*turn)
        return interaction.last.results if interaction.stop is None else interaction.reward

    exact = exact_tilt(policy, asked, respond, BINARY.budget.tokens, beta)
    law: dict[str, float] = {}
    for course in courses(exact.policy, asked, respond, BINARY.budget.tokens):
        law["|".join(t.text for t in course.turns)] = course.probability
    found = tilt(policy, BINARY, [task] * 1000, World.LIVE, list(range(1000)), Gibbs(beta), alpha=ALPHA)
    said = Counter("|".join(m.content for m in e.messages if m.role == "assistant") for e in found.episodes if e)
    assert agrees(said, law) and len(law) > 4
    assert covers(found.success, exact.success) and covers(found.kl, exact.kl)
    assert found.cost.calls > sum(e.cost.calls for e in rollout(policy, BINARY, [task] * 1000, World.LIVE, range(1000)))


# ------------------------------------------------------------------------------------------ seeds, costs, what is kept


@pytest.mark.parametrize("rule", [Gibbs(0.3), Gibbs(0.3, "resampling", 12), BestOf(12)], ids=lambda r: r.name)
def test_what_is_kept_depends_on_its_own_seed_and_is_billed_all_draws(rule: tilts.Rule) -> None:
    found, again = run(rule, 60), run(rule, 60)
    assert [e and (e.messages, e.cost) for e in found.episodes] == [e and (e.messages, e.cost) for e in again.episodes]
    alone = run(rule, 1, seed=17)
    one, same = found.episodes[17], alone.episodes[0]
    assert one is not None and same is not None
    assert (one.messages, one.seed, one.cost, found.draws[17]) == (same.messages, same.seed, same.cost, alone.draws[0])
    assert one.cost.verifier_calls == found.draws[17] and one.cost.policy == 2 * found.draws[17]
    assert found.cost.tokens == sum(e.cost.tokens for e in found.episodes if e)
    task = BINARY.task("test", 0)
    [replayed] = rollout(WRITER, BINARY, [task], World.CLOSED, [one.seed])
    assert replayed.messages == one.messages and replayed.reward == one.reward


@pytest.mark.parametrize("rule", [Gibbs(0.4, draws=8), Gibbs(0.4, "resampling", 8), BestOf(8)], ids=lambda r: r.name)
def test_episodes_that_are_there_already_can_be_tilted(rule: tilts.Rule) -> None:
    tasks = [BINARY.task("test", 0)] * 600 * 8
    episodes = rollout(WRITER, BINARY, tasks, World.CLOSED, list(range(len(tasks))))
    groups = [episodes[i : i + 8] for i in range(0, len(episodes), 8)]
    found, p0 = reweigh(groups, rule, alpha=ALPHA), np.array([0.1])
    binary = isinstance(rule, BestOf)
    assert covers(found.kl, float((best_of_kl(p0, 8) if binary else tilt_kl(p0, 2.5))[0]))
    assert covers(found.success, float((best_of(p0, 8) if binary else tilted_success(p0, 2.5))[0]))
    for episode, group in zip(found.episodes, groups, strict=True):
        assert episode is None or episode.seed in {e.seed for e in group}
    assert (found.draws <= 8).all() and found.cost.verifier_calls == found.draws.sum()
    with pytest.raises(BadValue, match="8 episodes each"):
        reweigh([*groups, episodes[:3]], rule)


# ------------------------------------------------------------------------------------------------ intervals, envelopes


def drawn_from(p0: np.ndarray, rule: tilts.Rule, rng: np.random.Generator) -> list[Draws]:
    """Rewards of 0 and 1 as the samplers draw them, without episodes."""
    found = []
    for p in p0:
        if isinstance(rule, Gibbs) and rule.sampler == "rejection":
            rewards = (rng.random(rule.draws) < p).astype(float)
            taken = np.flatnonzero(rng.random(rule.draws) < np.exp((rewards - 1) / rule.beta))
            count = int(taken[0]) + 1 if taken.size else rule.draws
            found.append(Draws(tuple(rewards[:count]), 0, count - 1 if taken.size else None))
        else:
            rewards = (rng.random(rule.draws) < p).astype(float)
            found.append(Draws(tuple(rewards), 0, tilts.keep(rewards.tolist(), rule, rng)))
    return found


RESAMPLED = [Gibbs(0.2, "resampling", 16), Gibbs(1.0, "resampling", 4)]
RULES = [Gibbs(0.2), Gibbs(0.2, draws=40), *RESAMPLED, BestOf(4), BestOf(64)]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.name}-{r.draws}")
def test_intervals_cover_where_tasks_are_unlike(rule: tilts.Rule) -> None:
    rng = np.random.default_rng(1)
    levels, missed, count = np.array([0.9, 0.3, 0.05, 0.002, 0.0]), [0, 0], 120
    lam = 1 / rule.beta if isinstance(rule, Gibbs) else 0.0
    for _ in range(count):
        p0 = rng.choice(levels, 60)
        drawn = drawn_from(p0, rule, rng)
        nats = (tilt_kl(p0, lam) if isinstance(rule, Gibbs) else best_of_kl(p0, rule.draws)).mean()
        reached = (tilted_success(p0, lam) if isinstance(rule, Gibbs) else best_of(p0, rule.draws)).mean()
        missed[0] += not covers(limits.divergence(drawn, rule, 0.025, None), float(nats))
        missed[1] += not covers(limits.success(drawn, rule, 0.025), float(reached))
    assert all(stats.binomtest(m, count, 0.05, "greater").pvalue > 1e-4 for m in missed), missed


def test_no_mixture_is_above_the_envelope() -> None:
    rng = np.random.default_rng(2)
    for n in (2, 8, 200):
        for _ in range(30):
            p = rng.random(5) ** rng.integers(1, 12)
            weights = rng.dirichlet(np.ones(5))
            mean = float(weights @ p)
            top = limits.envelope(lambda q, n=n: best_of_kl(q, n), mean, mean)  # type: ignore[misc]
            assert float(weights @ best_of_kl(p, n)) <= top <= 1.001 * best_of_bound(n)
    straight = limits.envelope(lambda q: q, 0.2, 0.4)
    assert straight == pytest.approx(0.4, rel=2 * limits.SLACK)


@pytest.mark.parametrize("beta", [0.05, 0.3, 2.0])
def test_what_no_base_exceeds_is_reached_by_one(beta: float) -> None:
    p0 = np.concatenate([np.logspace(-12, -3, 2000), np.linspace(0.001, 0.999, 20_000)])
    assert tilt_kl(p0, 1 / beta).max() == pytest.approx(tilts.most_gibbs_nats(beta), rel=1e-4)
    e = np.exp((np.array([[1.0], [0.0]]) - 1) / beta)
    shares = (p0 * e[0] + (1 - p0) * e[1]) ** 2 / (p0 * e[0] ** 2 + (1 - p0) * e[1] ** 2)
    assert shares.min() == pytest.approx(tilts.least_effective_share(beta), rel=1e-3)
    rng = np.random.default_rng(3)
    for _ in range(200):  # graded rewards spend no more
        law, r = rng.dirichlet(np.full(4, 0.3)), rng.random(4)
        w = law * np.exp((r - 1) / beta)
        nats = float(w @ (r - 1) / w.sum() / beta - math.log(w.sum()))
        assert nats <= tilts.most_gibbs_nats(beta) + 1e-9


# --------------------------------------------------------------------------------------------- what is said of little


def test_too_few_effective_draws_are_said_with_how_many_would_do() -> None:
    found = run(Gibbs(0.2, "resampling", 32), 100)
    assert found.effective is not None and found.effective.shape == (100,)
    few, alike = found.warnings
    assert "effective draws" in few and "draws would do" in few
    assert "all rewards alike" in alike
    enough = int(alike.split("; ")[1].split()[0].replace(",", ""))
    assert enough == math.ceil(16 * math.cosh(2.5) ** 2)
    assert not run(Gibbs(0.2, "resampling", enough), 5).warnings
    assert not run(Gibbs(5.0, "resampling", 32), 20).warnings  # a mild tilt: all draws count


def test_episodes_without_an_accepted_draw_are_counted_both_ways() -> None:
    found = run(Gibbs(0.1, draws=10), 100)
    lost = sum(e is None for e in found.episodes)
    assert 10 < lost < 90 and "exp(1/beta) = 2.2e+04" in found.warnings[0]
    assert f"{lost} of 100" in found.warnings[0] and f"{lost} of 100" in found.kl.reason
    assert covers(found.success, float(tilted_success(np.array([0.1]), 10.0)[0]))
    assert covers(found.kl, float(tilt_kl(np.array([0.1]), 10.0)[0]))
    assert run(Gibbs(0.01, draws=1), 3, Letters({})).success.value is None


class Faulty(TabularSession):
    """One turn in four is a fault."""

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        for handle, turn in super().act(requests):
            yield handle, replace(turn, fault="the engine failed") if self._pasts[handle].seed % 4 == 0 else turn


@dataclass(frozen=True)
class FaultyPolicy:
    name: str = "faulty"

    def session(self) -> Faulty:
        return Faulty(WRITER)


@pytest.mark.parametrize("rule", [Gibbs(0.4), Gibbs(0.4, "resampling", 8), BestOf(8)], ids=lambda r: r.name)
def test_faults_are_paid_for_counted_and_never_kept(rule: tilts.Rule) -> None:
    tasks = [BINARY.task("test", 0)] * 200
    found = tilt(FaultyPolicy(), BINARY, tasks, World.CLOSED, list(range(200)), rule)
    assert found.faults > 50 and f"{found.faults} draws were faults" in found.warnings[0]
    assert not any(e.stop.is_fault for e in found.episodes if e)
    assert found.cost.policy == 2 * found.draws.sum()
    clean = tilt(WRITER, BINARY, tasks, World.CLOSED, list(range(200)), rule)
    assert found.kl.ci is not None and clean.kl.ci is not None
    assert covers(found.kl, clean.kl.value or 0.0)


def test_a_limit_above_counts_faults_as_successes() -> None:
    lost, won = [Draws((0.0,) * 6, 2, 0)] * 50, [Draws((0.0,) * 6 + (1.0, 1.0), 0, 0)] * 50
    for rule in (Gibbs(0.4, "resampling", 8), BestOf(8)):
        tops = [(limits.divergence(drawn, rule, 0.025, None).ci or (0, 0))[1] for drawn in (lost, won)]
        assert tops[0] is not None and tops[1] is not None and tops[0] >= tops[1] > 0


def test_bad_values_are_refused() -> None:
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(BadValue, match="beta"):
            Gibbs(bad)
    with pytest.raises(UnknownName, match="Did you mean 'rejection'"):
        Gibbs(1.0, "rejecton")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="at least 1"):
        BestOf(0)
    with pytest.raises(BadValue, match="one per task"):
        tilt(WRITER, BINARY, [BINARY.task("test", 0)], World.CLOSED, [0], BestOf(2), p0=np.array([0.1, 0.2]))
    with pytest.raises(BadValue, match="graded"):
        run(BestOf(2), 40, GRADED, p0=0.1)
    with pytest.raises(BadValue, match="known bound"):
        tilts.accepts(1.5, 1.0, 0.5)
    with pytest.raises(BadValue, match="at least one"):
        tilt(WRITER, BINARY, [], World.CLOSED, [], BestOf(2))
