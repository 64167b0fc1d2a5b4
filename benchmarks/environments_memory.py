"""Memory of 1,000 parallel environments of each family, in one process.

Command: ``python benchmarks/environments_memory.py [--environments 1000] [--families lock maze] [--json] [--check]``.

In a fresh process for each family ``gymnasium.make_vec`` makes them, all in that process; they are reset together and
play their scripted solutions turn by turn. Shown is proportional set size (pages that are shared count once) of the
process and all its children: the most that was seen after any of these steps, imports included, and how much that is
more than after one episode and before they were made. ``--check`` exits with 1 where the whole is over 1 GB.

Not covered: processes for the environments (``make_vec`` with ``"async"`` pays the imports again in each), sandboxes
that stay open between turns (Program's close with the last call of the budget, which is the first by default).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import gymnasium

from reachlab import Family, World
from reachlab.envs import ENVIRONMENTS, SYNTHETIC, ReachEnv
from reachlab.envs.information import play
from reachlab.registry import Spec
from reachlab.tools.code import close_sandboxes

MOST_MEGABYTES = 1_000.0


def megabytes(pid: int) -> float:
    """Proportional set size of a process and all that descend from it, now."""
    total = 0.0
    try:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(megabytes(int(child)) for child in children.read_text().split())
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it ended meanwhile
        return total
    return total + sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1.024e-3


def memory(name: str, count: int) -> dict[str, float]:
    """Of *count* environments of a family in this process."""
    family: Family = Spec(name).build("families")
    play(family, family.task("train", 0), World.LIVE)  # what one episode imports and starts
    before = megabytes(os.getpid())
    many = gymnasium.make_vec(next(i for i, f in ENVIRONMENTS.items() if f == name), num_envs=count)
    try:
        many.reset(seed=0)
        peak = megabytes(os.getpid())
        inner: list[ReachEnv] = [env.unwrapped for env in many.envs]  # type: ignore[attr-defined]
        for _ in range(family.budget.turns):
            many.step(tuple(map(next_turn, inner)))
            peak = max(peak, megabytes(os.getpid()))
    finally:
        many.close()
        close_sandboxes()
    return {"MB": peak, "grown": peak - before}


def next_turn(env: ReachEnv) -> str:
    """What the scripted solution says; nothing to an environment that is reset now, for its episode has ended."""
    if env.episode.stop is not None:
        return ""
    observed = [result.text for action in env.episode.log for result in action.step.results]
    return env.family.solution(env.episode.task, observed)


def measure(names: Sequence[str], count: int) -> dict[str, dict[str, float]]:
    found = {}
    for name in names:
        print(f"{count} of {name}", file=sys.stderr, flush=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            found[name] = fresh.submit(memory, name, count).result()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=int, default=1_000)
    parser.add_argument("--families", nargs="*", choices=SYNTHETIC, default=SYNTHETIC, metavar="NAME")
    parser.add_argument("--most", type=float, default=MOST_MEGABYTES, help="promised MB")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = measure(options.families, options.environments)
    if options.json:
        print(json.dumps({"environments": options.environments, "rows": found}))
    else:
        print(f"| {options.environments:,} environments | MB in all | MB more than before |\n|---|---|---|")
        for name, row in found.items():
            print(f"| {name} | {row['MB']:.0f} | {row['grown']:.0f} |")
    over = {name: round(row["MB"]) for name, row in found.items() if row["MB"] > options.most}
    if options.check and over:
        sys.exit(f"promised: {options.most:g} MB; found: {over}")


if __name__ == "__main__":
    main()
