"""One episode as a state machine: the only place where worlds, budgets and stop reasons are decided.

The Gymnasium environment and the rollout engine both drive an ``Interaction``::

    episode = Interaction(family, task, World.LIVE)
    step = episode.step(text, tokens=len(ids), ended=True)      # until step.awaiting == "nothing"
    step = episode.observe(imagined)                            # where step.awaiting == "observation"

A turn is judged in this order, and no tool runs once the end is decided: wall clock, tokens, no call (verify),
call without tools, call in the last turn, too many calls. Every end but ``answered`` has reward 0.

Not covered: sampling, token ids, log-probabilities (the policy session owns them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from reachlab import (
    Budget,
    CallFormat,
    Cost,
    Executor,
    Family,
    Message,
    Prompt,
    Step,
    StopReason,
    Task,
    ToolCall,
    ToolResult,
    World,
)
from reachlab.envs.donor import DonorExecutor
from reachlab.envs.effects import Action, Effects, Real, Recorded
from reachlab.envs.effects import clock as monotonic
from reachlab.errors import BadValue, ToolFault
from reachlab.seeding import derive
from reachlab.tools.executor import ToolExecutor
from reachlab.tools.hermes import Hermes


class Interaction:
    """One episode of *task* in *world*. Never raises for what a policy writes."""

    def __init__(
        self,
        family: Family,
        task: Task,
        world: World,
        budget: Budget | None = None,
        call_format: CallFormat | None = None,
        *,
        seed: int = 0,
        clock: Callable[[], float] = monotonic,
        effects: Effects | None = None,
    ) -> None:
        """*budget* is the live one, by default the family's; worlds without tools use its ``closed()``.

        *seed*: with the task it fixes what tools draw at random. *effects* stand in for the world's own tools, the
        verifier and the clock (a replay).
        """
        self.task, self.world = task, World(world)
        budget = budget or family.budget
        self.budget = checked_budget(budget if self.world.offers_tools else budget.closed())
        self._format = call_format or Hermes()
        donor = family.donor(task) if self.world is World.SHUFFLED else None
        self._executor = _executor(family, donor or task, self.world, self.budget, seed)
        runs: Executor | None = self._executor
        if self._executor is not None and donor is not None:
            runs = DonorExecutor(family, donor, self._executor, self.budget.turns, lambda: self._calls)
        self.prompt = _prompt(task, self.world, self._executor)
        self._messages = list(self.prompt.messages)
        self._calls: list[ToolCall] = []
        self._log: list[Action] = []
        self._pending: list[ToolCall] = []
        self._imagined: list[ToolResult] = []
        self._turns = self._tokens = self._answered = self._verifier_calls = 0
        self._last = Step()
        self._effects = effects or Real(task, runs, self.budget.seconds, clock)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt, then every turn and tool result so far."""
        return tuple(self._messages)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """Every call the policy wrote; those past the first ``cost.calls`` ended the episode unanswered."""
        return tuple(self._calls)

    @property
    def cost(self) -> Cost:
        """What this state machine can see: policy tokens as reported, turns, answered calls, verifier calls."""
        return Cost(
            policy=self._tokens, turns=self._turns, calls=self._answered, verifier_calls=self._verifier_calls
        )

    @property
    def awaiting(self) -> Literal["turn", "observation", "nothing"]:
        return self._last.awaiting

    @property
    def stop(self) -> StopReason | None:
        return self._last.stop

    @property
    def detail(self) -> str:
        return self._last.detail

    @property
    def reward(self) -> float:
        return self._last.reward

    @property
    def last(self) -> Step:
        """What the last action led to."""
        return self._last

    @property
    def imagined(self) -> tuple[ToolResult, ...]:
        """Results of the current turn that stand already while the next observation is awaited."""
        return tuple(self._imagined)

    @property
    def log(self) -> tuple[Action, ...]:
        """Every action with its outcome: what ``replay`` needs."""
        return tuple(self._log)

    @property
    def tokens_left(self) -> int:
        """Policy tokens that the budget still allows."""
        return max(self.budget.tokens - self._tokens, 0)

    def close(self) -> None:
        """End what the tools hold for this episode (a sandbox session). Idempotent; an ended episode has done it."""
        if self._executor is not None:
            self._executor.close()

    @property
    def unrestorable(self) -> tuple[str, ...]:
        """Tools that keep state across calls which cannot be brought back."""
        return self._executor.stateful if self._executor and self._runs else ()

    @property
    def _runs(self) -> bool:
        """Whether tools run in this world."""
        return self.world in (World.LIVE, World.SHUFFLED)

    def step(self, text: str, tokens: int = 0, ended: bool = True) -> Step:
        """One assistant turn of *tokens* sampled tokens; ``ended`` is False if the limit cut it off."""
        self._expect("turn")
        self._turns += 1
        self._tokens += tokens
        self._messages.append(Message("assistant", text))
        calls = self._format.parse(text)
        self._calls += calls
        try:
            step = self._judge(text, calls, ended)
        except ToolFault as fault:
            step = self._fault(fault)
        return self._settle(text, tokens, ended, step)

    def observe(self, text: str) -> Step:
        """The observation that the base wrote for the call in question (imagined world)."""
        self._expect("observation")
        if late := self._effects.late():
            return self._settle(text, 0, True, _end(StopReason.SECONDS, detail=late))
        assert self._executor is not None
        self._imagined.append(ToolResult(self._executor.cap(text)))
        try:
            step = self._imagine()
        except ToolFault as fault:
            step = self._fault(fault)
        return self._settle(text, 0, True, step)

    def abort(self, detail: str) -> Step:
        """End as a fault: the policy's engine could not act (NaN logits, a dead server)."""
        return self._settle("", 0, False, _end(StopReason.FAULT, detail=detail))

    def replay(self, log: Iterable[Action]) -> Step:
        """Repeat *log* on a fresh interaction. Neither the verifier runs again nor tools, but for those whose state
        is brought back by that."""
        if self._log:
            raise BadValue("replay", f"an interaction of {len(self._log)} actions", "a fresh one")
        real = self._effects
        for action in log:
            self._effects = Recorded(action.step)
            if self.awaiting == "observation":
                step = self.observe(action.text)
            else:
                step = self.step(action.text, action.tokens, action.ended)
            if step != action.step:
                raise BadValue("replayed step", step, f"the recorded {action.step}")
            if self._executor is not None and self._runs and step.results and self._answered < self.budget.calls:
                self._executor.again(self._calls[-len(step.results) :])
        self._effects = real
        return self._last

    def _judge(self, text: str, calls: list[ToolCall], ended: bool) -> Step:
        if late := self._effects.late():
            return _end(StopReason.SECONDS, detail=late)
        if not ended or self._tokens > self.budget.tokens:
            return _end(StopReason.TOKENS)
        if not calls:
            return _end(StopReason.ANSWERED, reward=self._effects.verify(text))
        if self._executor is None:
            return _end(StopReason.FORBIDDEN)
        if self._turns >= self.budget.turns:
            return _end(StopReason.TURNS)
        if self._answered + len(calls) > self.budget.calls:
            return _end(StopReason.CALLS)
        return self._answer(calls, self._executor)

    def _answer(self, calls: list[ToolCall], executor: ToolExecutor) -> Step:
        match self.world:
            case World.IMAGINED:
                self._pending = calls
                return self._imagine()
            case World.SILENT:
                return Step(tuple(executor.check(call) or ToolResult("") for call in calls))
            case _:
                results = tuple(self._effects.run(calls))
                late = self._effects.late()
                return _end(StopReason.SECONDS, detail=late) if late else Step(results)

    def _imagine(self) -> Step:
        """Ask for the next observation; malformed calls get their true error. All results come at the end."""
        assert self._executor is not None
        for call in self._pending[len(self._imagined) :]:
            error = self._executor.check(call)
            if error is None:
                return Step(awaiting="observation")
            self._imagined.append(error)
        results, self._imagined, self._pending = tuple(self._imagined), [], []
        return Step(results)

    def _settle(self, text: str, tokens: int, ended: bool, step: Step) -> Step:
        self._messages += [Message("tool", result.text) for result in step.results]
        self._answered += len(step.results)
        self._verifier_calls += step.stop is StopReason.ANSWERED
        if step.stop is not None or self._answered >= self.budget.calls:
            self.close()  # no call can come any more
        self._log.append(Action(text, tokens, ended, step))
        self._last = step
        return step

    def _fault(self, fault: ToolFault) -> Step:
        late = self._effects.late()  # past the cap it does not matter what broke: time did
        return _end(StopReason.SECONDS if late else StopReason.FAULT, detail=f"{late}; {fault}" if late else str(fault))

    def _expect(self, awaited: str) -> None:
        if self.awaiting != awaited:
            raise BadValue("action", f"a {awaited}", "a reset" if self.stop else f"a {self.awaiting}")


