"""Does a family keep its word? The checks behind ``reachlab check-env``, and for a third party's one-line test::

    def test_it_is_sound() -> None:
        require(check_family(MyFamily()))

Everything is played with scripted policies through the real interaction core; counts are compared at one-sided .001.
Not covered: whether the stated bound is the best one; token ids and masks (``studies.soundness``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

from gymnasium.utils.env_checker import check_env
from scipy.stats import binomtest

from reachlab import SUCCESS, Family, Split, StopReason, Task, World
from reachlab.envs.core import Interaction
from reachlab.envs.environment import ReachEnv
from reachlab.findings import Finding, broken, gather, global_randomness, kept, note
from reachlab.seeding import generator
from reachlab.tools.hermes import Hermes

TASKS = 64
ALPHA = 0.001
GUESSES = 8
"""Of the guesser at each task."""


def check_family(family: Family, tasks: int = TASKS) -> list[Finding]:
    """Every promise of a family, on its first *tasks* test tasks."""
    if not isinstance(family, Family):
        wanted = [name for name in dir(Family) if not name.startswith("_")]
        missing = [name for name in wanted if not hasattr(family, name)]
        return [broken("it is a reachlab.Family", f"without {', '.join(missing)}", "see reachlab.Family")]
    checks = (
        ("tasks", _tasks),
        ("gymnasium", _gymnasium),
        ("optimum", _optimum),
        ("closed", _closed),
        ("no information", _no_information),
        ("donor", _donor),
        ("oracle", _oracle),
        ("time", _time),
        ("snapshots", _snapshots),
        ("reward", _reward),
    )
    return gather((promise, partial(check, family, tasks)) for promise, check in checks)


def play(family: Family, task: Task, world: World) -> Interaction:
    """One episode of the scripted solution, in a world that answers calls or refuses them."""
    episode, observed = Interaction(family, task, world), list[str]()
    while episode.stop is None:
        episode.step(family.solution(task, observed))
        observed += [result.text for result in episode.last.results]
    return episode


def _test(family: Family, count: int) -> list[Task]:
    return [family.task("test", seed) for seed in range(count)]


def _tasks(family: Family, count: int) -> Iterator[Finding]:
    splits: tuple[Split, ...] = ("train", "test")
    with global_randomness() as used:
        first, second = ([family.task(split, s) for split in splits for s in range(count)] for _ in range(2))
    if first == second:
        yield kept("a seed fixes the task")
    else:
        yield broken("a seed fixes the task", "asked twice it differs", "draw from reachlab.seeding.generator")
    if used:
        yield broken("no global randomness", f"it uses {', '.join(used)}", "draw from reachlab.seeding.generator")
    else:
        yield kept("no global randomness")
    asked = [{task.messages for task in first if task.split == split} for split in splits]
    if common := asked[0] & asked[1]:
        yield broken("splits share no question", repr(min(common)[-1].content[:80]), "draw each from its own half")
    else:
        yield kept("splits share no question", f"{len(asked[0])} and {len(asked[1])} different ones")
    refused = [task.id for task in first if any(task.verify(answer) < SUCCESS for answer in task.answers)]
    if refused:
        yield broken("accepted answers are accepted", refused[0], "score every listed answer as a success")
    else:
        yield kept("accepted answers are accepted")


def _gymnasium(family: Family, count: int) -> Iterator[Finding]:
    for world in World:
        try:
            with warnings.catch_warnings(action="error"):
                check_env(ReachEnv(family, world), skip_render_check=True)
        except Exception as error:  # what check_env finds comes in many types
            yield broken(f"gymnasium: {world}", f"{type(error).__name__}: {error}", "see gymnasium's check_env")
            return
    yield kept("gymnasium accepts it", "check_env in all six worlds")


def _optimum(family: Family, count: int) -> Iterator[Finding]:
    tasks = _test(family, count)
    episodes = [play(family, task, World.LIVE) for task in tasks]
    faults = [e for e in episodes if e.stop is not None and e.stop.is_fault]
    if faults:
        yield broken("no faults", faults[0].detail, "raise ToolException for what the caller did wrong, mend the rest")
    won, stated = sum(e.reward >= SUCCESS for e in episodes), sum(map(family.optimum, tasks)) / count
    seen = f"{won} of {count} solved, stated {stated:.3g}"
    low, high = _limits(won, count)
    if (won < count if stated == 1 else high < stated) or low > stated:
        yield broken("the script reaches the optimum", seen, "mend solution, optimum, or the budget")
    else:
        yield kept("the script reaches the optimum", seen)


def _closed(family: Family, count: int) -> Iterator[Finding]:
    episodes = [play(family, task, World.CLOSED) for task in _test(family, min(count, 16))]
    called = [e for e in episodes if e.calls]
    if any(e.stop is not StopReason.FORBIDDEN or e.reward for e in called) or any(e.prompt.tools for e in episodes):
        yield broken("closed is closed", "a call was answered", "offer nothing outside Family.tools")
    else:
        yield kept("closed is closed", f"{len(called)} episodes with a call ended as failures")


def _no_information(family: Family, count: int) -> Iterator[Finding]:
    """Shuffled observations may help no more than guessing; guessing no more than the stated bound."""
    tasks = _test(family, 4 * count)
    guesses = [family.guess(t, generator(t.seed, "check-guess", i)) for t in tasks for i in range(GUESSES)]
    hits = sum(t.verify(guesses[n * GUESSES + i]) >= SUCCESS for n, t in enumerate(tasks) for i in range(GUESSES))
    low, chance = _limits(hits, len(guesses))
    bounds = [family.p0_bound(task) for task in tasks]
    known = [b for b in bounds if b is not None]
    told = f"guesser {hits} of {len(guesses)}"
    if len(known) < len(tasks):
        yield note("bound on p0", f"none for every task; {told}")
    elif low > sum(known) / len(known):
        yield broken("bound on p0", f"{told}, bound {sum(known) / len(known):.3g}", "state a bound that holds")
    else:
        yield kept("bound on p0", f"{told}, bound {sum(known) / len(known):.3g}")
    won = sum(play(family, task, World.SHUFFLED).reward >= SUCCESS for task in tasks)
    least, _ = _limits(won, len(tasks))
    seen = f"script {won} of {len(tasks)}, {told}"
    if least > chance:
        fix = "redraw every hidden fact in donor(); tools that only compute say metadata={'computes': True}"
        yield broken("shuffled tells nothing", seen, fix)
    else:
        yield kept("shuffled tells nothing", seen)


def _donor(family: Family, count: int) -> Iterator[Finding]:
    tasks = _test(family, count)
    donors = [family.donor(task) for task in tasks]
    if any(donor.difficulty != task.difficulty for donor, task in zip(donors, tasks, strict=True)):
        yield broken("a donor is as hard", "its dials differ", "draw it with the dials of the task")
    same = sum(bool(d.answers) and d.answers == t.answers for d, t in zip(donors, tasks, strict=True))
    seen = f"{same} of {count} have the task's answers"
    if same > count / 2:
        yield broken("a donor has other facts", seen, "redraw every hidden fact")
    else:
        yield kept("a donor has other facts", seen)


def _oracle(family: Family, count: int) -> Iterator[Finding]:
    tasks = [t for t in _test(family, count) if t.answers]
    hidden = [t for t in tasks if not any(a in t.evidence for a in t.answers)]
    if hidden:
        seen = f"not in the evidence of {len(hidden)} of {len(tasks)}, {hidden[0].id} first"
        yield note("oracle shows the answer", seen)
    else:
        yield kept("oracle shows the answer")


def _time(family: Family, count: int) -> Iterator[Finding]:
    task, ticks = family.task("test", 0), iter([0.0])
    late = Interaction(family, task, World.LIVE, clock=lambda: next(ticks, 1e9))
    end = late.step(family.solution(task, []))
    if end.stop is StopReason.SECONDS and end.stop.is_fault and not end.reward:
        yield kept("the time limit is kept", f"{family.budget.seconds:g} s, a fault")
    else:
        yield broken("the time limit is kept", f"past it the episode was {end.stop}", "set Budget.seconds")


def _snapshots(family: Family, count: int) -> Iterator[Finding]:
    env, other = ReachEnv(family, split="test"), ReachEnv(family, split="test")
    env.reset(seed=0)
    task = env.episode.task
    if env.episode.unrestorable:
        yield note("snapshots", f"none: {', '.join(env.episode.unrestorable)} keep state across calls")
        env.close()
        return
    env.step(family.solution(task, []))
    if env.episode.stop is None:
        other.restore(env.snapshot())
        seen = [result.text for result in env.episode.last.results]
        one, two = (e.step(family.solution(task, seen))[:4] for e in (env, other))
        if one != two:
            fix = "keep state out of tools, or say metadata={'stateful': True}"
            yield broken("a snapshot restores", f"{one!r}, restored {two!r}", fix)
            return
    yield kept("a snapshot restores")


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


def _limits(hits: int, attempts: int) -> tuple[float, float]:
    """One-sided Clopper-Pearson limits of a proportion, each at ``ALPHA``."""
    interval = binomtest(hits, attempts).proportion_ci(1 - 2 * ALPHA, "exact")
    return float(interval.low), float(interval.high)

