"""The family; see the package's docstring."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from langchain_core.tools import BaseTool

from reachlab import Budget, Message, Split, Task
from reachlab.envs.dials import whole
from reachlab.envs.textgym.acting import ENDED, act_tool
from reachlab.envs.textgym.play import Make, Play, Scheme, check_actions, made, maker
from reachlab.envs.textgym.receipts import BITS, Paid
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.seeding import derive
from reachlab.tools.hermes import Hermes

Script = Callable[[str, Sequence[str]], str]
"""The next action after the first observation and those since; the empty text to stop."""
PLAN = "Reply with your actions, one a line"
RECEIPT = "Reply with the receipt that the environment shows when it ends"

UNSOLVED = (
    'one of two, since the reset\'s info has no "solution": --dial script=module:function (the next action, from the '
    'first observation and the list of those since), or info {"solution": [action, ...]} returned by reset'
)


@dataclass(frozen=True)
class TextGym:
    """The family; see the package's docstring for reward, worlds and what is known."""

    env: str | Make
    options: Mapping[str, Any] = field(default_factory=dict)
    reward: Scheme = "last"
    unended: bool = False
    """Whether an environment that has not ended pays what it paid so far."""
    plans: bool = True
    calls: int = 16
    tokens: int = 512
    observation_tokens: int = 64
    actions: Sequence[str] = ()
    """What the guesser draws from; by default samples of the action space."""
    script: str | Script | None = None
    """How the scripted solution acts; by default ``info["solution"]`` of the reset, a list of actions."""
    tool: str = "act"
    description: str = "Act in the environment. Returns what it shows."
    salt: int = 0
    name: str = "textgym"
    version: str = "0"
    mechanism: str = "acting"

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "observation_tokens"):
            if not whole(getattr(self, name)) or getattr(self, name) < 1:
                raise BadValue(name, getattr(self, name), "a whole number, >= 1")
        if self.reward not in ("last", "sum"):
            raise BadValue("reward", self.reward, "'last' or 'sum'")
        if not whole(self.salt):
            raise BadValue("salt", self.salt, "a whole number")
        object.__setattr__(self, "_make", maker(self.env))
        object.__setattr__(self, "_script", _resolved(self.script))
        object.__setattr__(self, "_options", json.dumps(Spec("env", self.options).to_json()["options"], sort_keys=True))
        for name in ("env", "script"):  # by name, so that a snapshot tells two of them apart
            given = getattr(self, name)
            object.__setattr__(self, name, _called(given) if callable(given) else given)
        self._try()

    def _try(self) -> None:
        """Refuses what is not text and actions that cannot be played, before any episode."""
        play = self._paid(0).start()
        try:
            check_actions(play, _plan(play), 'info["solution"]')
            check_actions(play, [str(action) for action in self.actions], "actions")
        finally:
            play.close()

    @property
    def budget(self) -> Budget:
        """Each call in a turn of its own, and one turn for the answer."""
        return Budget(self.calls + 1, self.tokens, self.calls, self.observation_tokens)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        """The environment of another seed of the same split, whatever it holds."""
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        paid = task.verifier
        assert isinstance(paid, Paid)  # the task is ours
        return [act_tool(paid, self.tool, self.description)]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """Acts as ``script`` or ``info["solution"]`` says, then answers with the receipt, else with the plan."""
        if observations and ENDED in observations[-1]:
            return observations[-1].rpartition(ENDED)[2].strip()
        paid = task.verifier
        assert isinstance(paid, Paid)
        start = _start(paid)
        script: Script | None = self.__dict__["_script"]
        if script is not None:
            action = script(start.shown, observations)
        elif start.plan:
            action = start.plan[len(observations)] if len(observations) < len(start.plan) else ""
        else:
            raise BadValue("script", None, UNSOLVED)
        return Hermes().render(self.tool, {"action": action}) if action else "\n".join(start.plan)

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        """A plan of as many actions as there are calls, drawn blindly."""
        if self.actions:
            return "\n".join(map(str, rng.choice(list(self.actions), size=self.calls)))
        paid = task.verifier
        assert isinstance(paid, Paid)
        env = made(paid.make, json.loads(paid.options))
        env.action_space.seed(int(rng.integers(2**31)))
        try:
            return "\n".join(str(env.action_space.sample()) for _ in range(self.calls))
        finally:
            env.close()

    def p0_bound(self, task: Task) -> float | None:
        return None if self.plans else 2.0**-BITS

    def optimum(self, task: Task) -> float:
        return 1.0

    def _paid(self, seed: int) -> Paid:
        key = derive(self.salt, "textgym-receipt", seed)
        held = self.__dict__
        return Paid(held["_make"], held["_options"], seed, key, self.reward, self.unended, self.plans)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        if seed < 0:
            raise BadValue("task seed", seed, ">= 0")
        paid = self._paid(derive(self.salt, "textgym", split, seed, donor) % 2**30 * 2 + (split == "test"))
        start = _start(paid)
        plan = "\n".join(start.plan)
        return Task(
            id=f"{self.name}-{split}-{seed}" + ("~donor" if donor else ""),
            messages=(Message("user", f"{start.shown}\n{self._instruction}"),),
            answers=(plan,) if plan and self.plans else (),
            verifier=paid,
            evidence=start.evidence or plan,
            difficulty=tuple((name, value) for name, value in self.options.items() if whole(value)),
            seed=seed,
            split=split,
        )

    @property
    def _instruction(self) -> str:
        return f"{PLAN}, or with the receipt that ends the environment." if self.plans else f"{RECEIPT}."


@dataclass(frozen=True)
class Start:
    """What an environment shows and tells when it is reset."""

    shown: str
    plan: tuple[str, ...]
    """The actions that ``info`` says solve it."""
    evidence: str


@lru_cache(maxsize=4096)
def _start(paid: Paid) -> Start:
    play = paid.start()
    play.close()
    return Start(play.first, _plan(play), str(play.info.get("evidence", "")))


def _plan(play: Play) -> tuple[str, ...]:
    said = play.info.get("solution", ())
    return (said,) if isinstance(said, str) else tuple(map(str, said))


def _resolved(script: str | Script | None) -> Script | None:
    if script is None or callable(script):
        return script
    if not isinstance(script, str) or ":" not in script:
        raise BadValue("script", script, "a callable of (first observation, observations since), or module:attribute")
    return maker(script)


def _called(made_by: Any) -> str:
    return f"{getattr(made_by, '__module__', '')}:{getattr(made_by, '__qualname__', type(made_by).__qualname__)}"
