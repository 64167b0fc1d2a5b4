"""An ordinary LangChain tool, as it stands in any tutorial, as the affordance of questions from a CSV file.

Command: ``python examples/community_tool.py``. Nothing of the tool is written for reachlab. It is named as
``module:attribute``, so a study takes it too: ``reachlab run dataset --dial path=qa.csv --dial
'affordances=["my_module:weather"]' --policy PATH``. Here a script calls it, each time under the name of its choice:
what goes wrong because of it is an observation that says how to do better.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from langchain_core.tools import tool

from reachlab import Message, World
from reachlab.envs.dataset import Dataset
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes

REPORTS = {"Oslo": "snow", "Lagos": "sun", "Lima": "fog", "Pune": "rain", "Reno": "wind", "Cork": "drizzle"}


@tool
def weather(city: str) -> str:
    """Report the weather of a city."""
    return REPORTS.get(city, f"no report for {city}")


def main(path: Path) -> None:
    family = Dataset(str(path), affordances=[f"{__name__}:weather"], calls=2, test_share=0.5, salt=1)
    tasks = [family.task("test", seed) for seed in range(family.size("test"))]
    for world in (World.SILENT, World.SHUFFLED, World.LIVE):
        episodes = rollout(ScriptedPolicy("caller", script), family, tasks, world, range(len(tasks)))
        print(f"{world:9} success {np.mean([e.reward for e in episodes]):.2f}")
    for message in episodes[0].messages:
        print(f"{message.role:9} {message.content}")


def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Misspells the tool first, then asks it, then repeats what it said."""
    told = [message.content for message in messages if message.role == "tool"]
    if len(told) == 2:
        return told[-1]
    city = messages[0].content.partition("?")[0].split()[-1]
    return Hermes().render("weather" if told else "wether", {"city": city})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        questions = Path(folder) / "qa.csv"
        with questions.open("w", newline="") as file:
            rows = [(f"What is the weather in {city}?", report) for city, report in REPORTS.items()]
            csv.writer(file).writerows([("question", "answer"), *rows])
        main(questions)
