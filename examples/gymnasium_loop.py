"""Reachlab's environments under plain Gymnasium: the same tasks, with and without the affordance.

Run it: ``python examples/gymnasium_loop.py``. A scripted policy searches and answers; without the search tool, or with
answers about another world, it cannot know. Not covered: language models and training (see ``reachlab run``).
"""

from __future__ import annotations

from typing import Any

import gymnasium

from reachlab.envs import ReachEnv


def play(env: gymnasium.Env[str, str], seed: int) -> tuple[float, dict[str, Any]]:
    """One episode of the family's scripted policy; returns its reward and the last info."""
    _, info = env.reset(seed=seed)
    reach = env.unwrapped
    assert isinstance(reach, ReachEnv)
    seen: list[str] = []
    terminated = truncated = False
    total = 0.0
    while not (terminated or truncated):
        action = reach.family.solution(reach.episode.task, seen)
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(observation)
        total += float(reward)
    return total, info


def main() -> None:
    for world in ("closed", "shuffled", "live"):
        env = gymnasium.make("reachlab.envs:reachlab/Lexicon-v0", world=world, digits=(4,), hops=(2,))
        episodes = [play(env, seed) for seed in range(20)]
        stops = sorted({info["stop"] for _, info in episodes})
        print(f"{world:9} success {sum(reward for reward, _ in episodes) / 20:.2f}   ends: {', '.join(stops)}")


if __name__ == "__main__":
    main()
