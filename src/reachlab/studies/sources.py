"""Where each treatment's transcripts and weights come from: the only thing that tells the treatments apart.

========== ============================================ =======
treatment  transcripts                                  weight
========== ============================================ =======
rl         its own episodes, fresh for each update      advantage of the verified reward
rl-random  the same                                     advantage of a fair coin
sft        gold answers, or scripted optimal episodes   1
rft        the base's own verified samples              1
rft-search the verified ones of what its searches chose 1
distil     closed transcripts of answers found live     1
========== ============================================ =======

Not covered: off-policy or replayed episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from reachlab import Episode, Family, Policy, Task, Transcript, Treatment, World
from reachlab.envs.core import Interaction
from reachlab.errors import BadValue
from reachlab.policies.advantages import advantages, mixed
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.seeding import derive, generator
from reachlab.studies.context import Context
from reachlab.studies.matching import LONGEST, NOTHING, Bill, bill_of, owed
from reachlab.studies.rollout import rollout
from reachlab.studies.searching import search

ROWS, ROW_TOKENS = 256, 32_768
"""Episodes sampled at a time, and the tokens that their budgets may add up to: past this a tiny model's cache no longer
fits the processor's, and the caches of long episodes take gigabytes."""


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """What one update learns from; no transcripts: nothing to learn in this step."""

    transcripts: Sequence[Transcript]
    weights: Sequence[float]
    episodes: Sequence[Episode] = ()
    """The fresh episodes behind it, for metrics."""


class Source(Protocol):
    """Yields the batch of each training step. Deterministic in (step, policy)."""

    spent: Bill
    """What was sampled to make the data before the first step."""
    nothing: str
    """Why there was nothing to learn from, if there never was."""

    def batch(self, step: int, policy: HuggingFacePolicy) -> TrainingBatch: ...


@dataclass
class OnPolicy:
    """rl and rl-random."""

    context: Context
    world: World
    seed: int
    random_reward: bool
    spent: Bill = NOTHING
    nothing: str = "no update: no group of episodes held both successes and failures"

    def batch(self, step: int, policy: HuggingFacePolicy) -> TrainingBatch:
        sizes, tasks = self.context.spec.profile, self.context.pool
        chosen = [tasks[i] for i in _deal(len(tasks), sizes.groups, step, self.seed)]
        repeated = [task for task in chosen for _ in range(sizes.group_size)]
        seeds = [derive(self.seed, "train-episode", step, i) for i in range(len(repeated))]
        episodes = sample(self.context, policy, repeated, self.world, seeds)
        rewards = np.array([np.nan if e.stop.is_fault else e.reward for e in episodes])
        if self.random_reward:
            coin = generator(self.seed, "random-reward", step).integers(2, size=len(rewards)).astype(float)
            rewards = np.where(np.isnan(rewards), rewards, coin)
        grouped = rewards.reshape(sizes.groups, sizes.group_size)
        if mixed(grouped) == 0:
            return TrainingBatch((), (), episodes)
        weights = advantages(grouped).ravel()
        kept = [i for i in range(len(episodes)) if not np.isnan(rewards[i])]
        return TrainingBatch([episodes[i].transcript for i in kept], [float(weights[i]) for i in kept], episodes)


@dataclass
class Given:
    """sft, rft and distil: a fixed set of transcripts, in a new order each time round."""

    transcripts: Sequence[Transcript]
    seed: int
    size: int
    spent: Bill = NOTHING
    nothing: str = "no data"

    def batch(self, step: int, policy: HuggingFacePolicy) -> TrainingBatch:
        if not self.transcripts:
            return TrainingBatch((), ())
        chosen = [self.transcripts[i] for i in _deal(len(self.transcripts), self.size, step, self.seed)]
        return TrainingBatch(chosen, [1.0] * len(chosen))


def source_of(context: Context, treatment: Treatment, world: World, seed: int) -> Source:
    """The source of one training. *seed* is the training's own."""
    if treatment in (Treatment.RL, Treatment.RL_RANDOM):
        return OnPolicy(context, world, seed, treatment is Treatment.RL_RANDOM)
    if treatment is Treatment.SFT:
        tasks = [task for task in context.pool if task.answers or world.offers_tools]
        shown = [demonstration(context, task, world) for task in tasks]
        return Given(shown, seed, context.spec.profile.fit_batch, nothing="no data: no training task lists an answer")
    if treatment is Treatment.RFT:
        due = owed(context, treatment, world, _training_index(context, seed))
        return _verified(context, context.base, world, seed, lambda e: e.transcript, due)
    if treatment is Treatment.RFT_SEARCH:
        return _searched(context, world, seed)
    teacher = context.trained(Treatment.RL, world, _training_index(context, seed))
    return _verified(context, teacher, world, seed, lambda e: closed_transcript(context, e))


