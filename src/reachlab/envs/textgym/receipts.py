"""Receipts: what an episode was paid, in words that only the environment's side can write.

``receipt 1000-3f2a9c01be``: per mille of the reward, and forty bits keyed by the task. A policy cannot compute them,
since the key flows from the family's salt and the environment's seed, which no prompt shows.

Not covered: secrecy from someone who reads this process's memory or the run's files.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reachlab.envs.textgym.play import Make, Play, Scheme, made, play_plan

BITS = 40
_WRITTEN = re.compile(r"\b(\d{1,4})-([0-9a-f]{10})\b")
MOST_ACTIONS = 1000
"""Of a plan: what is beyond is not played."""


def receipt(key: int, reward: float) -> str:
    per_mille = round(reward * 1000)
    return f"{per_mille}-{_seal(key, per_mille)}"


def certified(key: int, text: str) -> float | None:
    """The reward that the last receipt in *text* certifies, or None. Only the last one counts: no spraying."""
    found = _WRITTEN.findall(text)
    if not found:
        return None
    per_mille, seal = int(found[-1][0]), found[-1][1]
    return per_mille / 1000 if hmac.compare_digest(seal, _seal(key, per_mille)) else None


def _seal(key: int, per_mille: int) -> str:
    return hashlib.blake2b(str(per_mille).encode(), key=key.to_bytes(8), digest_size=BITS // 8).hexdigest()


@dataclass(frozen=True)
class Paid:
    """``reachlab.Verifier``: a receipt, or a plan that is played. Many texts earn the same: p0 is sampled."""

    make: Make
    options: str
    """JSON with sorted keys: what the environment is made with."""
    seed: int
    key: int
    scheme: Scheme
    unended: bool
    plans: bool
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        paid = certified(self.key, text)
        if paid is not None or not self.plans:
            return paid or 0.0
        actions = [line.strip() for line in text.splitlines() if line.strip()]
        return play_plan(self.start(), actions[:MOST_ACTIONS])

    def start(self) -> Play:
        """The task's environment, fresh."""
        return Play(made(self.make, json.loads(self.options)), self.seed, self.scheme, self.unended)
