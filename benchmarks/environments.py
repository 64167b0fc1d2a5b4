"""Turns per second of one core through the environments, next to the bare tools.

Command: ``python benchmarks/environments.py [--rounds 7] [--seconds .3] [--families lock maze] [--json] [--check]``.

core: ``envs.core.Interaction``, which the rollout engine drives. gymnasium: ``ReachEnv`` (``reset`` poses the task and
``info`` is built on every turn), without Gymnasium's own checking wrappers. bare tool: the functions alone, called
with the arguments of the same episodes; they must return what the episodes saw. The ratio is turns per second through
the core over bare calls per second. ``no-op`` is a tool that returns its argument: three calls and an answer, so its
turns are the environment's own time. The other rows are registered families, live. Turns are what the scripted
solution says, written beforehand, and the tasks have been seen before; opening and closing episodes counts, and so does
the verifier. Program's bare tool has a session of the sandbox that is open already; its episodes open one each.

All that is bound to one processor; ``core, free`` may use them all (calls are handed to a thread, which the system may
put on another core). Ways and rows take turns within one run; shown are medians over the rounds, with the least and
the most; the ratio is taken within each round. ``--check`` exits with 1 where the no-op makes less than ``--least``
turns per second through the core or through Gymnasium.

Not covered: memory (``environments_memory.py``), a policy, prompts as tokens, tasks never seen before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from langchain_core.tools import BaseTool, tool

from reachlab import Budget, Family, Message, Split, Task, World
from reachlab.envs import SYNTHETIC, ReachEnv
from reachlab.envs.core import Interaction
from reachlab.envs.information import play
from reachlab.envs.verifiers import VERIFIERS
from reachlab.registry import Spec
from reachlab.tools import prepare
from reachlab.tools.code import close_sandboxes
from reachlab.tools.episodic import PerEpisode
from reachlab.tools.hermes import Hermes

T = TypeVar("T")
Ways = dict[str, Callable[[], int]]
Summary = dict[str, float]
NO_OP = "no-op"
TASKS = 24


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


@dataclass(frozen=True)
class NoOp:
    """Three calls of a tool that does nothing, then the answer."""

    name: str = NO_OP
    version: str = "0"
    mechanism: str = "nothing"
    budget: Budget = Budget(turns=4, calls=3)

    def task(self, split: Split, seed: int) -> Task:
        messages = (Message("user", "Say a."),)
        return Task(f"{NO_OP}-{split}-{seed}", messages, ("a",), VERIFIERS["exact"], "a", (), seed, split)

    def donor(self, task: Task) -> Task:
        return task

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [echo]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        return "a" if len(observations) == self.budget.calls else Hermes().render("echo", {"text": "a"})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return "a"

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0


@dataclass(frozen=True)
class Called:
    """One call of an episode as a call of the function behind the tool."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    episodic: Mapping[str, PerEpisode]
    returned: str


@dataclass(frozen=True)
class Script:
    """One episode of the scripted solution."""

    task: Task
    turns: tuple[str, ...]
    calls: tuple[Called, ...]
    opens: frozenset[PerEpisode]
    reward: float


def script_of(family: Family, task: Task) -> Script:
    episode = play(family, task, World.LIVE)
    results = [result for action in episode.log for result in action.step.results]
    tools = {tool.name: tool for tool in family.tools(task)}
    calls = [
        Called(tools[call.name].func, call.arguments, prepare(tools[call.name]).episodic, result.text)  # type: ignore[attr-defined]
        for call, result in zip(episode.calls, results, strict=True)
    ]
    opens = frozenset(marker for call in calls for marker in call.episodic.values())
    return Script(task, tuple(action.text for action in episode.log), tuple(calls), opens, episode.reward)


def through_core(family: Family, written: Sequence[Script]) -> int:
    """Plays every script once; the number of turns."""
    for script in written:
        episode = Interaction(family, script.task, World.LIVE)
        for text in script.turns:
            episode.step(text)
        assert episode.reward == script.reward and episode.stop is not None, episode.detail
    return sum(len(script.turns) for script in written)


def through_gymnasium(env: ReachEnv, written: Sequence[Script]) -> int:
    for script in written:
        env.reset(options={"task_seed": script.task.seed})
        for text in script.turns:
            _, reward, terminated, _, _ = env.step(text)
        assert reward == script.reward and terminated
    return sum(len(script.turns) for script in written)


