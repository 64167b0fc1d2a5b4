"""The settings of a search, as a study's spec holds them: reading and writing them loads no torch.

Not covered: how turns are sampled: at temperature 1 over the full vocabulary, as everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from reachlab.errors import BadValue, UnknownName
from reachlab.policies.search.algorithms import ALGORITHMS, Algorithm


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How one search goes, and what it may use."""

    algorithm: Algorithm = "best-first"
    nodes: int = 32
    """Budget of one search: sampled turns, each with the environment's step that it causes."""
    width: int = 2
    """beam: states kept of each level."""
    branching: int = 4
    """Turns sampled at a state before the search moves on (beam, best-first, mcts)."""
    exploration: float = 0.25
    """mcts: weight of the bonus for what was rarely tried. UCT's proof has sqrt(2); tens of nodes cannot pay for it."""
    simulate: bool = False
    """mcts: play each new node to the end of its episode and back up what that is worth, instead of its own value."""
    verifier: bool = False
    """Choose among answers by the task's verifier. That is information no policy has: each call is counted, and
    bounds on what a policy can reach do not bind such a search."""

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise UnknownName("search algorithm", self.algorithm, ALGORITHMS)
        for name in ("nodes", "width", "branching"):
            if getattr(self, name) < 1:
                raise BadValue(f"search {name}", getattr(self, name), ">= 1")
        if not 0 <= self.exploration < math.inf:
            raise BadValue("search exploration", self.exploration, "a finite number >= 0")
