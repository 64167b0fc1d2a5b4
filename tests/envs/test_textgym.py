"""Any text environment in six worlds: what pays, what cannot be forged, what is refused, what is a fault."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Discrete, Text
from gymnasium.utils.env_checker import check_env

from reachlab import NO_INFORMATION_WORLDS, Message, StopReason, Task, World
from reachlab.envs import Interaction, ReachEnv, Unicode, check_family
from reachlab.envs.textgym import TextGym
from reachlab.envs.textgym.receipts import certified, receipt
from reachlab.errors import BadValue, ReachlabError, ToolFault, UnknownName
from reachlab.findings import require
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.registry import Spec
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes

from .conftest import Saying

TEXT = Unicode(1000)
HERE = __name__


class Number(gymnasium.Env[str, str]):
    """Guess a number below *top* in *tries*; each step says higher or lower."""

    observation_space, action_space = TEXT, TEXT

    def __init__(self, top: int = 16, tries: int = 5) -> None:
        self.top, self.tries = top, tries

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.hidden, self.left = int(self.np_random.integers(self.top)), self.tries
        return f"Guess a number below {self.top}.", {"solution": [str(self.hidden)]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        right = action == str(self.hidden)
        told = "right" if right else "higher" if action.isdigit() and int(action) < self.hidden else "lower"
        return told, float(right), right, self.left == 0, {}


class Steps(gymnasium.Env[str, str]):
    """Pays .25 a step, ends after *steps*, or never; misbehaves as *how* says."""

    observation_space, action_space = TEXT, Unicode(8)

    def __init__(self, steps: int = 3, how: str = "", pay: float = 0.25) -> None:
        self.steps, self.how, self.pay = steps, how, pay

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.done = 0
        return "start", {"evidence": "Just go on."}

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.done += 1
        if self.how == "raise":
            raise RuntimeError("engine on fire")
        return (7 if self.how == "number" else "on"), self.pay, self.done == self.steps, False, {}


def halves(first: str, seen: Sequence[str]) -> str:
    """Binary search below 16, by what was told."""
    low, high = 0, 16
    for told in seen:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if told == "higher" else (low, middle)
    return str((low + high) // 2)


def act(action: str) -> str:
    return Hermes().render("act", {"action": action})


def start(family: TextGym, world: World = World.LIVE, seed: int = 3) -> Interaction:
    return Interaction(family, family.task("test", seed), world)


def told(family: TextGym, task: Task) -> str:
    """The receipt of a solved episode."""
    episode = Interaction(family, task, World.LIVE)
    return episode.step(act(task.answers[0])).results[0].text.rpartition("receipt ")[2]


def test_acting_and_the_receipt_earn_the_reward() -> None:
    family = TextGym(Number, {"top": 16}, script=halves, calls=5)
    task = family.task("test", 0)
    episode = Interaction(family, task, World.LIVE)
    seen: list[str] = []
    while episode.stop is None:
        seen += [r.text for r in episode.step(family.solution(task, seen), tokens=1).results]
    assert seen[-1].startswith("right\n[ended] receipt 1000-") and episode.reward == 1.0


def test_a_plan_is_played_in_a_fresh_environment() -> None:
    family = TextGym(Number)
    answer = family.task("test", 3).answers[0]
    wrong = "\n".join("0" if answer != "0" else "1" for _ in range(5))
    assert start(family).step(answer).reward == 1.0
    assert start(family).step(f"\n {wrong[:1]}\n{answer} \n").reward == 1.0  # in time, with a wrong guess before it
    assert start(family).step(f"{wrong}\n{answer}").reward == 0.0  # out of tries
    assert start(family).step("").reward == start(family).step("I think 7").reward == 0.0


def success(family: TextGym, world: World, tasks: int = 60) -> float:
    posed = [family.task("test", seed) for seed in range(tasks)]

    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        seen = [m.content for m in messages if m.role == "tool"]
        if not world.offers_tools or (seen and "[ended]" in seen[-1]) or len(seen) == family.calls:
            return seen[-1].rpartition("receipt ")[2] if seen and "[ended]" in seen[-1] else str(rng.integers(16))
        return act(halves("", seen))

    policy = ScriptedPolicy("halver", script)
    episodes = rollout(policy, family, posed, world, list(range(tasks)), imaginer=Saying("higher"))
    assert {e.stop for e in episodes} == {StopReason.ANSWERED}
    return float(np.mean([e.reward for e in episodes]))


def test_seeing_is_what_pays_and_no_other_world_shows_it() -> None:
    family = TextGym(Number, {"top": 16}, calls=5)
    assert success(family, World.LIVE) == 1.0
    for world in (*NO_INFORMATION_WORLDS, World.ORACLE):
        assert success(family, world) < 0.3, world


def test_the_oracle_shows_what_info_knows() -> None:
    family = TextGym(Number)
    prompt = start(family, World.ORACLE).prompt.messages[-1].content
    assert prompt.splitlines()[0] == family.task("test", 3).answers[0]
    assert start(TextGym(Steps), World.ORACLE).prompt.messages[-1].content.startswith("Just go on.\nstart\n")


def test_shuffled_plays_another_seed_and_its_receipt_is_worth_nothing() -> None:
    family = TextGym(Number, {"top": 1000}, plans=False)
    task = family.task("test", 3)
    donor = family.donor(task)
    assert donor.answers == () and donor.messages == task.messages and donor.verifier != task.verifier
    hidden = TextGym(Number, {"top": 1000}).donor(task).answers[0]
    episode = Interaction(family, task, World.SHUFFLED)
    (result,) = episode.step(act(hidden)).results
    assert "right" in result.text
    assert episode.step(result.text.rpartition("receipt ")[2]).reward == 0.0


def test_a_receipt_is_of_one_task_and_one_reward() -> None:
    family = TextGym(Number)
    mine, other = family.task("test", 3), family.task("test", 4)
    paid = told(family, mine)
    assert mine.verify(f"Here: {paid}.") == 1.0
    assert other.verify(paid) == 0.0
    assert certified(5, receipt(5, 0.25)) == 0.25
    assert certified(5, receipt(5, 0.25).replace("250-", "1000-")) is None
    spray = " ".join(f"1000-{n:010x}" for n in range(1000))
    assert certified(5, f"{receipt(5, 1.0)} {spray}") is None  # only the last one counts


def test_without_plans_only_the_played_episode_counts() -> None:
    family = TextGym(Number, plans=False)
    task = family.task("test", 3)
    hidden = TextGym(Number).task("test", 3).answers[0]
    assert task.verify(hidden) == 0.0 and task.answers == ()
    assert family.p0_bound(task) == 2.0**-40 and TextGym(Number).p0_bound(task) is None


@pytest.mark.parametrize(("scheme", "pay", "reward"), [("sum", 0.25, 0.75), ("last", 0.25, 0.25), ("sum", 9.0, 1.0)])
@pytest.mark.parametrize("way", ["plan", "receipt"])
def test_rewards_are_summed_or_last_and_clipped(scheme: Any, pay: float, reward: float, way: str) -> None:
    episode = start(TextGym(Steps, {"pay": pay}, reward=scheme))
    last = "go\ngo\ngo\ngo"
    if way == "receipt":
        last = [episode.step(act("go")).results[0].text for _ in range(3)][-1]
    assert episode.step(last).reward == reward


def test_negative_rewards_are_none_and_unended_episodes_pay_only_if_asked() -> None:
    assert start(TextGym(Steps, {"pay": -1.0})).step("a\nb\nc").reward == 0.0
    assert start(TextGym(Steps, reward="sum")).step("a\nb").reward == 0.0
    assert start(TextGym(Steps, reward="sum", unended=True)).step("a\nb").reward == 0.5


def test_a_not_a_number_reward_is_a_fault() -> None:
    family = TextGym(f"{HERE}:paying_nan")
    assert start(family).step("a\nb\nc").stop is StopReason.FAULT


def paying_nan() -> Steps:
    return Steps(pay=float("nan"))


@pytest.mark.parametrize(("how", "says"), [("raise", "engine on fire"), ("number", "observed int")])
def test_an_environment_that_breaks_is_a_fault_not_an_observation(how: str, says: str) -> None:
    family = TextGym(Steps, {"how": how})
    end = start(family).step(act("go"))
    assert end.stop is StopReason.FAULT and says in end.detail and end.results == ()
    end = start(family).step("go")  # the same in a plan
    assert end.stop is StopReason.FAULT and says in end.detail


def test_an_environment_that_never_ends_is_ended_by_the_budget() -> None:
    episode = start(TextGym(Steps, {"steps": -1}, calls=4))
    for _ in range(4):
        assert episode.step(act("go")).stop is None
    assert episode.step(act("go")).stop is StopReason.TURNS and episode.reward == 0.0
    assert start(TextGym(Steps, {"steps": -1})).step("go\n" * 100_000).reward == 0.0


def test_what_the_policy_gets_wrong_is_an_observation() -> None:
    episode = start(TextGym(Steps, {"steps": 1}))
    (long,) = episode.step(act("much too long")).results
    assert long.is_error and "Unicode(max_length=8)" in long.text
    episode.step(act("go"))
    (late,) = episode.step(act("go")).results
    assert late.is_error and "has ended" in late.text


def test_gymnasiums_own_text_space_works_and_refuses_blanks() -> None:
    episode = start(TextGym(f"{HERE}:narrow"))
    (refused,) = episode.step(act("go on")).results
    assert refused.is_error and "go on" in refused.text
    assert episode.step(act("go")).results[0].text == "on"


def narrow() -> Steps:
    env = Steps()
    env.action_space = Text(20)  # type: ignore[assignment]
    return env


def test_what_info_does_not_solve_needs_a_script() -> None:
    family = TextGym(Steps)
    with pytest.raises(BadValue, match='no "solution": --dial script=module:function'):
        family.solution(family.task("test", 0), [])


def test_a_check_tells_a_missing_script_once() -> None:
    found = [f for f in check_family(TextGym(Steps), tasks=8) if 'no "solution"' in f.detail]
    assert len(found) == 1 and "also ends: optimum" in found[0].detail


class Spaced(Number):
    action_space = Text(20)  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        return super().reset(seed=seed)[0], {"solution": ["go north"]}


def test_an_unknown_id_names_the_nearest_and_not_all() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'CartPole-v1'\? .*\d+ ids") as raised:
        TextGym("CartPol-v1")
    assert len(str(raised.value)) < 200


def test_the_guesser_plans_blindly() -> None:
    rng = np.random.default_rng(0)
    family = TextGym(Number, actions=[str(n) for n in range(16)], calls=5)
    mean = np.mean([family.task("test", s).verify(family.guess(family.task("test", s), rng)) for s in range(300)])
    assert mean == pytest.approx(5 / 16, abs=0.1)
    assert isinstance(TextGym(Number).guess(TextGym(Number).task("test", 0), rng), str)


def test_seeds_fix_the_task_and_the_splits_share_no_seed() -> None:
    family, again = TextGym(Number, {"top": 10**6}), TextGym(Number, {"top": 10**6})
    answers = {s: [family.task(s, n).answers for n in range(30)] for s in ("train", "test")}
    assert answers["test"] == [again.task("test", n).answers for n in range(30)]
    assert not set(answers["train"]) & set(answers["test"])
    seeds = {s: {family.task(s, n).verifier.seed % 2 for n in range(30)} for s in ("train", "test")}  # type: ignore[attr-defined]
    assert seeds == {"train": {0}, "test": {1}}


@pytest.mark.parametrize("world", list(World))
def test_gymnasium_accepts_every_world(world: World) -> None:
    check_env(gymnasium.make("reachlab/Lexicon-v0", family=TextGym(Number), world=world.value).unwrapped)


@pytest.mark.parametrize("world", [World.LIVE, World.SHUFFLED])
def test_a_snapshot_is_restored_by_playing_again(world: World) -> None:
    """Two tries are spent and the third ends it, in the restored episode as in the first."""
    made = Spec(f"{TextGym.__module__}:TextGym", {"env": f"{HERE}:Number", "options": {"top": 64, "tries": 3}})
    env, other = ReachEnv(made, world), ReachEnv(made, world)
    env.reset(seed=1)
    for action in ("100", "101"):
        env.step(Hermes().render("act", {"action": action}))
    other.restore(env.snapshot())
    third = Hermes().render("act", {"action": "102"})
    assert env.step(third)[0] == other.step(third)[0] and "receipt" in env.episode.messages[-1].content


USERS = """
import gymnasium
from reachlab.envs import Unicode
from reachlab.envs.textgym import TextGym
class Coin(gymnasium.Env):
    observation_space = action_space = Unicode(9)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.number = str(self.np_random.integers(1000))
        return "Call a number.", {"solution": [self.number]}
    def step(self, action):
        return f"It was {self.number}.", float(action == self.number), True, False, {}
