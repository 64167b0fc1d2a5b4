"""The search algorithms: what to expand next. Generators that yield nodes, and get the child sampled at each.

==========  ==========================================================================================================
best-of-n   whole episodes one by one; the best answer is chosen. Stiennon et al. 2020 (arXiv 2009.01325) for language
            models; with the verifier, Cobbe et al. 2021 (arXiv 2110.14168)
beam        level by level, the best ``width`` of each. Lowerre 1976 (The Harpy speech recognition system); over turns
            of reasoning, Xie et al. 2023 (arXiv 2305.00633)
best-first  the most promising node first. Pearl 1984 (Heuristics, section 2.3); over an agent's environment, Koh et
            al. 2024 (arXiv 2407.01476)
mcts        UCT: Kocsis and Szepesvari 2006 (Bandit based Monte-Carlo planning, ECML). Leaves are valued by the state
            itself as in Silver et al. 2017 (Nature 550), or by simulation as in the original
==========  ==========================================================================================================

They never end by themselves: ``driver`` stops them at the budget, or at an answer that cannot be bettered. None of
them draws anything: all chance is in the turns that are sampled.
Not covered: learned value functions; a policy's probabilities as priors (PUCT), which many engines do not tell.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Literal, Protocol

from reachlab.policies.search.tree import Node

Algorithm = Literal["best-of-n", "beam", "best-first", "mcts"]
Steps = Generator[list[Node[Any]], Sequence[Node[Any]], None]
"""Yields nodes to expand (one as often as turns are to be sampled there), and is sent as many children."""


class Settings(Protocol):
    """What the algorithms read of ``SearchConfig``."""

    @property
    def width(self) -> int: ...
    @property
    def branching(self) -> int: ...
    @property
    def exploration(self) -> float: ...
    @property
    def simulate(self) -> bool: ...


class Begin(Protocol):
    """Begins a search at a root whose episode has not ended."""

    def __call__(self, root: Node[Any], settings: Settings, /) -> Steps: ...


def best_of_n(root: Node[Any], settings: Settings) -> Steps:
    """Independent episodes. A turn sampled twice at one state is one node: what follows is drawn anew."""
    while True:
        node = root
        while not node.state.final:
            (node,) = yield [node]


def beam(root: Node[Any], settings: Settings) -> Steps:
    """Beam search; it begins again at the root when the last level has ended."""
    while True:
        level = [root]
        while level:
            children = yield [node for node in level for _ in range(settings.branching)]
            alive = [child for child in dict.fromkeys(children) if not child.state.final]
            level = sorted(alive, key=lambda node: (-node.state.value, node.order))[: settings.width]


def best_first(root: Node[Any], settings: Settings) -> Steps:
    """Greedy best-first search. Ties go to the deeper node, so that a search without a heuristic comes to an answer.

    One turn at a time, so that a better child is followed at once (partial expansion: Yoshizumi et al. 2000, AAAI).
    A node that had ``branching`` turns comes after all that had fewer: more of them may find what these did not.
    """
    frontier = [(_urgency(root, settings), root)]
    while True:
        node = frontier[0][1]
        (child,) = yield [node]
        heapq.heapreplace(frontier, (_urgency(node, settings), node))
        if child.seen == 1 and not child.state.final:
            heapq.heappush(frontier, (_urgency(child, settings), child))


def _urgency(node: Node[Any], settings: Settings) -> tuple[int, float, int, int]:
    """Least first; the order of discovery makes it unique."""
    return node.drawn // settings.branching, -node.state.value, -node.depth, node.order


def mcts(root: Node[Any], settings: Settings) -> Steps:
    """Monte-Carlo tree search by UCT. A node gets ``branching`` turns before its children do, and as many again once
    all below it have had theirs: turns are samples."""
    while True:
        (node,) = yield [_leaf(root, settings)]
        while settings.simulate and not node.state.final:
            (node,) = yield [node]  # what a simulation samples is paid for, so it stays in the tree
        _back_up(node, node.state.value, settings.branching)


def _leaf(root: Node[Any], settings: Settings) -> Node[Any]:
    """Where the next turn is sampled: down the tree by the upper confidence bound. Ties go to the one found first."""
    node = root
    while node.drawn // settings.branching > root.rounds:
        open_ = [child for child in node.children.values() if child.rounds <= root.rounds]
        node = max(open_, key=lambda child: (_bound(child, settings.exploration), -child.order))
    return node


def _bound(node: Node[Any], exploration: float) -> float:
    """UCB1 (Auer, Cesa-Bianchi and Fischer 2002) of a child."""
    assert node.parent is not None
    return node.mean + exploration * math.sqrt(math.log(node.parent.visits) / node.visits)


def _back_up(leaf: Node[Any], value: float, branching: int) -> None:
    node: Node[Any] | None = leaf
    while node is not None:
        node.visits += 1
        node.total += value
        below = (child.rounds for child in node.children.values())
        node.rounds = math.inf if node.state.final else min(node.drawn // branching, *below, math.inf)
        node = node.parent


ALGORITHMS: Mapping[str, Begin] = {"best-of-n": best_of_n, "beam": beam, "best-first": best_first, "mcts": mcts}
