"""A family of your own in one file: tasks, a tool, and what is known about them exactly.

Command: ``python examples/own_family.py`` holds it to its own statements with scripted policies;
from this folder, ``python -m reachlab episode own_family:Vault`` plays it and ``python -m reachlab run
own_family:Vault --profile smoke`` studies it. The tiny base has never seen such prompts; bring a model: ``--policy``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from langchain_core.tools import BaseTool, tool

from reachlab import NO_INFORMATION_WORLDS, Budget, Family, Message, Split, Task, ToolResult, Transcript, World
from reachlab.envs.verifiers import Exact
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.seeding import generator
from reachlab.studies.rollout import rollout
from reachlab.tools.hermes import Hermes

COLOURS = ("amber", "azure", "coral", "ivory", "jade", "lilac", "ochre", "rust")


@lru_cache(maxsize=4096)
def ask_guard(secret: str) -> BaseTool:
    """The tool of one vault. Cached: a family is asked for its tools once an episode."""

    @tool
    def guard(question: str) -> str:
        """Ask the guard of the vault about its colour."""
        return f"The vault is {secret}."

    return guard


@dataclass(frozen=True)
class Vault:
    """Which of eight colours is the vault? Nobody knows but the guard."""

    name: str = "vault"
    version: str = "0"
    mechanism: str = "asking"
    budget: Budget = Budget(turns=2, calls=1, tokens=200, observation_tokens=40)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [ask_guard(task.answers[0])]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        if not observations:
            return Hermes().render("guard", {"question": "Which colour?"})
        return observations[-1].removeprefix("The vault is ").rstrip(".") or "amber"

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return str(rng.choice(COLOURS))

    def p0_bound(self, task: Task) -> float | None:
        return 1 / len(COLOURS)  # uniform and independent of all that is seen

    def optimum(self, task: Task) -> float:
        return 1.0

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        colour = str(generator(seed, "vault", split, donor).choice(COLOURS))
        question = f"Vault {split}-{seed}: which colour is it? One word of: {', '.join(COLOURS)}."
        return Task(
            id=f"vault-{split}-{seed}",
            messages=(Message("user", question),),
            answers=(colour,),
            verifier=Exact(),
            evidence=f"The vault is {colour}.",
            difficulty=(("colours", len(COLOURS)),),
            seed=seed,
            split=split,
        )


class Daydream:
    """Imagines the first colour for every vault."""

    def imagine(
        self,
        transcripts: Sequence[Transcript],
        results: Sequence[Sequence[ToolResult]],
        seeds: Sequence[int],
        max_tokens: int,
    ) -> list[str]:
        return [f"The vault is {COLOURS[0]}."] * len(seeds)


def main() -> None:
    family: Family = Vault()
    tasks = [family.task("test", seed) for seed in range(400)]

    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        seen = [m.content for m in messages if m.role == "tool"]
        offered = any(m.role == "tool" for m in messages) or world.offers_tools
        return family.solution(tasks[0], seen) if offered else family.guess(tasks[0], rng)

    for world in (*NO_INFORMATION_WORLDS, World.LIVE):
        policy = ScriptedPolicy("solver", script)
        episodes = rollout(policy, family, tasks, world, list(range(len(tasks))), imaginer=Daydream())
        success = float(np.mean([e.reward for e in episodes]))
        print(f"{world:9} success {success:.3f}")
        limit = 1.0 if world is World.LIVE else 1 / 8 + 4 * (1 / 8 * 7 / 8 / len(tasks)) ** 0.5
        assert success <= limit and (world is not World.LIVE or success == 1.0)


if __name__ == "__main__":
    main()
