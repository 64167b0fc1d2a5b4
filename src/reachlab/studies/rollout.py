"""The rollout engine: a policy session on one side, interactions on the other, Episodes out.

It drives the interaction core directly: no vector environment waits for its slowest member. Sessions that take requests
while others run (``streaming``) are never kept waiting by a tool; others go in step.
Not covered: scoring against the base (``studies.scoring``), several processes (``studies.jobs``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from reachlab import (
    ActRequest,
    Budget,
    Episode,
    Family,
    Imaginer,
    Message,
    Policy,
    Session,
    Split,
    Task,
    TokenKind,
    Turn,
    World,
)
from reachlab.envs.core import Interaction
from reachlab.errors import BadValue, PolicyFault, ReachlabError
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.registry import Spec
from reachlab.seeding import derive
from reachlab.studies.streaming import Stream, Streaming


@dataclass
class _Running:
    """One episode under way."""

    interaction: Interaction
    handle: int
    seed: int
    began: float
    imagined: int = 0

    def request(self) -> ActRequest:
        return ActRequest(self.handle, max(1, self.interaction.tokens_left))


def rollout(
    policy: Policy,
    family: Family,
    tasks: Sequence[Task],
    world: World,
    seeds: Sequence[int],
    *,
    budget: Budget | None = None,
    imaginer: Imaginer | None = None,
) -> list[Episode]:
    """One episode per (task, seed), in order. The imagined world needs an *imaginer*, a new one of the base."""
    interactions = [Interaction(family, t, world, budget, seed=s) for t, s in zip(tasks, seeds, strict=True)]
    return drive(policy, interactions, seeds, imaginer)


def drive(
    policy: Policy, interactions: Sequence[Interaction], seeds: Sequence[int], imaginer: Imaginer | None = None
) -> list[Episode]:
    """Every interaction from its beginning to its end, side by side, each with its seed; their episodes, in order."""
    if imaginer is None and any(i.world is World.IMAGINED for i in interactions):
        raise BadValue("imaginer", None, "the base policy, which writes the observations of the imagined world")
    session = policy.session()
    handles = session.start([i.prompt for i in interactions], list(seeds))
    now = time.monotonic()
    running = {h: _Running(i, h, s, now) for h, i, s in zip(handles, interactions, seeds, strict=True)}
    imagined = any(i.world is World.IMAGINED for i in interactions)  # by the base, for many at once: in step
    if isinstance(session, Streaming) and not imagined:
        finished = _streamed(session, running)
    else:
        finished = _in_step(session, running, imaginer)
    return [finished[h] for h in handles]


def _in_step(session: Session, running: dict[int, _Running], imaginer: Imaginer | None) -> dict[int, Episode]:
    """All turns of a round, then all that they lead to."""
    finished: dict[int, Episode] = {}
    acting = list(running)
    while acting:
        requests = [running[h].request() for h in acting]
        acting, imagining = [], []
        for handle, turn in session.act(requests):
            run = running[handle]
            if _step(run.interaction, turn) == "observation":
                imagining.append(run)
            elif not _settled(session, run, finished):
                acting.append(handle)
        while imagining:
            assert imaginer is not None
            imagining = _imagine(imaginer, session, imagining, finished, acting)
    return finished


def _streamed(session: Streaming, running: dict[int, _Running]) -> dict[int, Episode]:
    """Each episode goes on as soon as its own tools have answered."""
    finished: dict[int, Episode] = {}
    with Stream(session, lambda handle, turn: _step(running[handle].interaction, turn)) as stream:
        for run in running.values():
            stream.ask(run.request())
        for handle, _ in stream:
            if not _settled(session, running[handle], finished):
                stream.ask(running[handle].request())
    return finished


class Played(NamedTuple):
    """One episode, and what a reader wants to see beside it."""

    episode: Episode
    answers: tuple[str, ...]
    offered: tuple[str, ...]
    """Names of the tools."""


SCRIPT = "script"
"""The policy's name for the family's scripted solution."""


def play(family: Family, policy: str, base: str | None, world: World, split: Split, task: int, seed: int) -> Played:
    """One episode of a policy named as on the command line, or of the family's script.

    *base* writes the observations of the imagined world; None: the policy itself.
    """
    asked, budget = family.task(split, task), None
    actor: Any = _scripted(family, asked) if policy == SCRIPT else Spec(policy).build("policies")
    if policy == SCRIPT:  # its tokens are bytes
        budget = replace(family.budget, tokens=8 * family.budget.tokens + 4096)
    if not callable(getattr(actor, "session", None)):
        raise BadValue("policy", policy, "a reachlab.Policy; this one has no session()")
    imaginer = None
    if world is World.IMAGINED:
        writer = actor if base in (None, policy) else Spec(base or policy).build("policies")
        if not callable(getattr(writer, "imaginer", None)):
            raise BadValue("base", base or policy, "a policy that writes observations; this one has no imaginer()")
        imaginer = writer.imaginer()
        words = [p.tokenizer.get_vocab() for p in (actor, writer) if hasattr(p, "tokenizer")]
        if writer is not actor and len(words) == 2 and words[0] != words[1]:
            raise BadValue("base", base, f"a policy with the vocabulary of {policy!r}: it continues the same token ids")
    interaction = Interaction(family, asked, world, budget, seed=seed)
    offered = tuple(str(schema["function"]["name"]) for schema in interaction.prompt.tools)
    return Played(drive(actor, [interaction], [seed], imaginer)[0], asked.answers, offered)


def _scripted(family: Family, task: Task) -> ScriptedPolicy:
    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        try:
            return family.solution(task, [m.content for m in messages if m.role == "tool"])
        except ReachlabError:
            raise
        except Exception:  # a script need not know what to make of results that say nothing
            return ""

    return ScriptedPolicy(SCRIPT, script)


def _step(interaction: Interaction, turn: Turn) -> str:
    if turn.fault:
        return interaction.abort(turn.fault).awaiting
    return interaction.step(turn.text, len(turn.ids), turn.ended).awaiting


def _settled(session: Session, run: _Running, finished: dict[int, Episode]) -> bool:
    """Append the results, or make the Episode if it is over."""
    if run.interaction.stop is None:
        session.append(run.handle, run.interaction.last.results)
        return False
    finished[run.handle] = _episode(session, run)
    session.close(run.handle)
    return True


def _imagine(
    imaginer: Imaginer, session: Session, waiting: list[_Running], finished: dict[int, Episode], acting: list[int]
) -> list[_Running]:
    """Let the base write one observation for each waiting episode; those that need another one."""
    try:
        texts = imaginer.imagine(
            [session.transcript(r.handle) for r in waiting],
            [r.interaction.imagined for r in waiting],
            [derive(r.seed, "imagined", r.imagined) for r in waiting],
            waiting[0].interaction.budget.observation_tokens,
        )
    except PolicyFault as error:  # an empty observation would be scored as if the base had written it
        for run in waiting:
            run.interaction.abort(str(error))
            _settled(session, run, finished)
        return []
    again = []
    for run, text in zip(waiting, texts, strict=True):
        run.imagined += 1
        if run.interaction.observe(text).awaiting == "observation":
            again.append(run)
        elif not _settled(session, run, finished):
            acting.append(run.handle)
    return again


def _episode(session: Session, run: _Running) -> Episode:
    interaction, task = run.interaction, run.interaction.task
    transcript = session.transcript(run.handle)
    counts = np.bincount(transcript.kinds, minlength=len(TokenKind))
    cost = replace(
        interaction.cost,
        prompt=int(counts[TokenKind.PROMPT]),
        policy=int(counts[TokenKind.POLICY]),
        observation=int(counts[TokenKind.OBSERVATION] + counts[TokenKind.TEMPLATE]),
    )
    assert interaction.stop is not None
    return Episode(
        task=task.id,
        task_seed=task.seed,
        split=task.split,
        stratum=task.stratum,
        world=interaction.world,
        seed=run.seed,
        messages=interaction.messages,
        calls=interaction.calls,
        reward=interaction.reward,
        stop=interaction.stop,
        detail=interaction.detail,
        cost=cost,
        transcript=transcript,
        seconds=time.monotonic() - run.began,
    )


