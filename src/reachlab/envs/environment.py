"""``ReachEnv``: any family, in any world, as a ``gymnasium.Env``.

::

    env = gym.make("reachlab.envs:reachlab/Lexicon-v0", world="live", digits=(4,))
    obs, info = env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step('<tool_call>{"name": "search", ...}</tool_call>')

An action is the assistant's raw text; while ``info["awaiting"] == "observation"`` (imagined world) it is the text the
base writes as the observation. The environment enforces turns and calls; the policy's token budget is the policy's to
keep. Running out is ``terminated`` with reward 0; only ``seconds`` and ``fault`` are ``truncated``.

Not covered: rendering; token ids. The rollout engine drives ``envs.core.Interaction`` directly.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass
from typing import Any, ClassVar

import gymnasium
from gymnasium.error import ResetNeeded

from reachlab import Budget, CallFormat, Family, Json, Split, World
from reachlab.envs.core import Interaction
from reachlab.envs.effects import Action
from reachlab.envs.spaces import Unicode
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec

SNAPSHOT_VERSION = 1
MOST_TASKS = 4096
"""Of the task seeds that ``reset`` draws from."""


class ReachEnv(gymnasium.Env[str, str]):
    """One episode after another of a family's tasks. See the module's docstring."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(
        self,
        family: str | Spec | Family = "lexicon",
        world: World | str = World.LIVE,
        *,
        split: Split = "train",
        tasks: int | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
        call_format: CallFormat | None = None,
        render_mode: str | None = None,
        **dials: Any,
    ) -> None:
        """*tasks*: ``reset`` draws a task seed below it; by default 4096, or as many as a finite family says it has
        (``size(split)``). *dials* go to the family (only with a name)."""
        if world not in list(World):
            raise UnknownName("world", str(world), [w.value for w in World])
        if split not in ("train", "test"):
            raise UnknownName("split", split, ("train", "test"))
        if render_mode is not None:
            raise BadValue("render_mode", render_mode, "None: the texts are in info")
        self.family = _family(family, dials)
        tasks = _tasks(self.family, split) if tasks is None else tasks
        if tasks < 1:
            raise BadValue("tasks", tasks, ">= 1")
        self._dials = _dials(self.family, family.options if isinstance(family, Spec) else dials)
        self.world, self.split, self.render_mode = World(world), split, None
        self._tasks, self._format = tasks, call_format
        self.budget = Budget(**budget) if isinstance(budget, Mapping) else budget or self.family.budget
        self.observation_space = Unicode()
        self.action_space = Unicode()
        self._episode: Interaction | None = None
        self._tools = b""

    @property
    def episode(self) -> Interaction:
        """The running episode."""
        if self._episode is None:
            raise ResetNeeded("call reset() before anything else")
        return self._episode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """A new episode. *seed* alone fixes the task, unless ``options={"task_seed": n}`` names it."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(self._tasks))
        for name in options or {}:
            if name != "task_seed":
                raise UnknownName("reset option", name, ("task_seed",))
        self._begin(int((options or {}).get("task_seed", drawn)))
        return self._view()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        episode = self.episode
        if episode.stop is not None:
            raise ResetNeeded(f"the episode has ended ({episode.stop}); call reset()")
        if not self.action_space.contains(action):
            raise BadValue("action", type(action).__name__, f"a text in {self.action_space}")
        step = episode.observe(action) if episode.awaiting == "observation" else episode.step(action)
        faulty = step.stop is not None and step.stop.is_fault
        observation, info = self._view()
        return observation, step.reward, step.stop is not None and not faulty, faulty, info

    def snapshot(self) -> Json:
        """The episode as plain JSON: task seed, action log, recorded results, and the state of ``np_random``."""
        if self.episode.unrestorable:
            raise BadValue("snapshot", f"tools {self.episode.unrestorable}", "tools that keep no state across calls")
        return {
            "version": SNAPSHOT_VERSION,
            "of": self._identity(),
            "task_seed": self.episode.task.seed,
            "prompt": [list(message) for message in self.episode.prompt.messages],
            "log": [action.to_json() for action in self.episode.log],
            "np_random": deepcopy(self.np_random.bit_generator.state),
        }

    def restore(self, snapshot: Json) -> tuple[str, dict[str, Any]]:
        """Back to *snapshot*, in this or another environment of the same making, without calling any tool."""
        if snapshot.get("version") != SNAPSHOT_VERSION or snapshot.get("of") != self._identity():
            allowed = {"version": SNAPSHOT_VERSION, "of": self._identity()}
            raise BadValue("snapshot", {name: snapshot.get(name) for name in allowed}, str(allowed))
        self._begin(snapshot["task_seed"])
        prompt = [list(message) for message in self.episode.prompt.messages]
        if prompt != snapshot["prompt"]:
            raise BadValue("prompt of the snapshot", snapshot["prompt"], f"{prompt}, which this family's dials give")
        self.episode.replay(Action.from_json(action) for action in snapshot["log"])
        self.np_random.bit_generator.state = deepcopy(snapshot["np_random"])
        return self._view()

    def close(self) -> None:
        """End what the running episode's tools hold."""
        if self._episode is not None:
            self._episode.close()

    def _begin(self, task_seed: int) -> None:
        self.close()
        task = self.family.task(self.split, task_seed)
        self._episode = Interaction(self.family, task, self.world, self.budget, self._format)
        self._tools = pickle.dumps(list(self._episode.prompt.tools))  # five times as fast to copy as by deepcopy

    def _identity(self) -> Json:
        family = f"{self.family.name} {self.family.version}"
        return {
            "family": family,
            "dials": self._dials,
            "world": self.world.value,
            "split": self.split,
            "budget": asdict(self.budget),
        }

    def _view(self) -> tuple[str, dict[str, Any]]:
        """What the policy sees now, and everything else that is known; built anew on every call."""
        episode = self.episode
        fresh = not episode.log
        texts = [m.content for m in episode.prompt.messages] if fresh else [r.text for r in episode.last.results]
        cost = episode.cost
        info = {
            "task": episode.task.id,
            "task_seed": episode.task.seed,
            "stratum": episode.task.stratum,
            "world": self.world.value,
            "messages": [{"role": m.role, "content": m.content} for m in episode.messages],
            "tools": pickle.loads(self._tools),
            "results": [{"text": r.text, "is_error": r.is_error} for r in episode.last.results],
            "turns": cost.turns,
            "calls": cost.calls,
            "verifier_calls": cost.verifier_calls,
            "awaiting": episode.awaiting,
            "stop": episode.stop.value if episode.stop else "",
            "detail": episode.detail,
        }
        return "\n".join(texts), info


def _family(family: str | Spec | Family, dials: dict[str, Any]) -> Family:
    if isinstance(family, str):
        built = Spec(family, dials).build("families")
    elif dials:
        raise BadValue("dials", dials, "none beside a family that is already described")
    else:
        built = family.build("families") if isinstance(family, Spec) else family
    if not isinstance(built, Family):
        raise BadValue("family", built, "an object that satisfies reachlab.Family")
    return built


def _tasks(family: Family, split: Split) -> int:
    size = getattr(family, "size", None)
    return min(MOST_TASKS, size(split)) if callable(size) else MOST_TASKS


def _dials(family: Family, options: Mapping[str, Any]) -> Json:
    """What sets *family* apart from others of its name, as JSON: all fields of a frozen dataclass, which cannot
    change later; of any other family the *options* it was named with."""
    frozen = is_dataclass(family) and family.__dataclass_params__.frozen
    values = {f.name: getattr(family, f.name) for f in fields(family)} if frozen else dict(options)  # type: ignore[arg-type]
    described: Json = json.loads(json.dumps(values, default=lambda value: type(value).__qualname__))
    return described