family = TextGym(Coin, calls=1)
"""


def test_ten_lines_of_a_user_make_a_family() -> None:
    assert len(USERS.split("class", 1)[1].strip().splitlines()) <= 10
    written: dict[str, Any] = {"__name__": HERE}
    exec(USERS, written)
    require(check_family(written["family"], tasks=16))


def test_an_id_of_gymnasium_works() -> None:
    gymnasium.register("TestNumber-v0", entry_point=f"{HERE}:Number", max_episode_steps=3)
    try:
        assert start(TextGym("TestNumber-v0", {"top": 1})).step("0").reward == 1.0
    finally:
        del gymnasium.registry["TestNumber-v0"]


class Picture(Number):
    observation_space = Discrete(3)  # type: ignore[assignment]


def failing() -> Any:
    raise OSError("no display")


class Unready(Number):
    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        raise OSError("no display")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"env": "CartPole-v1"}, "spaces of text|module"),
        ({"env": Picture}, "observation_space of the environment"),
        ({"env": "Nmber-v0"}, "unknown environment"),
        ({"env": f"{HERE}:Nmber"}, "Did you mean 'Number'"),
        ({"env": "no_such_module:Env"}, "no_such_module"),
        ({"env": 7}, "a callable"),
        ({"env": dict}, "a gymnasium.Env"),
        ({"env": failing}, "no display"),
        ({"env": Unready}, "no display"),
        ({"env": Number, "options": {"topp": 3}}, "topp"),
        ({"env": Spaced}, "solution.*go north.*Unicode"),
        ({"env": f"{HERE}:narrow", "actions": ["go", "go on"]}, "action in actions: got 'go on'"),
        ({"env": Number, "reward": "mean"}, "'last' or 'sum'"),
        ({"env": Number, "calls": 0}, "calls: got 0"),
        ({"env": Number, "script": 7}, "a callable of"),
    ],
)
def test_bad_environments_say_what_is_allowed(options: dict[str, Any], says: str) -> None:
    with pytest.raises((BadValue, UnknownName, ToolFault), match=says) as raised:
        TextGym(**options)
    assert isinstance(raised.value, ReachlabError)
