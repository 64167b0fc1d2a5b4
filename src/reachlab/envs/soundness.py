"""Does a family keep its word? The checks behind ``reachlab check-env``, and for a third party's one-line test::

    def test_it_is_sound() -> None:
        require(check_family(MyFamily()))

Everything is played with scripted policies through the real interaction core; what the worlds without information
tell is in ``envs.information``. Not covered: whether the stated bound is the best one; token ids and masks
(``studies.soundness``); a family whose own code never returns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import gymnasium
from gymnasium.utils.env_checker import check_env

from reachlab import SUCCESS, Family, Split, StopReason, Task, World
from reachlab.envs.core import Interaction
from reachlab.envs.environment import ReachEnv
from reachlab.envs.information import asked, check_closed, check_donor, check_information, check_oracle, limits, play
from reachlab.findings import Finding, broken, gather, global_randomness, kept, note
from reachlab.tools.hermes import Hermes

TASKS = 64
HOSTILE = ("", "?", "\ud800", "\x00", "nan", "-1", "9" * 5000, "9**9**9**9", "(" * 500, "[[" * 200, "x" * 100_000, "{}")
"""Texts that a policy may write and no task asks for. The first two say nothing."""


def check_family(family: Family, tasks: int = TASKS) -> list[Finding]:
    """Every promise of a family, on its first *tasks* test tasks."""
    if _is_gymnasium(family):
        fix = "wrap it: reachlab.envs.textgym.TextGym(MyEnv), or the family textgym with --dial env=module:MyEnv"
        return [broken("it is a reachlab.Family", "a Gymnasium environment", fix)]
    if not isinstance(family, Family):
        wanted = [name for name in dir(Family) if not name.startswith("_")]
        missing = [name for name in wanted if not hasattr(family, name)]
        return [broken("it is a reachlab.Family", f"without {', '.join(missing)}", "see reachlab.Family")]
    checks = (
        ("tasks", _tasks),
        ("gymnasium", _gymnasium),
        ("results", _results),
        ("optimum", _optimum),
        ("closed", check_closed),
        ("verifier", _verifier),
        ("no information", check_information),
        ("donor", check_donor),
        ("oracle", check_oracle),
        ("time", _time),
        ("snapshots", _snapshots),
        ("reward", _reward),
    )
    return _once(gather((promise, partial(check, family, tasks)) for promise, check in checks))


def _is_gymnasium(family: object) -> bool:
    if isinstance(family, gymnasium.Env) or (isinstance(family, type) and issubclass(family, gymnasium.Env)):
        return True
    return not hasattr(family, "task") and hasattr(family, "reset") and hasattr(family, "step")


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """One cause that ends several checks is one problem: the first, which names the others."""
    found: dict[object, list[Finding]] = {}
    for place, f in enumerate(findings):
        found.setdefault((f.detail, f.fix) if f.status == "problem" else place, []).append(f)
    return [
        replace(first, detail=f"{first.detail} (also ends: {', '.join(f.promise for f in rest)})") if rest else first
        for first, *rest in found.values()
    ]


def _tasks(family: Family, count: int) -> Iterator[Finding]:
    splits: tuple[Split, ...] = ("train", "test")
    with global_randomness() as used:
        first, second = ([task for split in splits for task in asked(family, split, count)] for _ in range(2))
    if first == second:
        yield kept("a seed fixes the task")
    else:
        yield broken("a seed fixes the task", "asked twice it differs", "draw from reachlab.seeding.generator")
    if used:
        yield broken("no global randomness", f"it uses {', '.join(used)}", "draw from reachlab.seeding.generator")
    else:
        yield kept("no global randomness")
    yield _splits(*([task for task in first if task.split == split] for split in splits))
    refused = [task.id for task in first if any(task.verify(answer) < SUCCESS for answer in task.answers)]
    if refused:
        yield broken("accepted answers are accepted", refused[0], "score every listed answer as a success")
    else:
        yield kept("accepted answers are accepted")


def _splits(train: Sequence[Task], test: Sequence[Task]) -> Finding:
    """A question that stands in both splits can be learnt by heart, unless training gives it different answers."""
    taught: dict[object, list[tuple[str, ...]]] = {}
    for task in train:
        taught.setdefault(task.messages, []).append(task.answers)
    common = [task.messages for task in test if task.messages in taught]
    learnable = [messages for messages in common if not _varied(taught[messages])]
    if learnable:
        seen = f"{len(learnable)} of {len(test)}, {learnable[0][-1].content[:80]!r} first"
        return broken("splits share no question", seen, "draw each from its own half")
    if common:
        seen = f"{len(set(common))} prompts are posed in both, each with different hidden facts"
        return note("splits share no question", seen)
    return kept("splits share no question", f"{len(taught)} and {len({task.messages for task in test})} different ones")


def _varied(answers: Sequence[tuple[str, ...]]) -> bool:
    """Whether one prompt hides different facts; where no answer is listed, whether it was posed more than once."""
    return len(set(answers)) > 1 or (len(answers) > 1 and not answers[0])


def _gymnasium(family: Family, count: int) -> Iterator[Finding]:
    for world in World:
        try:
            with warnings.catch_warnings(action="error"):
                check_env(ReachEnv(family, world), skip_render_check=True)
        except Exception as error:  # what check_env finds comes in many types
            yield broken(f"gymnasium: {world}", f"{type(error).__name__}: {error}", "see gymnasium's check_env")
            return
    yield kept("gymnasium accepts it", "check_env in all six worlds")


def _results(family: Family, count: int) -> Iterator[Finding]:
    """What the script's first turn gets, which no script needs to have understood."""
    tasks = asked(family, "test", min(count, 16))
    episodes = [Interaction(family, task, World.LIVE) for task in tasks]
    for episode in episodes:
        episode.step(family.solution(episode.task, []))
        episode.close()
    empty = sum(any(not result.text for result in episode.last.results) for episode in episodes)
    if empty:
        seen = f"an empty result in {empty} of {len(tasks)} episodes"
        yield broken("live results say something", seen, "return a text: an empty one is what the silent world returns")
    else:
        yield kept("live results say something")


