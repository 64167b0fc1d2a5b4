"""Recorded episodes again: bit for bit with the tool results they had, or with one of them changed.

``replay_run`` repeats every episode of a run offline: the policy samples with the recorded seed, tools answer from the
record, and ids, log-probabilities, reward and stop reason must come out the same. Command: ``reachlab replay RUN``.
``with_donors_evidence`` repeats an episode with its last results replaced by the donor's (DESIGN 2, shuffled): where
the answer changes, it came from what was observed.

Not covered: policies that cannot repeat themselves from a seed; tools of the imagined world (the base writes those
results again, from its own seed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reachlab import Arm, Episode, Family, Imaginer, Policy, Task, ToolCall, ToolResult, Treatment, World
from reachlab.envs.core import Interaction
from reachlab.envs.effects import Edit, Replayed, results_by_turn
from reachlab.errors import BadValue, UnknownName
from reachlab.studies.context import Context, open_run
from reachlab.studies.jobs import Report, one_thread
from reachlab.studies.rollout import drive
from reachlab.studies.sources import rows_of
from reachlab.studies.store import read_episodes


@dataclass(frozen=True, slots=True)
class Difference:
    """An episode that did not repeat itself."""

    arm: str
    task: str
    seed: int
    what: str
    """The first of ids, logprobs, messages, reward, stop that differs."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What a replay found."""

    episodes: int
    differences: tuple[Difference, ...]
    skipped: int
    """Faults: what broke then need not break again; searches: only the path that was chosen is on record."""


def again(
    policy: Policy,
    family: Family,
    episodes: Sequence[Episode],
    edits: Sequence[Edit | None] | None = None,
    imaginer: Imaginer | None = None,
) -> list[Episode]:
    """The episodes with the same policy, seeds and tool results; *edits* change results, one function an episode."""
    interactions = []
    for episode, edit in zip(episodes, edits or [None] * len(episodes), strict=True):
        task = task_of(family, episode)
        replayed = Replayed(task, episode.messages, edit)
        interactions.append(Interaction(family, task, episode.world, seed=episode.seed, effects=replayed))
    return drive(policy, interactions, [e.seed for e in episodes], imaginer)


def task_of(family: Family, episode: Episode) -> Task:
    """The task of a recorded episode. Raises BadValue if the family no longer makes it."""
    task = family.task(episode.split, episode.task_seed)
    if task.id != episode.task:
        raise BadValue("recorded task", episode.task, f"{task.id!r}, which this family makes of its seed")
    return task


@one_thread()
def replay_run(root: Path, arm: str = "", report: Report = lambda done, total, running: None) -> Repeated:
    """Every recorded episode of a run, or of one arm (a name as in the report), again."""
    context = open_run(Path(root))
    arms = {a.name: a for a in context.spec.designed.arms}
    if arm and arm not in arms:
        raise UnknownName("arm", arm, arms)
    chosen = [arms[arm]] if arm else list(arms.values())
    chunks = [(a, i, c) for a in chosen for i in context.runs(a) for c in range(context.spec.chunks(a.split))]
    found = []
    for done, (one, index, chunk) in enumerate(chunks):
        report(done, len(chunks), one.name)
        found.append(_replay_chunk(context, one, index, chunk))
    return Repeated(
        sum(r.episodes for r in found),
        tuple(d for r in found for d in r.differences),
        sum(r.skipped for r in found),
    )


def _replay_chunk(context: Context, arm: Arm, index: int, chunk: int) -> Repeated:
    recorded = read_episodes(context.store.episodes(arm, index, chunk))
    if not recorded:
        return Repeated(0, (), 0)  # an arm without signal
    if arm.treatment is Treatment.SEARCH:
        return Repeated(len(recorded), (), len(recorded))
    policy, family = context.policy(arm, index), context.family_of(arm.split)
    differences, skipped = list[Difference](), 0
    rows = rows_of(family)
    for start in range(0, len(recorded), rows):  # as they were sampled: together, so that padding is the same
        part = recorded[start : start + rows]
        for old, new in zip(part, again(policy, family, part, imaginer=context.imaginer()), strict=True):
            if old.stop.is_fault:
                skipped += 1
            elif what := difference(old, new):
                differences.append(Difference(arm.name, old.task, old.seed, what))
    return Repeated(len(recorded), tuple(differences), skipped)


def difference(old: Episode, new: Episode) -> str:
    """The first thing in which two episodes differ, or the empty string. Log-probabilities as they are stored."""
    if not np.array_equal(old.transcript.ids, new.transcript.ids):
        return "ids"
    if not np.array_equal(np.float32(old.transcript.logprobs), np.float32(new.transcript.logprobs)):
        return "logprobs"
    same = {"messages": old.messages == new.messages, "reward": old.reward == new.reward, "stop": old.stop == new.stop}
    return next((name for name, equal in same.items() if not equal), "")


def with_donors_evidence(policy: Policy, family: Family, episodes: Sequence[Episode]) -> list[Episode]:
    """Live episodes again, the results of the last turn with calls being what the shuffled world gives for them."""
    edits: list[Edit | None] = [_swap(family, episode) for episode in episodes]
    return again(policy, family, episodes, edits)


def _swap(family: Family, episode: Episode) -> Edit:
    if episode.world is not World.LIVE:
        raise BadValue("world of the episode", str(episode.world), "live: only there is evidence to exchange")
    last = len(results_by_turn(episode.messages)) - 1

    def edit(place: int, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> Sequence[ToolResult]:
        return _of_donor(family, episode, place) if place == last else results

    return edit


def _of_donor(family: Family, episode: Episode, place: int) -> Sequence[ToolResult]:
    """The results of turn *place* if the episode's turns are played in the shuffled world."""
    shuffled = Interaction(family, task_of(family, episode), World.SHUFFLED, seed=episode.seed)
    turns = [m.content for m in episode.messages if m.role == "assistant"]
    try:
        answered = [step.results for step in map(shuffled.step, turns[: place + 1]) if step.results]
    finally:
        shuffled.close()
    if len(answered) <= place:
        raise BadValue("turns of the episode", turns, f"turns that the shuffled world answers too; {shuffled.detail}")
    return answered[place]
