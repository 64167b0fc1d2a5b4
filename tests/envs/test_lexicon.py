"""Lexicon keeps its word: the optimum, the bound, fresh facts, donors, splits."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from reachlab import Family, StopReason, World
from reachlab.envs import Interaction
from reachlab.envs.information import play
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue, UnknownName


def test_it_is_a_family() -> None:
    assert isinstance(Lexicon(), Family)


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
@pytest.mark.parametrize("verifier", ["exact", "last-number"])
def test_the_scripted_solution_reaches_the_optimum_under_the_default_budget(hops: int, verifier: str) -> None:
    family = Lexicon(hops=(hops,), entities=16, verifier=verifier)
    for seed in range(100):
        task = family.task("test", seed)
        episode = play(family, task, World.LIVE)
        assert episode.reward == family.optimum(task) == 1.0
        assert episode.cost.calls == hops and episode.cost.turns == hops + 1


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("top_k", [2, 3])
def test_the_scripted_solution_reads_the_best_of_several_hits(hops: int, top_k: int) -> None:
    family, several = Lexicon(hops=(hops,), entities=16, top_k=top_k), 0
    for seed in range(60):
        episode = play(family, family.task("test", seed), World.LIVE)
        assert episode.reward == 1.0
        several += any("\n" in m.content for m in episode.messages if m.role == "tool")
    assert several == 60


@pytest.mark.parametrize("hops", [1, 4])
def test_the_scripted_solution_fails_without_information(hops: int) -> None:
    family = Lexicon(digits=(4,), hops=(hops,), entities=16)
    tasks = [family.task("test", seed) for seed in range(100)]
    shuffled = [play(family, task, World.SHUFFLED) for task in tasks]
    assert sum(e.reward for e in shuffled) <= 1
    assert all(e.stop is StopReason.ANSWERED for e in shuffled)


def test_a_shuffled_call_gets_the_donors_fact() -> None:
    family = Lexicon(digits=(5,), entities=8)
    for seed in range(16):
        task = family.task("test", seed)
        donor = family.donor(task)
        assert donor.messages == task.messages and donor.difficulty == task.difficulty
        (result,) = Interaction(family, task, World.SHUFFLED).step(family.solution(task, [])).results
        assert donor.answers[0] in result.text
    assert sum(family.donor(t).answers != t.answers for t in (family.task("test", s) for s in range(100))) > 95


@pytest.mark.parametrize("digits", [1, 2])
def test_the_guesser_stays_within_the_bound(digits: int) -> None:
    family, rng, hits, n = Lexicon(digits=(digits,)), np.random.default_rng(0), 0, 6000
    for seed in range(n):
        task = family.task("test", seed % 600)
        hits += int(task.verify(family.guess(task, rng)))
    bound = family.p0_bound(family.task("test", 0))
    assert bound == pytest.approx(10.0**-digits)
    assert binomtest(hits, n, bound).pvalue > 1e-4  # the guesser is ideal: it meets the bound, and no more


def test_the_oracle_world_states_the_answer() -> None:
    family = Lexicon(digits=(4, 5), hops=(1, 2, 3, 4), entities=16)
    for seed in range(40):
        task = family.task("test", seed)
        episode = Interaction(family, task, World.ORACLE)
        assert task.answers[0] in episode.prompt.messages[-1].content
        assert task.answers[0] not in task.messages[-1].content
        assert episode.step(task.answers[0]).reward == 1.0


def test_splits_share_no_name_and_salts_share_no_fact() -> None:
    family = Lexicon(entities=8)
    train = {family.task("train", s).messages for s in range(400)}
    assert not train & {family.task("test", s).messages for s in range(400)}
    salted = Lexicon(entities=8, salt=1)
    same = sum(salted.task("test", s) == family.task("test", s) for s in range(40))
    assert same == 0


def test_a_task_is_fixed_by_split_and_seed() -> None:
    assert Lexicon().task("test", 17) == Lexicon().task("test", 17)
    strata = {Lexicon(hops=(1, 2)).task("test", s).stratum for s in range(40)}
    assert len(strata) == 10


def test_an_exact_verifier_accepts_the_answer_and_nothing_else() -> None:
    task = Lexicon().task("test", 3)
    answer = task.answers[0]
    assert task.verifier.exact and task.verify(answer) == 1.0
    assert not any(task.verify(text) for text in (f" {answer}", f"{answer}.", f"0{answer}", answer[:-1], ""))


@pytest.mark.parametrize(
    "dials",
    [
        *({"digits": bad} for bad in ((0,), (), 7, "4", "abc", (True,), (1.5,), None, {"a": 1}, 4.0, (None,))),
        *({"hops": bad} for bad in ((5,), (), 0, "1", False, [[1]])),
        *({"entities": bad} for bad in (3, 10**6, "abc", 8.0, None, [8])),
        *({"top_k": bad} for bad in (0, -1, "1", 1.5, True, None)),
        *({"salt": bad} for bad in ("a", 0.5, None)),
        *({name: bad} for name in ("verifier", "name", "version", "mechanism") for bad in (1, None, ["exact"])),
    ],
    ids=str,
)
def test_bad_dials_are_refused(dials: dict[str, object]) -> None:
    (name,) = dials
    with pytest.raises(BadValue, match=f"^{name}: got .*allowed: "):
        Lexicon(**dials)  # type: ignore[arg-type]


def test_one_number_stands_for_itself_and_numpy_numbers_become_plain() -> None:
    single: Any = {"digits": 4, "hops": np.int64(2), "entities": np.int64(8)}
    assert Lexicon(**single) == Lexicon(digits=(4,), hops=(2,), entities=8)
    assert all(type(n) is int for n in (Lexicon(**single).hops[0], Lexicon(**single).entities))


def test_an_unknown_verifier_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'exact'"):
        Lexicon(verifier="exakt")
