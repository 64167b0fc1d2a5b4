"""What a study of a given size costs: episodes, tokens, and seconds on this machine.

Prices are those of a finished run (``prices_of``) or measured now (``measure``), never assumed. Seconds are of one
process that samples, scores and learns; starting up, exact p0, statistics and pictures are not counted.
Not covered: other machines than this one; treatments outside the default study.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from reachlab import Episode, Family, Json, Treatment, World
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.studies.calibration.draw import StudySize
from reachlab.studies.designs import DEFAULT
from reachlab.studies.spec import NEEDS_A_BOUND, ON_POLICY, TASK_BLOCK, Profile, StudySpec

if TYPE_CHECKING:
    from reachlab.policies.huggingface import HuggingFacePolicy

ASKED, TRIES = 32, 4
"""Tasks, and episodes at each of them, sampled in every world to measure its prices."""
SURVEYED = 320
"""Tasks whose bounds are looked at."""
UNUSED = 1_000_000 * TASK_BLOCK
"""Test tasks from this seed on belong to no study."""
Amount = tuple[World, int]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Prices:
    """What one episode of each world, and one of each training, take."""

    tokens: Mapping[World, float]
    """Inference tokens of an episode."""
    training: float
    """Tokens of all trainings of a study, each run once."""
    seconds: Mapping[World, float] | None = None
    """To sample and score an episode; None where no time was taken."""
    training_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """What a few hundred episodes of the untrained base tell."""

    prices: Prices
    hard: float
    """Share of tasks whose policy-free bound is below the accessibility threshold; 0 where the family states none."""
    closed: float | None
    """Mean bound of the hard tasks."""
    easy: float
    """The same of the other tasks that have one; 0 where none has."""
    live: float | None
    """Success live on the hard tasks."""
    cost: float
    """k: live tokens over closed ones."""


def evaluations(size: StudySize, profile: Profile, base_repeats: int = 1) -> dict[World, int]:
    """Episodes of evaluation by world: every arm of the default study, on *size.tasks* test tasks.

    *base_repeats*: of the base in the worlds without information.
    """
    total = dict.fromkeys(World, 0)
    for arm in DEFAULT.arms:
        tasks = size.tasks if arm.split == "test" else profile.train_tasks
        untrained = base_repeats if arm in NEEDS_A_BOUND else 1
        total[arm.evaluated] += tasks * size.episodes * (untrained if arm.training is None else size.seeds)
    return total


def cost(size: StudySize, profile: Profile, prices: Prices | None, why: str = "", base_repeats: int = 1) -> Json:
    """Episodes, and tokens where there are prices, else *why* there are none. The trainings are those of *profile*."""
    episodes = evaluations(size, profile, base_repeats)
    sampled = sum(treatment is not Treatment.SFT for treatment, _ in DEFAULT.trainings) * _harvest(profile)
    found: Json = {"episodes": sum(episodes.values()), "training_episodes": sampled * size.seeds, "tokens": None}
    if prices is None:
        return {**found, "reason": why}
    evaluated = sum(prices.tokens[world] * n for world, n in episodes.items())
    return {**found, "tokens": round(evaluated + prices.training * size.seeds)}


def seconds(size: StudySize, profile: Profile, prices: Prices, base_repeats: int = 1) -> float | None:
    """Of one process on the machine that the prices were measured on."""
    if prices.seconds is None:
        return None
    evaluated = sum(prices.seconds[world] * n for world, n in evaluations(size, profile, base_repeats).items())
    return evaluated + prices.training_seconds * size.seeds


def prices_of(result: Json) -> Prices:
    """Tokens of a finished run. Its ``rollout_seconds`` add up episodes that ran side by side: no measure of time."""
    bill = result["cost"]
    each = bill["tokens"] / max(1, bill["episodes"])
    names = {arm.training: arm.name for arm in reversed(DEFAULT.arms) if arm.training and arm.split == "test"}
    runs = [bill["training_tokens"].get(name) for name in names.values()]
    return Prices(dict.fromkeys(World, each), float(sum(sum(tokens) / len(tokens) for tokens in runs if tokens)))


def measure(family: Spec, policy: str, profile: Profile, t: float) -> Survey:
    """Sample, score and learn a little with the base on one thread, as a study's jobs do, and take the time of it.

    On test tasks of no study; hard are those whose bound is below *t*. Loads torch.
    """
    import torch

    from reachlab.studies.rollout import rollout
    from reachlab.studies.scoring import score_episodes

    torch.set_num_threads(1)
    built, base = _family(family), _policy(policy)
    asked = [built.task("test", UNUSED + i) for i in range(ASKED) for _ in range(TRIES)]

    def play(world: World) -> list[Episode]:
        return rollout(base, built, asked, world, list(range(len(asked))), imaginer=base.imaginer())

    play(World.LIVE)  # the first batch of a process pays for what the others find ready
    timed = {world: _clock(partial(play, world)) for world in World}
    tokens = {world: sum(e.cost.tokens for e in found) / len(found) for world, (found, _) in timed.items()}
    live = timed[World.LIVE][0]
    student = base.with_model(copy.deepcopy(base.model), "student")
    read = tokens[World.LIVE] * len(live)
    score = _clock(partial(score_episodes, student, base, live))[1] / read
    learn = _learning_seconds(student, base, live) / read
    sampling = {world: took / len(found) for world, (found, took) in timed.items()}
    amounts = _amounts(StudySpec(family, policy, profile))
    prices = Prices(
        tokens,
        training=sum(n * tokens[world] for pair in amounts for world, n in pair),
        seconds={world: sampling[world] + score * tokens[world] for world in World},
        training_seconds=sum(n * sampling[w] + m * tokens[v] * learn for (w, n), (v, m) in amounts),
    )
    return _survey(built, live, prices, t)


def _amounts(spec: StudySpec) -> list[tuple[Amount, Amount]]:
    """What every training samples, and the transcripts that it learns from; distil learns closed ones."""
    sizes, found = spec.profile, []
    for treatment, world in DEFAULT.trainings:
        batch = sizes.groups * sizes.group_size if treatment in ON_POLICY else sizes.fit_batch
        drawn = 0 if treatment is Treatment.SFT else _harvest(sizes)
        learned = World.CLOSED if treatment is Treatment.DISTIL else world
        found.append(((world, drawn), (learned, spec.updates(treatment) * batch)))
    return found


def _harvest(profile: Profile) -> int:
    """Episodes that a training other than sft samples."""
    return profile.steps * profile.groups * profile.group_size


def _survey(family: Family, live: Sequence[Episode], prices: Prices, t: float) -> Survey:
    tasks = [family.task("test", UNUSED + i) for i in range(SURVEYED)]
    bounds = {task.seed: bound for task in tasks if (bound := family.p0_bound(task)) is not None}
    below = [bound for bound in bounds.values() if bound < t]
    won = [e.reward for e in live if bounds.get(e.task_seed, 1.0) < t]
    return Survey(
        prices,
        hard=len(below) / len(tasks),
        closed=_mean(below),
        easy=_mean([bound for bound in bounds.values() if bound >= t]) or 0.0,
        live=_mean(won),
        cost=max(1.0, prices.tokens[World.LIVE] / prices.tokens[World.CLOSED]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _learning_seconds(student: HuggingFacePolicy, base: HuggingFacePolicy, episodes: Sequence[Episode]) -> float:
    """One update on these episodes, the first one not counted."""
    from reachlab.policies.learner import Learner
    from reachlab.studies.spec import RL

    learner = Learner(student.model, base.model, RL)
    update = partial(learner.update, [e.transcript for e in episodes], [e.reward - 0.5 for e in episodes])
    update()
    return _clock(update)[1]


def _clock(call: Callable[[], Answer]) -> tuple[Answer, float]:
    began = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - began


def _family(spec: Spec) -> Family:
    built = spec.build("families")
    if not isinstance(built, Family):
        raise BadValue("family", spec.name, f"a name of a reachlab.Family; this {type(built).__name__} is none")
    return built


def _policy(name: str) -> HuggingFacePolicy:
    from reachlab.policies.huggingface import HuggingFacePolicy

    built = Spec(name).build("policies")
    if not isinstance(built, HuggingFacePolicy):
        raise BadValue("policy", name, "a Hugging Face causal language model: a study trains and scores it")
    return built
