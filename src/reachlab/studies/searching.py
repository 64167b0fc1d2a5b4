"""Search in a family's episodes: interactions and a policy session as the tree of ``reachlab.policies.search``.

::

    episodes = search(policy, family, tasks, World.LIVE, seeds, SearchConfig("best-first", nodes=32))

A branch is a fork of the session beside an interaction restored from its log. The episode that comes out is the path
chosen; its cost is that of the *whole* tree: sampled turns (``turns`` counts the nodes), tokens, calls, verifier calls.
The prompt counts once for each turn sampled at the root, so that n episodes cost what n samples cost; what lies further
down is read once, as snapshots allow. Calls that are made again to restore a snapshot count nothing.

States are valued by what the policy sees: the family's ``progress`` (``reachlab.Heuristic``), 0 where it has none. The
verifier scores the answer that was chosen, and no other score is read, unless ``SearchConfig.verifier`` says so.
Not covered: tools whose state cannot be restored; the imagined world; spent nats (a choice has no log-probabilities).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reachlab import (
    ActRequest,
    Budget,
    Cost,
    Episode,
    Family,
    Heuristic,
    Policy,
    Session,
    StopReason,
    Task,
    TokenKind,
    Turn,
    World,
)
from reachlab.envs.core import Interaction
from reachlab.errors import BadValue
from reachlab.policies.search import Found, SearchConfig
from reachlab.policies.search import search as run
from reachlab.seeding import derive

SIDE_BY_SIDE = 32
"""Searches whose turns are sampled together: an engine keeps the caches of all their states."""


def search(
    policy: Policy,
    family: Family,
    tasks: Sequence[Task],
    world: World,
    seeds: Sequence[int],
    config: SearchConfig,
    *,
    budget: Budget | None = None,
) -> list[Episode]:
    """One search per (task, seed), in order; *budget* is that of each path. Equal seeds, equal episodes."""
    if world is World.IMAGINED:
        raise BadValue("world of a search", str(world), "one whose observations the base does not write")
    asked = [Asked(family, t, world, s, config, budget) for t, s in zip(tasks, seeds, strict=True)]
    found: list[Episode] = []
    for start in range(0, len(asked), SIDE_BY_SIDE):
        found += _side_by_side(policy, asked[start : start + SIDE_BY_SIDE], config)
    return found


def restorable(interaction: Interaction) -> Interaction:
    """The same, if it can be searched; else BadValue."""
    if interaction.unrestorable:
        allowed = "tools that keep no state across calls, or state that snapshots restore"
        raise BadValue("tools of a search", interaction.unrestorable, allowed)
    return interaction


@dataclass(eq=False)
class Asked:
    """One search: its task, and what it has used so far."""

    family: Family
    task: Task
    world: World
    seed: int
    config: SearchConfig
    budget: Budget | None
    prompt: int = 0
    """Tokens of the prompt."""
    drawn: int = 0
    """Turns sampled."""
    cost: Cost = field(default_factory=Cost)

    def interaction(self) -> Interaction:
        return Interaction(self.family, self.task, self.world, self.budget, seed=self.seed)

    def next_seed(self) -> int:
        """Of the next turn: it depends on this search alone."""
        self.drawn += 1
        return derive(self.seed, "node", self.drawn)

    def value(self, interaction: Interaction) -> float:
        if interaction.stop is StopReason.ANSWERED and self.config.verifier:
            return interaction.reward
        if not isinstance(self.family, Heuristic):
            return 0.0
        seen = [message.content for message in interaction.messages if message.role == "tool"]
        value = self.family.progress(self.task, seen)
        if not 0.0 <= value <= 1.0:
            raise BadValue(f"progress of {self.family.name}", value, "0 to 1")
        return value

    def pay(self, first: bool, kinds: np.ndarray, calls: int, verified: bool) -> None:
        """One more node: whether it was sampled at the root, its tokens, its answered calls."""
        counts, cost = np.bincount(kinds, minlength=len(TokenKind)), self.cost
        self.cost = Cost(
            prompt=cost.prompt + first * self.prompt,
            policy=cost.policy + int(counts[TokenKind.POLICY]),
            observation=cost.observation + int(counts[TokenKind.OBSERVATION] + counts[TokenKind.TEMPLATE]),
            turns=self.drawn,
            calls=cost.calls + calls,
            verifier_calls=cost.verifier_calls + verified,
        )


@dataclass(eq=False)
class Path:
    """``policies.search.State``: an episode so far. Its interaction is a record; branches get their own."""

    asked: Asked
    handle: int
    interaction: Interaction
    tokens: int
    """Of its transcript."""
    key: str = ""

    def __post_init__(self) -> None:
        self.value = self.asked.value(self.interaction)
        self.final = self.interaction.stop is not None
        self.fault = self.interaction.stop is not None and self.interaction.stop.is_fault
        answered = self.interaction.stop is StopReason.ANSWERED
        self.answer = self.interaction.messages[-1].content if answered else None


@dataclass
class Forest:
    """``policies.search.Tree`` over one session."""

    session: Session
    handles: list[int] = field(default_factory=list)
    """All that were opened."""

    def plant(self, asked: Sequence[Asked]) -> list[Path]:
        """The roots."""
        begun = [restorable(one.interaction()) for one in asked]
        handles = self.session.start([i.prompt for i in begun], [one.seed for one in asked])
        self.handles += handles
        for one, handle in zip(asked, handles, strict=True):
            one.prompt = int((self.session.transcript(handle).kinds == TokenKind.PROMPT).sum())
        return [Path(a, h, i, a.prompt) for a, h, i in zip(asked, handles, begun, strict=True)]

    def sample(self, states: Sequence[Path]) -> list[Path]:
        """See ``policies.search.Tree``."""
        handles, requests = [], []
        for path in states:
            handle = self.session.fork(path.handle, path.asked.next_seed())
            handles.append(handle)
            requests.append(ActRequest(handle, max(1, path.interaction.tokens_left)))
        self.handles += handles
        turns = dict(self.session.act(requests))
        return [self._step(path, handle, turns[handle]) for path, handle in zip(states, handles, strict=True)]

    def _step(self, path: Path, handle: int, turn: Turn) -> Path:
        """What *turn* leads to, and its bill."""
        interaction = path.asked.interaction()
        interaction.replay(path.interaction.log)
        said = (turn.text, len(turn.ids), turn.ended)
        step = interaction.abort(turn.fault) if turn.fault else interaction.step(*said)
        interaction.close()
        if interaction.stop is None:
            self.session.append(handle, step.results)
        kinds = self.session.transcript(handle).kinds
        verified = interaction.stop is StopReason.ANSWERED and path.asked.config.verifier
        path.asked.pay(not path.interaction.log, kinds[path.tokens :], len(step.results), verified)
        return Path(path.asked, handle, interaction, len(kinds), turn.text)

    def close(self) -> None:
        for handle in self.handles:
            self.session.close(handle)


def _side_by_side(policy: Policy, asked: Sequence[Asked], config: SearchConfig) -> list[Episode]:
    forest, began = Forest(policy.session()), time.monotonic()
    found = run(forest, forest.plant(asked), config)
    seconds = time.monotonic() - began
    episodes = [_episode(forest.session, one, seconds) for one in found]
    forest.close()
    return episodes


def _episode(session: Session, found: Found[Path], seconds: float) -> Episode:
    """The path chosen, at the cost of the tree. Where no answer was reached, the most promising path."""
    path = found.chosen.state
    asked, interaction = path.asked, path.interaction
    scored = path.answer is not None and not asked.config.verifier
    return Episode(
        task=asked.task.id,
        task_seed=asked.task.seed,
        split=asked.task.split,
        stratum=asked.task.stratum,
        world=interaction.world,
        seed=asked.seed,
        messages=interaction.messages,
        calls=interaction.calls,
        reward=interaction.reward,
        stop=interaction.stop or StopReason.NODES,
        detail=interaction.detail or ("" if interaction.stop else f"{found.nodes} nodes"),
        cost=replace(asked.cost, verifier_calls=asked.cost.verifier_calls + scored),
        transcript=session.transcript(path.handle),
        seconds=seconds,
    )
