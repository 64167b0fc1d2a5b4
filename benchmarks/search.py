"""What search buys over sampling: success against nodes on Countdown and Maze, and best-of-k at the same tokens.

Command: ``python benchmarks/search.py [--nodes 16 32 64] [--tasks 32] [--policy tiny] [--json]``. Test tasks, live.

``wanderer``, the default policy, is a script that draws at random and knows the formats: it checks random expressions
until one is right; it takes random ways, goes back from blind alleys and says the way it found. ``--policy`` takes any
policy by name instead. A node is one turn. ``best of k`` is the unbiased estimate (pass@k) for k plain samples with a
perfect verifier, k being the tokens of a search over those of a sample, rounded up: the rival is given more, not less.
In a maze a tree keeps what a path has found; in Countdown random checks build on nothing, and search is more attempts.
Only ``best-of-n, verified`` may use the verifier; the others go by what the tools print. 95 % limits over tasks.
Not covered: seconds; training on what was found (``reachlab run countdown --design search``).
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from reachlab import Budget, Episode, Family, Message, Policy, World
from reachlab.envs.countdown import SIGNS, Countdown, flat
from reachlab.envs.maze import DEAD_END, EXIT, WAYS, Maze
from reachlab.measure.estimators import pass_at_k
from reachlab.measure.intervals import bounded_mean
from reachlab.policies.scripted import Script, ScriptedPolicy
from reachlab.policies.search import SearchConfig
from reachlab.registry import Spec
from reachlab.seeding import derive
from reachlab.studies.rollout import rollout
from reachlab.studies.searching import search
from reachlab.tools.hermes import Hermes

CHECKS = 4
FAMILIES: dict[str, Family] = {
    "countdown": Countdown(numbers=(3, 4), calls=CHECKS),
    "maze": Maze(junctions=(3, 5), calls=16),
}
SEARCHES: dict[str, dict[str, Any]] = {
    "best-of-n": {"algorithm": "best-of-n"},
    "best-of-n, verified": {"algorithm": "best-of-n", "verifier": True},
    "beam": {"algorithm": "beam"},
    "best-first": {"algorithm": "best-first"},
    "mcts": {"algorithm": "mcts"},
}
SAMPLES = 16
"""Plain episodes of each task: k is at most so many."""
FORMAT = Hermes()


def checker(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Countdown: random expressions to ``check`` until one is right or no check is left."""
    asked = next(m.content for m in messages if m.role == "user")
    numbers = [int(n) for n in re.findall(r"\d+", asked)[1:]]
    expression = flat(rng.permutation(numbers).tolist(), rng.choice(list(SIGNS), size=len(numbers) - 1).tolist())
    if messages[-1].role == "tool" and messages[-1].content.endswith("right"):
        return str(FORMAT.parse(messages[-2].content)[0].arguments["expression"])
    checks = sum(m.role == "tool" for m in messages)
    return FORMAT.render("check", {"expression": expression}) if checks < CHECKS else expression


def walker(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Maze: random ways, back from blind alleys, and at the exit the way that led there."""
    way: list[str] = []
    for message in messages:
        for call in FORMAT.parse(message.content) if message.role == "assistant" else ():
            if call.name == "move":
                way.append(str(call.arguments["way"]))
            elif way:
                way.pop()
    place = messages[-1].content
    if place == EXIT:
        return " ".join(way)
    return FORMAT.render("back", {}) if place == DEAD_END else FORMAT.render("move", {"way": WAYS[rng.integers(3)]})


SCRIPTS: dict[str, Script] = {"countdown": checker, "maze": walker}


@dataclass(frozen=True)
class Row:
    """One line of the table. ``best_of_k`` is None for sampling itself."""

    family: str
    policy: str
    nodes: int
    success: float
    low: float
    high: float
    turns: float
    tokens: float
    verifier_calls: float
    k: int = 1
    best_of_k: float | None = None


def actor(policy: str, name: str, family: Family) -> tuple[Policy, Budget]:
    """The policy, and a budget: a script's tokens are bytes."""
    if policy == "wanderer":
        return ScriptedPolicy(policy, SCRIPTS[name]), replace(family.budget, tokens=8 * family.budget.tokens + 4096)
    built: Policy = Spec(policy).build("policies")
    torch.set_num_threads(1)  # as in a study's jobs: more are slower for a small model
    return built, family.budget


def row(family: str, policy: str, nodes: int, tasks: int, episodes: Sequence[Episode], **more: Any) -> Row:
    """Means of episodes, of which the n-th is of task n % tasks."""
    rates = np.array([e.success for e in episodes], dtype=float).reshape(-1, tasks).mean(axis=0)
    limits = bounded_mean(rates, 0.025)
    turns, tokens, verifier_calls = (
        float(np.mean([getattr(e.cost, name) for e in episodes])) for name in ("turns", "tokens", "verifier_calls")
    )
    return Row(family, policy, nodes, limits.value, limits.low, limits.high, turns, tokens, verifier_calls, **more)


def measure(name: str, policy: str, tasks: int, nodes: Sequence[int], seed: int, say: Callable[[Row], None]) -> None:
    family = FAMILIES[name]
    acting, budget = actor(policy, name, family)
    asked = [family.task("test", i) for i in range(tasks)]
    seeds = [derive(seed, name, i) for i in range(SAMPLES * tasks)]
    plain = rollout(acting, family, asked * SAMPLES, World.LIVE, seeds, budget=budget)
    one = row(name, "one sample", 0, tasks, plain)
    say(one)
    won = np.array([e.success for e in plain], dtype=np.int64).reshape(-1, tasks).sum(axis=0)
    for title, settings in SEARCHES.items():
        for budgeted in nodes:
            config = SearchConfig(nodes=budgeted, **settings)
            found = search(acting, family, asked, World.LIVE, seeds[:tasks], config, budget=budget)
            spent = float(np.mean([e.cost.tokens for e in found]))
            k = min(SAMPLES, math.ceil(spent / one.tokens))
            rival = float(pass_at_k(np.full(tasks, SAMPLES, dtype=np.int64), won, k).mean())
            say(row(name, title, budgeted, tasks, found, k=k, best_of_k=rival))


def line(one: Row) -> str:
    rival = "" if one.best_of_k is None else f"{one.best_of_k:.3f} (k = {one.k})"
    limits = f"{one.success:.3f} [{one.low:.3f}, {one.high:.3f}]"
    nodes = str(one.nodes or "")
    return (
        f"{one.family:10} {one.policy:20} {nodes:>6} {limits:>22} {one.turns:7.1f} {one.tokens:8.0f} "
        f"{one.verifier_calls:9.1f}  {rival}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--policy", default="wanderer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: list[Row] = []

    def say(one: Row) -> None:
        rows.append(one)
        if not arguments.json:
            print(line(one), flush=True)

    if not arguments.json:
        heads = f"{'success':>22} {'turns':>7} {'tokens':>8} {'verifier':>9}  best of k at these tokens"
        print(f"{'family':10} {'policy':20} {'nodes':>6} {heads}")
    for name in arguments.families:
        measure(name, arguments.policy, arguments.tasks, arguments.nodes, arguments.seed, say)
    if arguments.json:
        print(json.dumps([asdict(one) for one in rows], indent=1))


if __name__ == "__main__":
    main()
