"""Questions of your own from a file, and a search over their documents: what it adds, and that shuffling takes it away.

Run it: ``python examples/own_dataset.py``. With a model: ``python -m reachlab run reachlab.envs.dataset:Dataset
--dial path=QA.jsonl --policy PATH``. Here a script reads the last word of what it found. Not covered: language models.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reachlab import Message, World
from reachlab.envs.dataset import Dataset
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes

CAPITALS = "France Paris, Italy Rome, Spain Madrid, Japan Tokyo, Kenya Nairobi, Peru Lima, Chile Santiago, Cuba Havana"


def write(path: Path) -> None:
    rows = [pair.split() for pair in CAPITALS.split(", ")]
    facts = [{"q": f"What is the capital of {a}?", "a": b, "page": f"The capital of {a} is {b}."} for a, b in rows]
    path.write_text("\n".join(map(json.dumps, facts)))


def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
    if messages[-1].role == "tool":
        return messages[-1].content.split()[-1]
    return Hermes().render("search", {"query": messages[-1].content})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "qa.jsonl")
        columns = {"question": "q", "answer": "a", "documents": "page"}
        family = Dataset(f"{folder}/qa.jsonl", columns, top_k=1, test_share=0.5, salt=2)
    tasks = [family.task("test", seed) for seed in range(family.size("test"))]
    print(f"{family.report}; {family.coverage()}")
    for world in (World.SHUFFLED, World.LIVE):
        episodes = rollout(ScriptedPolicy("reader", script), family, tasks, world, range(len(tasks)))
        print(f"{world:9} success {np.mean([e.reward for e in episodes]):.2f}")


if __name__ == "__main__":
    main()