def _end(stop: StopReason, *, reward: float = 0.0, detail: str = "") -> Step:
    return Step((), "nothing", reward, stop, detail)


def checked_budget(budget: Budget) -> Budget:
    """The budget itself. Raises BadValue where no episode could be held within it."""
    least = {"turns": 1, "tokens": 1, "calls": 0, "observation_tokens": 1}
    for name, floor in least.items():
        if getattr(budget, name) < floor:
            raise BadValue(f"budget {name}", getattr(budget, name), f">= {floor}")
    return budget


def _executor(family: Family, task: Task, world: World, budget: Budget, seed: int) -> ToolExecutor | None:
    """The tools the policy sees; of the shuffled world, *task* is the donor."""
    if not world.offers_tools:
        return None
    drawn, chars = derive(seed, "tools", task.id), budget.observation_chars
    return ToolExecutor(family.tools(task), output_chars=chars, seconds=budget.seconds, seed=drawn)


def _prompt(task: Task, world: World, executor: ToolExecutor | None) -> Prompt:
    messages = list(task.messages)
    if world is World.ORACLE:
        place = max(i for i, message in enumerate(messages) if message.role == "user")
        messages[place] = Message("user", f"{task.evidence}\n{messages[place].content}")
    return Prompt(tuple(messages), executor.schemas if executor else ())
