"""What is searched: a tree whose edges are sampled turns, and what the algorithms know of its nodes.

Not covered: where states come from (``reachlab.studies.searching`` makes them of interactions and sessions).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class State(Protocol):
    """A point of an episode. Its value may rest on what the policy sees, or on a verifier that is declared."""

    @property
    def key(self) -> Hashable:
        """The turn that led here: equal turns at one state lead to the same state."""
        ...

    @property
    def value(self) -> float:
        """In [0, 1]: how promising it is; 1 of an answer: there is nothing better to find."""
        ...

    @property
    def final(self) -> bool:
        """The episode has ended here."""
        ...

    @property
    def answer(self) -> str | None:
        """What was answered; None before the end, and where the episode ended otherwise."""
        ...

    @property
    def fault(self) -> bool:
        """The infrastructure failed here."""
        ...


S = TypeVar("S", bound=State)


class Tree(Protocol[S]):
    """The environment and the policy together."""

    def sample(self, states: Sequence[S]) -> list[S]:
        """What one turn leads to at each of *states*, in order. A state that stands several times is sampled anew
        each time. Sampled together, so that an engine can batch what many searches ask for."""
        ...


@dataclass(eq=False, slots=True)
class Node(Generic[S]):
    """A state and its place in the tree."""

    state: S
    parent: Node[S] | None = None
    order: int = 0
    """In which it was found; 0 is the root."""
    depth: int = 0
    children: dict[Hashable, Node[S]] = field(default_factory=dict)
    """The different ones, by the turn that led there."""
    drawn: int = 0
    """Turns sampled here, equal ones too."""
    seen: int = 1
    """How often it was sampled."""
    visits: int = 0
    """mcts: how many values were backed up through it."""
    total: float = 0.0
    """mcts: their sum."""
    rounds: float = 0
    """mcts: how often this node and all below it had their share of turns."""

    @property
    def mean(self) -> float:
        return self.total / self.visits

    def grow(self, state: S, order: int) -> Node[S]:
        """The child that a sampled turn led to; the one that is there already if the turn is not new."""
        self.drawn += 1
        known = self.children.get(state.key)
        if known is not None:
            known.seen += 1
            return known
        child = self.children[state.key] = Node(state, self, order, self.depth + 1)
        return child
