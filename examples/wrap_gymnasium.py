"""A text environment of your own, under plain Gymnasium rules, as a family with worlds and budgets.

Run it: ``python examples/wrap_gymnasium.py``. A scripted player halves the interval by what ``act`` tells it. Told
about another seed's number, or nothing, it does no better than a guess. Not covered: language models (``--policy``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from reachlab import Message, World
from reachlab.envs import Unicode
from reachlab.envs.textgym import TextGym
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes


class Guess(gymnasium.Env[str, str]):
    """A number below 16: five tries."""

    observation_space = action_space = Unicode(100)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.hidden, self.left = int(self.np_random.integers(16)), 5
        return "Guess a number below 16. You have five tries.", {"solution": [str(self.hidden)]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        tried = int(action) if action.isdecimal() else 16
        told = "right" if tried == self.hidden else "higher" if tried < self.hidden else "lower"
        return told, float(told == "right"), told == "right", self.left == 0, {}


def halve(messages: Sequence[Message], rng: np.random.Generator) -> str:
    low, high = 0, 16
    for message in messages:
        if message.role == "tool":
            if "receipt " in message.content:  # the environment has ended
                return message.content.rpartition("receipt ")[2]
            middle = (low + high) // 2
            low, high = (middle + 1, high) if message.content == "higher" else (low, middle)
    calls = sum(message.role == "tool" for message in messages)
    return str(rng.integers(16)) if calls == 5 else Hermes().render("act", {"action": str((low + high) // 2)})


def main() -> None:
    family = TextGym(Guess, calls=5)
    tasks = [family.task("test", seed) for seed in range(100)]
    for world in (World.SILENT, World.SHUFFLED, World.LIVE):
        episodes = rollout(ScriptedPolicy("halve", halve), family, tasks, world, range(100))
        print(f"{world:9} success {np.mean([e.reward for e in episodes]):.2f}")


if __name__ == "__main__":
    main()