def training_seed(context: Context, index: int) -> int:
    """The seed of the index-th independent training run."""
    return derive(context.spec.seed, "training", index)


def sample(
    context: Context, policy: Policy, tasks: Sequence[Task], world: World, seeds: Sequence[int]
) -> list[Episode]:
    """Rollouts, so many side by side as ``rows_of`` says."""
    episodes: list[Episode] = []
    while (start := len(episodes)) < len(tasks):
        family = context.family_of(tasks[start].split)
        part = slice(start, start + rows_of(family))
        episodes += rollout(policy, family, tasks[part], world, seeds[part], imaginer=context.imaginer())
    return episodes


def rows_of(family: Family) -> int:
    """Episodes of *family* that are sampled together."""
    return max(1, min(ROWS, ROW_TOKENS // max(1, family.budget.closed().tokens)))


def demonstration(context: Context, task: Task, world: World) -> Transcript:
    """The gold answer (closed) or the scripted optimal episode, tokenised as its text."""
    if world not in (World.CLOSED, World.LIVE, World.ORACLE):
        allowed = "closed, live or oracle: elsewhere the script cannot know the answer"
        raise BadValue("world of sft", str(world), allowed)
    family = context.family_of(task.split)
    interaction = Interaction(family, task, world)
    if not world.offers_tools:
        return context.model.template.transcript(interaction.prompt, [task.answers[0]], [])
    turns, results, seen = [], [], list[str]()
    while interaction.stop is None:
        turns.append(family.solution(task, seen))
        step = interaction.step(turns[-1])
        if step.results:
            results.append(step.results)
            seen += [r.text for r in step.results]
    if interaction.reward < 1:
        raise BadValue(f"scripted solution of {task.id}", interaction.stop, "an episode that is verified as a success")
    return context.model.template.transcript(interaction.prompt, turns, results)


def closed_transcript(context: Context, episode: Episode) -> Transcript:
    """The closed-book question of an episode with the answer that it found."""
    family = context.family_of(episode.split)
    prompt = Interaction(family, family.task(episode.split, episode.task_seed), World.CLOSED).prompt
    return context.model.template.transcript(prompt, [episode.messages[-1].content], [])


def _verified(
    context: Context,
    policy: Policy,
    world: World,
    seed: int,
    keep: Callable[[Episode], Transcript],
    due: Bill = NOTHING,
) -> Given:
    """What is kept of the verified ones of as many episodes as rl samples in all its updates, or until *due* is spent.

    Sampled and sifted in batches: thousands of whole episodes would be the largest thing in memory.
    """
    sizes, tasks = context.spec.profile, context.pool
    total = sizes.steps * sizes.groups * sizes.group_size
    kept: list[Transcript] = []
    spent, start = NOTHING, 0
    while start < total or (not spent.covers(due) and start < LONGEST * total):
        numbers = range(start, min(start + ROWS, total) if start < total else start + ROWS)
        repeated = [tasks[i % len(tasks)] for i in numbers]
        episodes = sample(context, policy, repeated, world, [derive(seed, "harvest", i) for i in numbers])
        kept += [keep(e) for e in episodes if e.success]
        spent += bill_of(episodes)
        start = numbers.stop
    return Given(kept, seed, sizes.fit_batch, spent)


def _searched(context: Context, world: World, seed: int) -> Given:
    """The verified paths of as many searches as have the turns that the episodes of rft may take."""
    sizes, tasks, config = context.spec.profile, context.pool, context.spec.search
    turns = sizes.steps * sizes.groups * sizes.group_size * Interaction(context.taught, tasks[0], world).budget.turns
    total = max(1, turns // config.nodes)
    kept: list[Transcript] = []
    spent = NOTHING
    for start in range(0, total, ROWS):
        numbers = range(start, min(start + ROWS, total))
        asked, seeds = [tasks[i % len(tasks)] for i in numbers], [derive(seed, "searched", i) for i in numbers]
        episodes = search(context.base, context.taught, asked, world, seeds, config)
        kept += [e.transcript for e in episodes if e.success]
        spent += bill_of(episodes)
    return Given(kept, seed, sizes.fit_batch, spent)


def _deal(total: int, count: int, step: int, seed: int) -> list[int]:
    """The step-th hand of *count* from *total* cards that are shuffled anew each time they run out."""
    hand = []
    for place in range(step * count, (step + 1) * count):
        turn, card = divmod(place, total)
        hand.append(_shuffled(total, seed, turn)[card])
    return hand


@lru_cache(maxsize=4)
def _shuffled(total: int, seed: int, turn: int) -> list[int]:
    return [int(card) for card in generator(seed, "deal", turn).permutation(total)]


def _training_index(context: Context, seed: int) -> int:
    return next(i for i in range(context.spec.seeds) if training_seed(context, i) == seed)
