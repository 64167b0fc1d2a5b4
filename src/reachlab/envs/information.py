"""What worlds without information and the oracle tell, measured: the part of ``envs.soundness`` against chance.

A script that reads its observations must win no more often in shuffled than a guesser does. One that knows its answers
(a demonstration: it wins in silent too) says nothing about shuffled, so results are read as well: a task's own answer
may stand in them no oftener than another task's. That holds for yes-no questions, where both stand there half the time.
Counts are compared at one-sided .001.

Replayed results are a control only if they differ: a script that gets errors, or the same for every task, is told.

Not covered: leaks that no answer in whole words shows (a paraphrase, the order of results).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from scipy.stats import binomtest

from reachlab import SUCCESS, Family, Split, StopReason, Task, World
from reachlab.envs.core import Interaction
from reachlab.envs.verifiers import normalise
from reachlab.findings import Finding, broken, kept, note
from reachlab.seeding import generator

ALPHA = 0.001
GUESSES = 8
"""Of the guesser at each task."""
MORE = 4
"""Times as many tasks as for other checks: small leaks are looked for."""
NEARLY_ALL = 0.9


def asked(family: Family, split: Split, most: int) -> list[Task]:
    """The first *most* tasks of a split, or as many as a finite family has."""
    size = getattr(family, "size", None)
    return [family.task(split, seed) for seed in range(min(most, size(split)) if callable(size) else most)]


def play(family: Family, task: Task, world: World) -> Interaction:
    """One episode of the scripted solution, in a world that answers calls or refuses them."""
    episode, observed = Interaction(family, task, world), list[str]()
    while episode.stop is None:
        episode.step(family.solution(task, observed))
        observed += [result.text for result in episode.last.results]
    return episode


def limits(hits: int, attempts: int) -> tuple[float, float]:
    """One-sided Clopper-Pearson limits of a proportion, each at ``ALPHA``."""
    interval = binomtest(hits, attempts).proportion_ci(1 - 2 * ALPHA, "exact")
    return float(interval.low), float(interval.high)


def check_information(family: Family, count: int) -> Iterator[Finding]:
    """Guessing may help no more than the stated bound; shuffled observations no more than guessing."""
    tasks = asked(family, "test", MORE * count)
    guesses = [(t, family.guess(t, generator(t.seed, "check-guess", i))) for t in tasks for i in range(GUESSES)]
    hits = sum(task.verify(guess) >= SUCCESS for task, guess in guesses)
    told = f"guesser {hits} of {len(guesses)}"
    low, chance = limits(hits, len(guesses))
    known = [bound for task in tasks if (bound := family.p0_bound(task)) is not None]
    if len(known) < len(tasks):
        yield note("bound on p0", f"none for every task; {told}")
    elif low > sum(known) / len(known):
        yield broken("bound on p0", f"{told}, bound {sum(known) / len(known):.3g}", "state a bound that holds")
    else:
        yield kept("bound on p0", f"{told}, bound {sum(known) / len(known):.3g}")
    silent = limits(wins := sum(_wins_in_silent(family, task) for task in tasks), len(tasks))
    if silent[0] > chance:
        seen = f"wins {wins} of {len(tasks)} in silent too: it shows that the reward can be had, not how"
        yield note("the script knows its answers", seen)
    yield from _results_differ(family, tasks[:count])
    yield from _shuffled(family, tasks, chance, max(chance, silent[1]) if silent[0] > chance else chance, told)
    yield from _prompt(tasks)


def check_donor(family: Family, count: int) -> Iterator[Finding]:
    """A donor has the task's answers no oftener than another task of the split has them."""
    tasks = asked(family, "test", count)
    donors = [family.donor(task) for task in tasks]
    if any(donor.difficulty != task.difficulty for donor, task in zip(donors, tasks, strict=True)):
        yield broken("a donor is as hard", "its dials differ", "draw it with the dials of the task")
    own = sum(bool(d.answers) and d.answers == t.answers for d, t in zip(donors, tasks, strict=True))
    other = sum(bool(d.answers) and d.answers == t.answers for d, t in zip(donors, _turned(tasks), strict=True))
    seen = f"{own} of {len(tasks)} have the task's answers, {other} another task's"
    if limits(own, len(tasks))[0] > limits(other, len(tasks))[1]:
        yield broken("a donor has other facts", seen, "redraw every hidden fact")
    else:
        yield kept("a donor has other facts", seen)


def check_closed(family: Family, count: int) -> Iterator[Finding]:
    episodes = [play(family, task, World.CLOSED) for task in asked(family, "test", min(count, 16))]
    called = [e for e in episodes if e.calls]
    if any(e.stop is not StopReason.FORBIDDEN or e.reward for e in called) or any(e.prompt.tools for e in episodes):
        yield broken("closed is closed", "a call was answered", "offer nothing outside Family.tools")
    else:
        yield kept("closed is closed", f"{len(called)} episodes with a call ended as failures")


