"""Tasks of the reasoning-gym package in six worlds: their scoring is the verifier, a sandboxed ``python`` the tool.

Run it: ``python examples/reasoning_gym_tasks.py`` (needs ``pip install 'reachlab[reasoning-gym]'``; says so without).
Not covered: language models. The scripted solution makes one call and answers with gold: it shows the format only.
"""

from __future__ import annotations

import numpy as np

from reachlab import World
from reachlab.envs import Interaction
from reachlab.envs.reasoning_gym import ReasoningGym
from reachlab.errors import MissingExtra


def main() -> None:
    try:
        family = ReasoningGym(
            {"chain_sum": [{"max_terms": 2}, {"min_terms": 5}], "letter_counting": {}, "countdown": {}}
        )
    except MissingExtra as missing:
        print(missing)
        return
    for seed in range(4):
        task = family.task("test", seed)
        episode = Interaction(family, task, World.LIVE)
        seen: list[str] = []
        while episode.stop is None:
            seen += [result.text for result in episode.step(family.solution(task, seen)).results]
        guess = task.verify(family.guess(task, np.random.default_rng(seed)))
        print(f"{task.stratum:35} answer {task.answers[0]!r:25} solved {episode.reward:.0f}  guessed {guess:.2f}")


if __name__ == "__main__":
    main()
