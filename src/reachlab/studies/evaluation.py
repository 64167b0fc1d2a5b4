"""Evaluation jobs: a chunk of episodes of one arm, scored; exact p0 of one split.

Not covered: aggregation (``studies.collect``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import reachlab
from reachlab import Arm, Budget, Prompt, Split, Treatment, World
from reachlab.envs.core import Interaction
from reachlab.errors import BadValue
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.seeding import derive
from reachlab.studies.abilities import abilities_of, described
from reachlab.studies.context import Context, open_run
from reachlab.studies.scoring import score_episodes
from reachlab.studies.searching import restorable, search
from reachlab.studies.sources import sample
from reachlab.studies.store import write_episodes, write_json

SPLITS: tuple[Split, ...] = ("test", "train")


def evaluate_job(root: Path, arm: Arm, index: int, chunk: int) -> None:
    """Sample, score and publish one chunk of an arm's episodes; of an arm without signal, or not available, none."""
    context = open_run(root)
    out = context.store.episodes(arm, index, chunk)
    trained = arm.training is None or context.store.status(*arm.training, index)["signal"]
    if not trained or context.abilities.missing(arm):
        write_episodes(out, [])
        return
    policy = context.policy(arm, index)
    repeated = [t for t in context.chunk(arm.split, chunk) for _ in range(context.spec.profile.episodes)]
    count = context.spec.profile.episodes
    seeds = [derive(context.spec.seed, "episode", arm.name, index, t.seed, i % count) for i, t in enumerate(repeated)]
    if arm.treatment is Treatment.SEARCH:  # a choice among samples has no log-probabilities: it stays unscored
        family = context.family_of(arm.split)
        write_episodes(out, search(policy, family, repeated, arm.evaluated, seeds, context.spec.search))
        return
    episodes = sample(context, policy, repeated, arm.evaluated, seeds)
    repeat = arm.training is None and index > 0  # of the base only successes are counted then
    if not repeat and isinstance(policy, HuggingFacePolicy):
        most = context.spec.profile.scored or count
        scored = iter(score_episodes(policy, context.model, [e for i, e in enumerate(episodes) if i % count < most]))
        episodes = [next(scored) if i % count < most else episode for i, episode in enumerate(episodes)]
    write_episodes(out, episodes)


def base_job(root: Path) -> None:
    """Load the base, try its chat template, and publish what the result says about it.

    The first job of a study: a bad name or an unusable template is said before anything is sampled.
    """
    context = open_run(root)
    base = context.base
    able = abilities_of(base)
    for split in SPLITS:  # in a study of transfer they are of two families
        first = Interaction(context.family_of(split), context.tasks(split)[0], World.LIVE)
        if any(arm.treatment.searches for arm in context.spec.designed.arms):
            restorable(first)
        if not able.train:
            context.model.template.check(first.prompt)
            _check_context(context, context.family_of(split).budget, first.prompt)
    about = {"policy": context.spec.policy, "version": reachlab.__version__, **described(base)}
    write_json(context.store.base, {**about, "abilities": able.to_json()})


def _check_context(context: Context, budget: Budget, prompt: Prompt) -> None:
    """The longest episode must fit into what the model can attend to."""
    config = context.model.model.config.get_text_config()
    around = 32 * budget.calls  # the template around each result
    longest = len(context.model.template.prompt_ids(prompt)) + budget.closed().tokens + around
    for name in ("max_position_embeddings", "sliding_window"):
        limit = getattr(config, name, None)
        if limit is not None and limit < longest:
            allowed = f">= {longest}, prompt and budget of an episode; dials such as calls and tokens shorten it"
            raise BadValue(f"{name} of {context.spec.policy}", limit, allowed)


def p0_job(root: Path, split: Split) -> None:
    """Publish the exact closed-book p0 of every task of a split, or null where it cannot be exact."""
    context = open_run(root)
    write_json(context.store.p0(split), {"p0": exact_p0(context, split)})


def exact_p0(context: Context, split: Split) -> list[float] | None:
    """None where enumeration would miss something: then p0 is sampled (DESIGN 1, *Exact p0*).

    The verifier must accept exactly the listed answers, every id must decode to some text, and the tokenisations of
    an answer must be few enough to list.
    """
    tasks = context.tasks(split)
    if not isinstance(context.base, HuggingFacePolicy) or not context.base.enumerable:
        return None
    if not all(task.verifier.exact and task.answers for task in tasks):
        return None
    interactions = [Interaction(context.family_of(split), task, World.CLOSED) for task in tasks]
    budget = interactions[0].budget.tokens
    try:
        exact = context.base.exact_success([i.prompt for i in interactions], [t.answers for t in tasks], budget)
    except BadValue:
        return None  # too many tokenisations
    if not np.isfinite(exact).all():
        return None  # the base's logits were no numbers; its episodes are faults
    return [min(1.0, float(p)) for p in exact]