def check_oracle(family: Family, count: int) -> Iterator[Finding]:
    tasks = [t for t in asked(family, "test", count) if t.answers]
    hidden = [t for t in tasks if not any(a in t.evidence for a in t.answers)]
    if hidden:
        seen = f"not in the evidence of {len(hidden)} of {len(tasks)}, {hidden[0].id} first"
        yield note("oracle shows the answer", seen)
    elif tasks:
        yield kept("oracle shows the answer")
    else:
        yield note("oracle shows the answer", "no task lists one: it cannot be told")


def _wins_in_silent(family: Family, task: Task) -> bool:
    try:
        return play(family, task, World.SILENT).reward >= SUCCESS
    except Exception:  # a script need not know what to make of nothing
        return False


def _shuffled(family: Family, tasks: Sequence[Task], chance: float, known: float, told: str) -> Iterator[Finding]:
    """*chance*: what a guess may hit; *known*: what the script may win without reading."""
    episodes = [play(family, task, World.SHUFFLED) for task in tasks]
    texts = [" ".join(m.content for m in e.messages if m.role == "tool") for e in episodes]
    won, (own, other) = sum(e.reward >= SUCCESS for e in episodes), _standing(tasks, texts)
    seen = f"script {won} of {len(tasks)}, {told}; results hold the answer {own} times, another task's {other} times"
    standing = limits(own, len(tasks))[0]
    if limits(won, len(tasks))[0] > known or standing > limits(other, len(tasks))[1]:
        fix = "redraw every hidden fact in donor(); tools that only compute say metadata={'computes': True}"
        yield broken("shuffled tells nothing", seen, fix)
        return
    yield kept("shuffled tells nothing", seen)
    if other and standing > chance:
        seen = f"{own} of {len(tasks)} hold the answer, among other tasks': whoever picks one may beat a guess"
        yield note("shuffled results hold answers", seen)


def _results_differ(family: Family, tasks: Sequence[Task]) -> Iterator[Finding]:
    """Shuffled shows what the donor's script got: if that is the same for every task, it is no control."""
    promise = "the script gets results to shuffle"
    fix = "give script=... with what the tool needs of a row, such as {country}; or mend solution()"
    got = [[r for a in play(family, task, World.LIVE).log for r in a.step.results] for task in tasks]
    wrong = [results[0].text for results in got if results and all(result.is_error for result in results)]
    if 2 * len(wrong) > len(tasks):
        yield broken(promise, f"errors in {len(wrong)} of {len(tasks)} tasks: {wrong[0][:120]!r}", fix)
        return
    texts = [" ".join(result.text for result in results) for results in got]
    text, same = _commonest(texts)
    # A page that holds every answer is found by _shuffled; answers that are all the same tell nothing either way.
    known = _standing(tasks, texts)[0] >= NEARLY_ALL * len(tasks)
    alike = _commonest([task.answers for task in tasks])[1] >= NEARLY_ALL * len(tasks)
    if text and same > 1 and same >= NEARLY_ALL * len(tasks) and not known and not alike:
        yield broken(promise, f"the script gets the same for {same} of {len(tasks)} tasks: {str(text)[:120]!r}", fix)
    else:
        yield kept(promise)


def _commonest(held: Sequence[Hashable]) -> tuple[Hashable, int]:
    return Counter(held).most_common(1)[0]


def _prompt(tasks: Sequence[Task]) -> Iterator[Finding]:
    """Options to choose from hold every answer; what is looked for is a prompt that tells its own."""
    own, other = _standing(tasks, [" ".join(message.content for message in task.messages) for task in tasks])
    if limits(own, len(tasks))[0] > limits(other, len(tasks))[1]:
        seen = f"the closed prompt holds its answer in {own} of {len(tasks)} tasks, another task's in {other}"
        yield note("the prompt tells", seen)


def _standing(tasks: Sequence[Task], texts: Sequence[str]) -> tuple[int, int]:
    """In how many texts the task's own answer stands, in whole words, and in how many another task's."""
    plain = [f" {normalise(text)} " for text in texts]

    def count(whose: Sequence[Task]) -> int:
        pairs = zip(whose, plain, strict=True)
        return sum(any(f" {said} " in text for a in task.answers if (said := normalise(a))) for task, text in pairs)

    return count(tasks), count(_turned(tasks))


def _turned(tasks: Sequence[Task]) -> list[Task]:
    """Each task's neighbour."""
    return [*tasks[1:], *tasks[:1]]