def through_bare(written: Sequence[Script], held: Mapping[PerEpisode, Any]) -> int:
    """Calls every function once; the number of calls. What an episode must have for itself is opened for it."""
    for script in written:
        opened = {marker: held[marker] if marker in held else marker.open() for marker in script.opens}
        for call in script.calls:
            arguments = call.arguments
            if call.episodic:
                arguments = {**arguments, **{name: opened[m] for name, m in call.episodic.items()}}
            assert call.function(**arguments) == call.returned
    return sum(len(script.calls) for script in written)


@contextmanager
def sessions(written: Sequence[Script]) -> Iterator[dict[PerEpisode, Any]]:
    """What the episodes' tools open and what calls alone do not bring back: one of each."""
    markers = {marker for script in written for marker in script.opens if not marker.replays}
    with ExitStack() as stack:
        yield {marker: stack.enter_context(closing(marker.open())) for marker in markers}


def rate(once: Callable[[], int], seconds: float) -> float:
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds or not done:  # at least once
        done += once()
    return done / spent


@contextmanager
def bound_to(processors: set[int]) -> Iterator[Callable[[Callable[[], T]], T]]:
    """Runs work in a thread that, with every thread it starts, keeps to *processors*."""
    with ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, processors)) as thread:
        yield lambda work: thread.submit(work).result()


@contextmanager
def ways_of(family: Family) -> Iterator[Ways]:
    written = [script_of(family, family.task("train", seed)) for seed in range(TASKS)]
    with closing(ReachEnv(family)) as env, sessions(written) as held:
        env.reset(seed=0)
        ways: Ways = {
            "core": partial(through_core, family, written),
            "gymnasium": partial(through_gymnasium, env, written),
            "bare": partial(through_bare, written, held),
        }
        for way in ways.values():
            way()  # warm-up
        yield ways


def measure(names: Sequence[str], rounds: int, seconds: float) -> dict[str, dict[str, Summary]]:
    found: dict[str, dict[str, list[float]]] = {}
    everywhere = os.sched_getaffinity(0)
    with bound_to({max(everywhere)}) as here, bound_to(everywhere) as free, ExitStack() as stack:
        stack.callback(close_sandboxes)
        families: dict[str, Family] = {NO_OP: NoOp(), **{name: Spec(name).build("families") for name in names}}
        rows = {name: here(partial(stack.enter_context, ways_of(family))) for name, family in families.items()}
        for turn in range(rounds):
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
            for name, ways in rows.items():
                told = found.setdefault(name, {"core": [], "gymnasium": [], "bare": [], "ratio": [], "free": []})
                for way in list(ways)[:: 1 if turn % 2 == 0 else -1]:
                    told[way].append(here(partial(rate, ways[way], seconds)))
                told["ratio"].append(told["core"][-1] / told["bare"][-1])
                told["free"].append(free(partial(rate, ways["core"], seconds)))
    return {name: {what: summary(values) for what, values in told.items()} for name, told in found.items()}


def summary(values: list[float]) -> Summary:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--families", nargs="*", choices=SYNTHETIC, default=SYNTHETIC, metavar="NAME")
    parser.add_argument("--least", type=float, default=20_000.0, help="promised turns/s")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    rows = measure(options.families, options.rounds, options.seconds)
    if options.json:
        print(json.dumps({"rounds": options.rounds, "seconds": options.seconds, "rows": rows}))
    else:
        _show(rows)
    slow = {way: round(rows[NO_OP][way]["median"]) for way in ("core", "gymnasium")}
    if options.check and min(slow.values()) < options.least:
        sys.exit(f"promised: {options.least:g} turns/s; found: {slow}")


def _show(rows: dict[str, dict[str, Summary]]) -> None:
    print("| family | core, turns/s | gymnasium, turns/s | core, free | bare tool, calls/s | core / bare |")
    print("|---|---|---|---|---|---|")
    for name, told in rows.items():
        cells = [_shown(told[way], 0) for way in ("core", "gymnasium", "free", "bare")] + [_shown(told["ratio"], 3)]
        print("|", " | ".join([name, *cells]), "|")


def _shown(values: Summary, places: int) -> str:
    return f"{values['median']:.{places}f} ({values['least']:.{places}f} to {values['most']:.{places}f})"


if __name__ == "__main__":
    main()
