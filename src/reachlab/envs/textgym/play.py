"""One text environment, played: by ``act`` call by call, or by a plan at one go.

Not covered: which seed and which world (``family``), what a receipt looks like (``receipts``).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium
from gymnasium.spaces import Text
from langchain_core.tools import ToolException

from reachlab.envs.spaces import Unicode
from reachlab.errors import BadValue, ReachlabError, ToolFault, UnknownName

Scheme = Literal["last", "sum"]
Make = Callable[..., Any]
Env = gymnasium.Env[Any, Any]
OTHERS = "module:attribute works too."
TEXT = "spaces of text (gymnasium.spaces.Text, reachlab.envs.Unicode, or any Space whose dtype is str)"


@dataclass
class Play:
    """An environment after ``reset(seed)``, and what it paid so far. Closed with the episode."""

    env: Env
    seed: int
    scheme: Scheme = "last"
    unended: bool = False
    first: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    ended: bool = False
    rewards: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            observation, info = self.env.reset(seed=self.seed)
        except Exception as error:
            self.env.close()
            raise ToolFault(f"the environment's reset failed: {type(error).__name__}: {error}") from error
        self.first, self.info = _text(observation), dict(info)

    def act(self, action: str) -> str:
        """The observation. ToolException for what the policy caused, ToolFault for what the environment did."""
        if self.ended:
            raise ToolException("the environment has ended")
        if not self.env.action_space.contains(action):
            raise ToolException(f"no such action: {action[:80]!r}, allowed: {self.env.action_space}")
        try:
            observation, reward, terminated, truncated, _ = self.env.step(action)
            self.rewards.append(float(reward))
        except Exception as error:
            raise ToolFault(f"the environment's step failed: {type(error).__name__}: {error}") from error
        self.ended = bool(terminated or truncated)
        return _text(observation)

    @property
    def score(self) -> float:
        """What was earned, in [0, 1]."""
        if not self.rewards or not (self.ended or self.unended):
            return 0.0
        earned = self.rewards[-1] if self.scheme == "last" else sum(self.rewards)
        if earned != earned:
            raise ToolFault(f"the environment paid {self.rewards}, allowed: numbers")
        return min(1.0, max(0.0, earned))

    def close(self) -> None:
        self.env.close()


def play_plan(play: Play, actions: Sequence[str]) -> float:
    """What *actions* earn. An action that the space refuses ends the plan there; those after the end are ignored."""
    try:
        for action in actions:
            play.act(action)
            if play.ended:
                break
    except ToolException:
        return 0.0
    finally:
        play.close()
    return play.score


def check_actions(play: Play, actions: Sequence[str], whose: str) -> None:
    """Refuse actions that the environment itself names and its action space does not contain."""
    for action in actions:
        if not play.env.action_space.contains(action):
            space = f"what its action space contains: {play.env.action_space}"
            hint = "gymnasium.spaces.Text takes letters and digits only, unless told; reachlab.envs.Unicode any text"
            raise BadValue(f"action in {whose}", action, f"{space} ({hint})")


def maker(env: str | Make) -> Make:
    """What makes the environment: a callable, ``module:attribute``, or an id of Gymnasium's registry."""
    if callable(env):
        return env
    if not isinstance(env, str):
        raise BadValue("env", env, "a callable, module:attribute, or an id of Gymnasium's registry")
    module, _, attribute = env.partition(":")
    if attribute and attribute.isidentifier():
        return _attribute(module, attribute)
    if attribute:  # Gymnasium's own module:id
        _import(module)
    if (attribute or env) not in gymnasium.registry:
        raise _unknown(attribute or env)
    return lambda **options: gymnasium.make(attribute or env, disable_env_checker=True, **options)


def _unknown(name: str) -> UnknownName:
    """The nearest id and how many there are: nobody reads a list of all."""
    known = list(gymnasium.registry)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return UnknownName("environment", name, [*close, f"{len(known)} ids of gymnasium.registry"], OTHERS)


def made(make: Make, options: Mapping[str, Any]) -> Env:
    """A fresh environment, refused if it is not one of texts."""
    try:
        env = make(**options)
    except ReachlabError:
        raise
    except Exception as error:
        raise BadValue("options of the environment", dict(options), f"what it is made with ({error!r})") from error
    if not isinstance(env, gymnasium.Env):
        raise BadValue("environment", type(env).__name__, "a gymnasium.Env")
    for name in ("observation_space", "action_space"):
        space = getattr(env, name, None)
        if not isinstance(space, Text | Unicode) and getattr(space, "dtype", None) is not str:
            raise BadValue(f"{name} of the environment", space, TEXT)
    return env


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UnknownName("module of the environment", module, (), f"{error}.") from error


def _attribute(module: str, attribute: str) -> Make:
    found = _import(module)
    if not callable(getattr(found, attribute, None)):
        known = [name for name, value in vars(found).items() if callable(value)]
        raise UnknownName(f"callable of {module}", attribute, known)
    return getattr(found, attribute)  # type: ignore[no-any-return]


def _text(observation: object) -> str:
    if not isinstance(observation, str):
        raise ToolFault(f"the environment observed {type(observation).__name__}, allowed: str")
    return observation
