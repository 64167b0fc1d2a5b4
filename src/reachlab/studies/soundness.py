"""Are a family's episodes fit for training? Token ids and masks of a real policy's rollouts, beside ``envs.soundness``.

Not covered: chat templates that change what was said (``policies`` refuses those itself).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from reachlab import Episode, Family, TokenKind, World
from reachlab.envs.information import asked
from reachlab.envs.soundness import check_family
from reachlab.findings import Finding, broken, gather, kept
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.studies.rollout import rollout

EPISODES = 8


def check_with_policy(family: Family, policy: HuggingFacePolicy) -> list[Finding]:
    """``check_family``, and what the policy's transcripts show."""
    found = check_family(family)
    if any(f.status == "problem" for f in found):
        return found  # rollouts of a broken family say nothing
    return found + gather([("mask", partial(_mask, family, policy))])


def _mask(family: Family, policy: HuggingFacePolicy) -> Iterator[Finding]:
    tasks = asked(family, "test", EPISODES)
    for world in World:
        for episode in rollout(policy, family, tasks, world, list(range(len(tasks))), imaginer=policy.imaginer()):
            if _said(policy, episode) != [m.content for m in episode.messages if m.role == "assistant"]:
                fix = "choose a template and a call format that leave earlier turns as they were sampled"
                yield broken("the mask marks what was sampled", f"{episode.task} in {world}", fix)
                return
    yield kept("the mask marks what was sampled", f"{len(tasks)} episodes in each of {len(World)} worlds")


def _said(policy: HuggingFacePolicy, episode: Episode) -> list[str]:
    """The turns, decoded from the ids of runs of policy tokens."""
    turns: list[list[int]] = []
    before = TokenKind.PROMPT
    for token, kind in zip(episode.transcript.ids.tolist(), episode.transcript.kinds.tolist(), strict=True):
        if kind == TokenKind.POLICY:
            if before != TokenKind.POLICY:
                turns.append([])
            if token not in policy.stop_ids:
                turns[-1].append(token)
        before = kind
    return [policy.template.decode(turn) for turn in turns]
