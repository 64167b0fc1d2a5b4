"""The search algorithms on trees whose truth is known: brute force, bandits, binomials."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import numpy as np
import pytest

from reachlab.errors import BadValue, UnknownName
from reachlab.measure.intervals import clopper_pearson
from reachlab.policies.search import ALGORITHMS, Algorithm, Found, SearchConfig, search
from reachlab.seeding import generator

Turns = tuple[int, ...]


@dataclass(frozen=True)
class Leaf:
    """A state of a table: the turns so far, and what the table says of them."""

    turns: Turns
    value: float
    final: bool
    answer: str | None = None
    fault: bool = False
    seed: int = 0

    @property
    def key(self) -> int | None:
        return self.turns[-1] if self.turns else None


@dataclass
class Table:
    """A tree of known states. ``turn`` says which turn the n-th sample at a state is."""

    state: Callable[[Turns, int], Leaf]
    turn: Callable[[Leaf, int], int]
    sampled: list[Leaf] = field(default_factory=list)
    """Every state that was sampled, in order."""
    counts: dict[tuple[int, Turns], int] = field(default_factory=dict)

    def sample(self, states: Sequence[Leaf]) -> list[Leaf]:
        out = []
        for at in states:
            place = self.counts.get((at.seed, at.turns), 0)
            self.counts[at.seed, at.turns] = place + 1
            out.append(self.state((*at.turns, self.turn(at, place)), at.seed))
        self.sampled += out
        return out


def run(table: Table, config: SearchConfig, seeds: Sequence[int] = (0,)) -> list[Found[Leaf]]:
    return search(table, [table.state((), seed) for seed in seeds], config)


def in_turn(width: int) -> Callable[[Leaf, int], int]:
    """Samples 0, 1, .., width - 1 and again."""
    return lambda at, place: place % width


DEPTH, WIDTH = 3, 3
EVERY = sum(WIDTH**level for level in range(1, DEPTH + 1))


def leaves(tree: int) -> dict[Turns, float]:
    """Random worths below 1, so that no answer ends a search."""
    drawn = generator(tree, "worths").uniform(0, 0.99, WIDTH**DEPTH)
    return dict(zip(itertools.product(range(WIDTH), repeat=DEPTH), drawn.tolist(), strict=True))


def worths(tree: int, informed: bool = False) -> Callable[[Turns, int], Leaf]:
    """States of a full tree; the value of an inner one is 0, or the best of the leaves below it."""
    known = leaves(tree)

    def state(turns: Turns, seed: int) -> Leaf:
        if len(turns) == DEPTH:
            return Leaf(turns, known[turns], True, str(turns), seed=seed)
        below = max(worth for path, worth in known.items() if path[: len(turns)] == turns)
        return Leaf(turns, below if informed else 0.0, False, seed=seed)

    return state


@pytest.mark.parametrize("tree", range(8))
@pytest.mark.parametrize("algorithm", ["beam", "best-first", "mcts"])
def test_with_room_for_every_node_the_best_leaf_is_found(algorithm: Any, tree: int) -> None:
    config = SearchConfig(algorithm, EVERY, width=EVERY, branching=WIDTH)
    (found,) = run(Table(worths(tree), in_turn(WIDTH)), config)
    best = max(leaves(tree).items(), key=lambda item: item[1])
    assert (found.chosen.state.turns, found.chosen.state.value) == best
    assert found.nodes == EVERY


def test_a_narrow_beam_loses_what_it_cuts() -> None:
    """Brute force says otherwise: the level's best two hide the best leaf."""
    missed = 0
    for tree in range(20):
        (found,) = run(Table(worths(tree), in_turn(WIDTH)), SearchConfig("beam", 15, width=1, branching=WIDTH))
        missed += found.chosen.state.value < max(leaves(tree).values())
    assert missed > 10


@pytest.mark.parametrize("algorithm", ["beam", "best-first"])
@pytest.mark.parametrize("tree", range(8))
def test_a_true_heuristic_is_followed(algorithm: Any, tree: int) -> None:
    """A few nodes for each level are enough, where all paths would be 27."""
    config = SearchConfig(algorithm, DEPTH * WIDTH, width=1, branching=WIDTH, exploration=0)
    (found,) = run(Table(worths(tree, informed=True), in_turn(WIDTH)), config)
    assert found.chosen.state.value == max(leaves(tree).values())


ARMS = (0.2, 0.4, 0.8)


def bandit(turns: Turns, seed: int) -> Leaf:
    """The first turn is an arm, eleven more follow; then .9 with the arm's chance, else 0."""
    if len(turns) < 12:
        return Leaf(turns, 0.0, False, seed=seed)
    won = generator(seed, "bandit", *turns).random() < ARMS[turns[0]]
    return Leaf(turns, 0.9 * won, True, "answer", seed=seed)


def test_uct_comes_to_visit_the_best_arm() -> None:
    """Kocsis and Szepesvari 2006, theorem 5: the share of visits of the best arm tends to 1."""
    shares = []
    for nodes in (200, 12000):
        table = Table(bandit, in_turn(3))
        found = run(table, SearchConfig("mcts", nodes, branching=3, exploration=0.8, simulate=True), range(8))
        visits = np.array([[child.visits for child in one.root.children.values()] for one in found])
        shares.append((visits / visits.sum(axis=1, keepdims=True)).mean(axis=0))
    assert shares[1][2] > 0.85 > shares[0][2] > max(shares[0][:2])


