"""Rollouts through vLLM beside rollouts through transformers: the same model, tasks and seeds, in one process.

Command: ``.venv-vllm/bin/python benchmarks/vllm_rollouts.py [--policy tiny] [--repeats 7] [--json]``. One thread;
medians with the range over the repeats, and the ratio within each repeat: absolute numbers mean little across machines.

==============  ================================================================================================
live            Lexicon, 256 episodes: they end when they end
equal           256 turns of exactly 24 tokens
straggler       the same, but one turn of 256 tokens: what a batch that waits for its longest row pays
slow tool       64 episodes of Lexicon, whose search takes 50 ms for one task in eight: what going in step pays
sync            taking over new weights: written, and proved on the probe
==============  ================================================================================================

Both sample by the same draws, so both say the same. Not covered: TRL, several devices, models of real size.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from langchain_core.tools import BaseTool, StructuredTool

from reachlab import ActRequest, Prompt, Task, World
from reachlab.envs.core import Interaction
from reachlab.envs.lexicon import Lexicon
from reachlab.policies.huggingface import HuggingFacePolicy, load, tiny
from reachlab.policies.vllm import load as load_vllm
from reachlab.studies.rollout import rollout

EPISODES, TURN, LONG = 256, 24, 256
FAMILY = Lexicon()
TASKS = [FAMILY.task("train", i // 16) for i in range(EPISODES)]
Measured = dict[str, list[float]]


@dataclass(frozen=True)
class SlowLexicon:
    """Lexicon, whose search takes *seconds* for one task in eight."""

    seconds: float

    def __getattr__(self, name: str) -> Any:
        return getattr(FAMILY, name)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        [search] = FAMILY.tools(task)
        if task.seed % 8:
            return [search]

        def slow(query: str) -> str:
            time.sleep(self.seconds)
            return str(search.invoke({"query": query}))

        return [StructuredTool.from_function(slow, name=search.name, description=search.description)]


def play(policy: HuggingFacePolicy, count: int, repeat: int, family: Any = FAMILY) -> None:
    seeds = range(repeat * EPISODES, repeat * EPISODES + count)
    rollout(policy, family, [family.task("train", i) for i in range(count)], World.LIVE, seeds)


def turns(policy: HuggingFacePolicy, repeat: int, longest: int) -> None:
    """One turn each, that only the limit of tokens ends."""
    session: Any = policy.session()
    session.stop_ids = frozenset()
    prompts: list[Prompt] = [Interaction(FAMILY, task, World.LIVE).prompt for task in TASKS]
    handles = session.start(prompts, [repeat * EPISODES + i for i in range(EPISODES)])
    limits = [longest if i == 0 else TURN for i in range(EPISODES)]
    said = dict(session.act([ActRequest(h, n) for h, n in zip(handles, limits, strict=True)]))
    assert [len(said[h].ids) for h in handles] == limits


def nudged(policy: HuggingFacePolicy) -> None:
    """Weights that the engine does not have yet, and one token."""
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.0 + 1e-6)
    session = policy.session()
    [handle] = session.start([Interaction(FAMILY, TASKS[0], World.LIVE).prompt], [0])
    list(session.act([ActRequest(handle, 1)]))


def clock(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure(name: str, repeats: int) -> Measured:
    """Per repeat: episodes per second of each engine, their ratio; seconds of a sync."""
    torch.set_num_threads(1)
    policies = {"transformers": tiny() if name == "tiny" else load(name), "vllm": load_vllm(name)}
    slow = SlowLexicon(0.05)
    loads: dict[str, tuple[int, Callable[[HuggingFacePolicy, int], None]]] = {
        "live": (EPISODES, lambda policy, repeat: play(policy, EPISODES, repeat)),
        "equal": (EPISODES, lambda policy, repeat: turns(policy, repeat, TURN)),
        "straggler": (EPISODES, lambda policy, repeat: turns(policy, repeat, LONG)),
        "slow tool": (64, lambda policy, repeat: play(policy, 64, repeat, slow)),
    }
    found: Measured = {}
    for repeat in range(-1, repeats):  # the first warms up
        for load_name, (count, run) in loads.items():
            rates = {engine: count / clock(partial(run, policy, repeat)) for engine, policy in policies.items()}
            if repeat >= 0:
                for engine, rate in rates.items():
                    found.setdefault(f"{load_name}, {engine}, episodes/s", []).append(rate)
                ratio = rates["vllm"] / rates["transformers"]
                found.setdefault(f"{load_name}, vllm / transformers", []).append(ratio)
        if repeat >= 0:
            found.setdefault("sync, ms", []).append(1000 * clock(lambda: nudged(policies["vllm"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="tiny", help="folder or hub name")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.policy, arguments.repeats)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{arguments.policy}, {platform.machine()}, one thread of {len(os.sched_getaffinity(0))} processors")
    for name, values in found.items():
        print(f"{name:40} median {statistics.median(values):9.2f}   range {min(values):.2f} to {max(values):.2f}")


if __name__ == "__main__":
    main()