def _optimum(family: Family, count: int) -> Iterator[Finding]:
    tasks = asked(family, "test", count)
    episodes = [play(family, task, World.LIVE) for task in tasks]
    faults = [e for e in episodes if e.stop is not None and e.stop.is_fault]
    if faults:
        yield broken("no faults", faults[0].detail, "raise ToolException for what the caller did wrong, mend the rest")
    won, stated = sum(e.reward >= SUCCESS for e in episodes), sum(map(family.optimum, tasks)) / len(tasks)
    seen = f"{won} of {len(tasks)} solved, stated {stated:.3g}"
    low, high = limits(won, len(tasks))
    if (won < len(tasks) if stated == 1 else high < stated) or low > stated:
        yield broken("the script reaches the optimum", seen, "mend solution, optimum, or the budget")
    else:
        yield kept("the script reaches the optimum", seen)


def _verifier(family: Family, count: int) -> Iterator[Finding]:
    """Any text has a reward in [0, 1], saying nothing has none, and a verifier that says exact is."""
    for task in asked(family, "test", min(count, 4)):
        for text in HOSTILE:
            shown = f"{task.id}: {text[:20]!r}"
            try:
                paid = float(task.verify(text))
            except Exception as error:  # whatever a third party's verifier does
                fix = "score what cannot be read as 0: a verifier that crashes is a fault"
                yield broken("any text is scored", f"{shown} -> {type(error).__name__}: {error}", fix)
                return
            if math.isnan(paid) or not 0 <= paid <= 1:
                yield broken("any text is scored", f"{shown} -> {paid}", "return a number from 0 to 1")
                return
            if text in HOSTILE[:2] and paid >= SUCCESS:
                yield broken("saying nothing is not paid", f"{shown} -> {paid}", "accept answers only")
                return
        looser = [text for answer in task.answers for text in (f"{answer} ", f" {answer}", f"{answer}.")]
        taken = [text for text in looser if text not in task.answers and task.verify(text) > 0]
        if task.verifier.exact and taken:
            fix = "say exact = False: p0 is enumerated where a verifier says exact, and would be too low"
            yield broken("exact is exact", f"{task.id} accepts {taken[0]!r}", fix)
            return
    yield kept("any text is scored", "none of them pays for saying nothing")


def _time(family: Family, count: int) -> Iterator[Finding]:
    task, ticks = family.task("test", 0), iter([0.0])
    late = Interaction(family, task, World.LIVE, clock=lambda: next(ticks, 1e9))
    end = late.step(family.solution(task, []))
    if end.stop is StopReason.SECONDS and end.stop.is_fault and not end.reward:
        yield kept("the time limit is kept", f"{family.budget.seconds:g} s, a fault")
    else:
        yield broken("the time limit is kept", f"past it the episode was {end.stop}", "set Budget.seconds")


def _snapshots(family: Family, count: int) -> Iterator[Finding]:
    for world in (World.LIVE, World.SHUFFLED):
        env, other = ReachEnv(family, world, split="test"), ReachEnv(family, world, split="test")
        env.reset(seed=0)
        task = env.episode.task
        if env.episode.unrestorable:
            yield note("snapshots", f"none: the state of {', '.join(env.episode.unrestorable)} cannot be restored")
            env.close()
            return
        env.step(family.solution(task, []))
        if env.episode.stop is not None:
            continue
        other.restore(env.snapshot())
        seen = [result.text for result in env.episode.last.results]
        one, two = (e.step(family.solution(task, seen))[:4] for e in (env, other))
        if one != two:
            fix = "keep state out of tools, or say metadata={'stateful': True}"
            yield broken("a snapshot restores", f"{one!r}, restored {two!r}", fix)
            return
    yield kept("a snapshot restores", "in live and shuffled")


def _reward(family: Family, count: int) -> Iterator[Finding]:
    """What a caller does to the objects it is handed must not reach the episode. The answer is a wrong one."""
    honest, forged = ReachEnv(family, split="test"), ReachEnv(family, split="test")
    rewards = []
    for env in (honest, forged):
        observed: list[str] = []
        _, info = env.reset(seed=1)
        total, done = 0.0, False
        while not done:
            if env is forged:
                _forge(info)
            action = family.solution(env.episode.task, observed)
            action = action if Hermes().parse(action) else "?"
            _, reward, terminated, truncated, info = env.step(action)
            observed += [result["text"] for result in info["results"]]
            total, done = total + reward, terminated or truncated
        rewards.append(total)
    if rewards[0] == rewards[1]:
        yield kept("the reward cannot be written")
    else:
        yield broken("the reward cannot be written", f"{rewards}", "hand out copies, never what the episode rests on")


def _forge(info: dict[str, object]) -> None:
    for value in info.values():
        if isinstance(value, list):
            value.clear()
    info.update(stop="answered", reward=1.0, task_seed=0)
