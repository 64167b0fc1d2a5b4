"""The tabular process: one call, one observation, one answer, with every probability, nat and bit known exactly.

A policy decides to call or not; the world answers with the task's fact, another fact, or nothing; the policy copies
what it was told or answers from its own head. Successes, spent nats and imported bits follow by enumeration of the
ten ways an episode can go, so a calibration knows what a language-model study has to estimate.

Shapes: M task types (or N drawn tasks), K = 10 courses of an episode. Not covered: language, several turns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from reachlab import FloatArray, IntArray, World
from reachlab.measure import kl

CLOSED_TOKENS = 20.0
"""Tokens of an episode without a call."""

#                   own        fact          other         nothing
#                 yes no   copy yes no    copy yes no     yes no
RIGHT = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 0], dtype=float)
CALLED = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1], dtype=float)
NAMED = np.array([0, 0, 1, 1, 1, 1, 1, 1, 0, 0], dtype=float)
OWN = np.array([1, 1, 0, 1, 1, 0, 1, 1, 1, 1], dtype=float)


@dataclass(frozen=True, slots=True)
class TabularPolicy:
    """Probabilities (M,), one per task type."""

    call: FloatArray
    """Calling the tool, where it is offered."""
    copy: FloatArray
    """Answering with the fact that an observation names, if it names one."""
    closed: FloatArray
    """Being right from its own head, no tool offered."""
    offered: FloatArray
    """Being right from its own head under the prompt that offers the tool."""
    style: FloatArray
    """Nats an episode spends on choices that change nothing."""

    def __getitem__(self, at: IntArray | npt.NDArray[np.bool_]) -> TabularPolicy:
        return TabularPolicy(*(getattr(self, f.name)[at] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Channel:
    """What a call returns, (M,) each."""

    bits: FloatArray
    """-log2 of the base's probability of writing the fact (or any other one) itself."""
    hit: FloatArray
    """The live tool returns the fact, otherwise another one."""
    leak: FloatArray
    """The donor's result happens to be this task's fact: 0 in an instrument that works."""

    def __getitem__(self, at: IntArray | npt.NDArray[np.bool_]) -> Channel:
        return Channel(*(getattr(self, f.name)[at] for f in fields(self)))

    def law(self, world: World) -> tuple[FloatArray, FloatArray]:
        """(M,) chance that a call names the fact, and that it names anything."""
        named = np.zeros_like(self.hit) if world == World.SILENT else np.ones_like(self.hit)
        fact = {World.LIVE: self.hit, World.SHUFFLED: self.leak, World.IMAGINED: 2.0**-self.bits}
        return fact.get(world, np.zeros_like(self.hit)), named


@dataclass(frozen=True, slots=True)
class Law:
    """What happens in an episode of one policy in one world."""

    probability: FloatArray
    """(M, K), rows sum to 1."""
    spent: FloatArray
    """(M, K) nats: the KL divergences at the choices that the episode passed (their mean is the KL of the episode)."""
    bits: FloatArray
    """(M, K) imported bits; 0 outside the live world."""

    @property
    def success(self) -> FloatArray:
        """(M,) probability of success."""
        out: FloatArray = self.probability @ RIGHT
        return out

    @property
    def nats(self) -> FloatArray:
        """(M,) expected spent nats."""
        out: FloatArray = (self.probability * self.spent).sum(axis=1)
        return out

    @property
    def calls(self) -> FloatArray:
        """(M,) expected calls."""
        out: FloatArray = self.probability @ CALLED
        return out


def law(policy: TabularPolicy, base: TabularPolicy, channel: Channel, world: World) -> Law:
    """The exact law of an episode of *policy* in *world*, its nats measured against *base*."""
    closed = world == World.CLOSED
    own = policy.closed if closed else policy.offered
    call = np.zeros_like(own) if closed else policy.call
    probability = _courses(call, policy.copy, own, *channel.law(world))
    choose = 0.0 if closed else kl(policy.call, base.call)
    answer = kl(own, base.closed if closed else base.offered)
    copy = np.where(NAMED > 0, kl(policy.copy, base.copy)[:, None], 0.0)  # a choice that is not met costs nothing
    nats = (choose + policy.style)[:, None] + copy + np.where(OWN > 0, answer[:, None], 0.0)
    bits = np.outer(channel.bits, NAMED) if world == World.LIVE else np.zeros_like(nats)
    return Law(probability, nats, bits)


def _courses(call: FloatArray, copy: FloatArray, own: FloatArray, fact: FloatArray, named: FloatArray) -> FloatArray:
    """(M, K) probabilities of the courses, in the order of ``RIGHT``."""
    told, misled, nothing = call * named * fact, call * named * (1 - fact), call * (1 - named)
    head = np.stack([own, 1 - own], axis=-1)
    parts = [head * (1 - call)[:, None]]
    for seen, copied in ((told, copy), (misled, copy)):
        parts += [(seen * copied)[:, None], head * (seen * (1 - copied))[:, None]]
    return np.concatenate([*parts, head * nothing[:, None]], axis=1)
