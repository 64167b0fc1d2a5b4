"""Runs many searches side by side, each within its own budget of nodes: what they ask for is sampled together.

A search ends when its nodes are used up, at an answer of value 1, or where the infrastructure failed. What it chose is
then the answer of the highest value; of these the one that was reached most often, and of these the first. Without a
heuristic and without the verifier that is the majority's answer (Wang et al. 2022, arXiv 2203.11171).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic

from reachlab.policies.search.algorithms import ALGORITHMS
from reachlab.policies.search.config import SearchConfig
from reachlab.policies.search.tree import Node, S, Tree

BEST = 1.0
"""The value of an answer that ends the search."""


@dataclass(frozen=True, slots=True)
class Found(Generic[S]):
    """What a search came to."""

    chosen: Node[S]
    """An answer; where no path came to one, the most promising node."""
    nodes: int
    """Turns that were sampled."""
    root: Node[S]


def search(tree: Tree[S], roots: Sequence[S], config: SearchConfig) -> list[Found[S]]:
    """One search from each root, in order. What one finds does not depend on the others, if ``tree`` sees to that."""
    running = [_Running(root, config) for root in roots]
    while asking := [r for r in running if r.asked]:
        sampled = iter(tree.sample([node.state for r in asking for node in r.asked]))
        for r in asking:
            r.take(list(islice(sampled, len(r.asked))))
    return [Found(choose(r.known), r.nodes, r.known[0]) for r in running]


class _Running(Generic[S]):
    """One search under way."""

    def __init__(self, root: S, config: SearchConfig) -> None:
        self.known = [Node(root)]
        self.nodes, self._budget = 0, config.nodes
        self._steps = ALGORITHMS[config.algorithm](self.known[0], config)
        self.asked: list[Node[S]] = [] if root.final else next(self._steps)[: self._budget]

    def take(self, states: Sequence[S]) -> None:
        """The states that were sampled at the nodes asked for; ask for the next ones."""
        children = [self._grow(node, state) for node, state in zip(self.asked, states, strict=True)]
        left, ended = self._budget - self.nodes, any(_ends(child.state) for child in children)
        self.asked = self._steps.send(children)[:left] if left and not ended else []

    def _grow(self, parent: Node[S], state: S) -> Node[S]:
        self.nodes += 1
        child = parent.grow(state, len(self.known))
        if child.seen == 1:
            self.known.append(child)
        return child


def _ends(state: S) -> bool:
    return state.fault or (state.answer is not None and state.value >= BEST)


def choose(nodes: Sequence[Node[S]]) -> Node[S]:
    """See the module's docstring. *nodes* begin with the root, in the order in which they were found."""
    if broken := next((node for node in nodes if node.state.fault), None):
        return broken
    answers = [node for node in nodes if node.state.answer is not None]
    votes: Counter[str | None] = Counter()
    for node in answers:
        votes[node.state.answer] += node.seen
    among = answers or [node for node in nodes[1:] if not node.state.final] or nodes[1:] or nodes
    return max(among, key=lambda node: (node.state.value, votes[node.state.answer], -node.order))
