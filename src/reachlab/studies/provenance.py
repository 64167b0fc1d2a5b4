"""Where an arm's live successes come from: does the answer change when the evidence does?

Command: ``reachlab provenance RUN``. Each recorded live episode is repeated with its own seed, its last tool results
replaced by those of the donor task. A success whose answer then changes is *provenance-verified*: with everything else
held fixed, the observation decided it. Counted over tasks, with 95 % limits (Gaffke's, see ``measure.intervals``).

Not covered: which earlier observation mattered in chains of several; explanations beyond the exchanged one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reachlab import SUCCESS, Arm, Episode, Estimate, FloatArray, Json, Treatment, World
from reachlab.envs.effects import results_by_turn
from reachlab.errors import BadValue, UnknownName
from reachlab.measure.intervals import bounded_mean
from reachlab.studies.context import Context, open_run
from reachlab.studies.jobs import Report, one_thread
from reachlab.studies.replay import task_of, with_donors_evidence
from reachlab.studies.sources import rows_of
from reachlab.studies.store import read_episodes


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One live episode beside its repetition with the donor's evidence."""

    episode: Episode
    repeated: Episode | None
    """None: the episode saw nothing that could be exchanged."""
    follows: bool
    """The repetition's answer is the donor's."""

    @property
    def verified(self) -> bool:
        """A success that the exchanged observation undid."""
        return self.episode.success and self.repeated is not None and self.changed

    @property
    def changed(self) -> bool:
        return self.repeated is not None and self.repeated.messages[-1].content != self.episode.messages[-1].content


@one_thread()
def provenance(root: Path, arm: str = "", report: Report = lambda done, total, running: None) -> Json:
    """Success and provenance-verified success of a live arm (the primary one) of a finished run, and how answers moved.

    Raises UnknownName and BadValue for an arm that is not live.
    """
    context = open_run(Path(root))
    chosen = _arm(context.spec.designed.arms, arm or context.primary.name)
    chunks = [(index, chunk) for index in context.runs(chosen) for chunk in range(context.spec.chunks(chosen.split))]
    found: list[Exchanged] = []
    live = 0
    for done, (index, chunk) in enumerate(chunks):
        report(done, len(chunks), chosen.name)
        episodes = [e for e in read_episodes(context.store.episodes(chosen, index, chunk)) if not e.stop.is_fault]
        live += len(episodes)
        rows = rows_of(context.family_of(chosen.split))
        for start in range(0, len(episodes), rows):
            found += exchanged(context, chosen, index, episodes[start : start + rows])
    counts = {"episodes": len(found), "faults": live - len(found)}
    return {"schema": "reachlab.provenance/1", "arm": chosen.name, **counts, **_summary(found)}


def exchanged(context: Context, arm: Arm, index: int, episodes: Sequence[Episode]) -> list[Exchanged]:
    """Each live episode with its repetition; none where that ended in a fault, which says nothing."""
    saw, family = [e for e in episodes if results_by_turn(e.messages)], context.family_of(arm.split)
    again = with_donors_evidence(context.policy(arm, index), family, saw) if saw else []
    repeated = {id(e): new for e, new in zip(saw, again, strict=True)}
    out = []
    for episode in episodes:
        new = repeated.get(id(episode))
        if new is not None and new.stop.is_fault:
            continue
        donor = family.donor(task_of(family, episode))
        out.append(Exchanged(episode, new, new is not None and donor.verify(new.messages[-1].content) >= SUCCESS))
    return out


def _arm(arms: Sequence[Arm], name: str) -> Arm:
    live = {a.name: a for a in arms if a.evaluated is World.LIVE and a.treatment is not Treatment.SEARCH}
    if name in {a.name for a in arms} - set(live):
        raise BadValue("arm", name, f"one that is evaluated live and does not search: {', '.join(live)}")
    if name not in live:
        raise UnknownName("arm", name, live)
    return live[name]


def _summary(found: Sequence[Exchanged]) -> Json:
    shares = {
        "success": lambda x: x.episode.success,
        "verified": lambda x: x.verified,
        "unmoved": lambda x: x.episode.success and not x.verified,
        "follows": lambda x: x.episode.success and x.follows,
    }
    return {name: _over_tasks(found, share).to_json() for name, share in shares.items()}


def _over_tasks(found: Sequence[Exchanged], share: Callable[[Exchanged], bool]) -> Estimate:
    """Mean over tasks of the share of episodes."""
    if not found:
        return Estimate.missing("the arm has no episodes: its training had no signal")
    tasks: dict[str, list[bool]] = {}
    for one in found:
        tasks.setdefault(one.episode.task, []).append(share(one))
    rates: FloatArray = np.array([np.mean(values) for values in tasks.values()])
    limits = bounded_mean(rates, 0.025)
    return Estimate(limits.value, (limits.low, limits.high), "sampled")