def test_every_simulation_is_backed_up_to_the_root() -> None:
    config = SearchConfig("mcts", 1500, branching=3, simulate=True)
    (found,) = run(Table(bandit, in_turn(3)), config)
    arms = list(found.root.children.values())
    assert sum(child.visits for child in arms) == found.root.visits >= 100
    assert sum(child.total for child in arms) == pytest.approx(found.root.total)


def coin(p: float, worth: float) -> Table:
    """One turn: with chance p the right answer, of value *worth*, else one of fifty wrong ones of value 0."""

    def turn(at: Leaf, place: int) -> int:
        rng = generator(at.seed, "coin", place)
        return 0 if rng.random() < p else int(rng.integers(1, 51))

    def state(turns: Turns, seed: int) -> Leaf:
        if not turns:
            return Leaf((), 0.0, False, seed=seed)
        return Leaf(turns, worth * (turns[0] == 0), True, str(turns[0]), seed=seed)

    return Table(state, turn)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("n", [1, 3, 8])
def test_with_a_verifier_n_answers_succeed_as_often_as_any_of_n(algorithm: Any, n: int) -> None:
    p, searches = 0.15, 3000
    found = run(coin(p, worth=1.0), SearchConfig(algorithm, n), range(searches))
    limits = clopper_pearson(sum(one.chosen.state.answer == "0" for one in found), searches, 0.0005)
    assert limits.low < 1 - (1 - p) ** n < limits.high


def test_without_values_the_majority_is_chosen() -> None:
    found = run(coin(0.3, worth=0.0), SearchConfig("best-of-n", 33), range(300))
    assert np.mean([one.chosen.state.answer == "0" for one in found]) > 0.95
    assert all(one.nodes == 33 for one in found)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("nodes", [1, 2, 7, 40])
def test_the_budget_is_used_and_never_exceeded(algorithm: Any, nodes: int) -> None:
    table = Table(worths(1), in_turn(WIDTH))
    (found,) = run(table, SearchConfig(algorithm, nodes))
    assert found.nodes == len(table.sampled) == nodes


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_an_answer_that_cannot_be_bettered_ends_the_search(algorithm: Any) -> None:
    table = coin(1.0, worth=1.0)
    (found,) = run(table, SearchConfig(algorithm, 50))
    assert found.nodes <= 4 and found.chosen.state.value == 1


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_policy_that_always_says_the_same_makes_a_chain(algorithm: Any) -> None:
    """Equal turns are one node, and every sample counts."""
    (found,) = run(Table(worths(2), lambda at, place: 1), SearchConfig(algorithm, 30))
    node, length = found.root, 0
    while node.children:
        (node,) = node.children.values()
        length += 1
    assert length == DEPTH and found.nodes == 30 and found.chosen.state.turns == (1, 1, 1)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_fault_ends_the_search_and_is_what_it_found(algorithm: Any) -> None:
    def state(turns: Turns, seed: int) -> Leaf:
        return Leaf(turns, 0.9, len(turns) == 2, "answer" if turns[-1:] == (0,) else None, fault=turns[-1:] == (1,))

    (found,) = run(Table(state, in_turn(2)), SearchConfig(algorithm, 50))
    assert found.chosen.state.fault and found.nodes < 50


def test_without_an_answer_the_most_promising_open_node_is_found() -> None:
    (found,) = run(Table(worths(3, informed=True), in_turn(WIDTH)), SearchConfig("best-first", 2))
    assert not found.chosen.state.final and len(found.chosen.state.turns) > 0


def test_an_episode_that_ended_unanswered_loses_to_any_answer() -> None:
    def state(turns: Turns, seed: int) -> Leaf:
        return Leaf(turns, 0.9 * (turns != (1,)), bool(turns), "answer" if turns == (1,) else None)

    (found,) = run(Table(state, in_turn(2)), SearchConfig("beam", 4))
    assert found.chosen.state.answer == "answer"


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_searches_side_by_side_are_those_one_by_one(algorithm: Any) -> None:
    config = SearchConfig(algorithm, 25, branching=2)
    random = lambda at, place: int(generator(at.seed, *at.turns, place).integers(WIDTH))  # noqa: E731
    together = run(Table(worths(4), random), config, range(6))
    for seed, one in enumerate(together):
        (alone,) = run(Table(worths(4), random), config, [seed])
        assert (alone.chosen.state, alone.nodes) == (one.chosen.state, one.nodes)


def test_a_root_that_has_ended_is_what_is_found() -> None:
    (found,) = search(Table(worths(0), in_turn(1)), [Leaf((), 0.0, True)], SearchConfig())
    assert found.nodes == 0 and found.chosen is found.root


def test_every_algorithm_can_be_named() -> None:
    assert set(get_args(Algorithm)) == set(ALGORITHMS)


def test_bad_settings_say_what_is_allowed() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'best-first'"):
        SearchConfig("best-frist")  # type: ignore[arg-type]
    for name in ("nodes", "width", "branching"):
        none: Any = {name: 0}
        with pytest.raises(BadValue, match=f"search {name}: got 0, allowed: >= 1"):
            SearchConfig(**none)
    with pytest.raises(BadValue, match="exploration"):
        SearchConfig(exploration=float("nan"))


def test_settings_survive_json() -> None:
    config = SearchConfig("mcts", 7, 3, 5, 0.5, True, True)
    assert SearchConfig(**json.loads(json.dumps(asdict(config)))) == config
