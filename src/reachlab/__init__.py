"""reachlab: does interaction expand what a language model can do, or does training only tilt what it could do?

This module holds the contracts, nothing else: the records that travel between the parts and the Protocols that
the parts satisfy. Importing it loads the standard library and NumPy only.

Data flows one way::

    family -> Task -> env(world, budget) <-> policy session -> Episode -> run store -> counts -> frontier -> verdict

Not covered here: any implementation. See ``reachlab.envs``, ``reachlab.policies``, ``reachlab.studies``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

__version__ = "0.1.0"

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Json = dict[str, Any]
Split = Literal["train", "test"]


# ------------------------------------------------------------------------------------------------ worlds and limits


class World(StrEnum):
    """Which channel the observations of an episode come through."""

    CLOSED = "closed"
    """No affordance is offered: the base's own reach. A call ends the episode as a failure."""
    SILENT = "silent"
    """Tools are offered; every well-formed call returns an empty result. Separates the effect of the prompt."""
    IMAGINED = "imagined"
    """Tools are offered; the base policy writes every observation. Separates format and thinking room."""
    SHUFFLED = "shuffled"
    """Tools answer from a donor world: same names and schema, all hidden facts redrawn. Detects leaks."""
    LIVE = "live"
    """The real result: the affordance itself."""
    ORACLE = "oracle"
    """The gold evidence stands in the prompt and no tool is offered: the reading ceiling."""

    @property
    def offers_tools(self) -> bool:
        return self not in (World.CLOSED, World.ORACLE)


SUCCESS = 0.5
"""The least reward that counts as a success where a count is needed."""

NO_INFORMATION_WORLDS = (World.CLOSED, World.SILENT, World.IMAGINED, World.SHUFFLED)
"""Worlds in which nothing about the task's hidden facts is observed. Creation must beat the base in each."""


class StopReason(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    """The last turn held no call; its text was verified."""
    TURNS = "turns"
    """A call came in the last allowed turn. Reward 0, trained on, scored."""
    CALLS = "calls"
    """More calls than the budget allows. Reward 0, trained on, scored."""
    TOKENS = "tokens"
    """The policy's token budget ran out before its turn ended. Reward 0, trained on, scored."""
    FORBIDDEN = "forbidden"
    """A call in a world that offers no tools. Reward 0, trained on, scored."""
    NODES = "nodes"
    """A search used up its nodes before any of its paths came to an answer. Reward 0, scored."""
    SECONDS = "seconds"
    """The wall-clock safety cap. A fault (Gymnasium's ``truncated``): not trained on, counted."""
    FAULT = "fault"
    """The infrastructure failed (a tool crashed, logits were NaN, ...). Not trained on, counted."""

    @property
    def is_fault(self) -> bool:
        return self in (StopReason.SECONDS, StopReason.FAULT)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one episode may use. Running out is part of the task: the episode ends with reward 0."""

    turns: int = 4
    """Assistant turns, >= 1."""
    tokens: int = 64
    """Policy tokens over the whole episode, >= 1."""
    calls: int = 3
    """Tool calls over the whole episode, >= 0."""
    observation_tokens: int = 32
    """Cap on the tokens that the base may write for one observation in the imagined world, >= 1."""
    observation_chars: int = 4000
    """Cap on the characters of one tool result; what is cut is marked."""
    seconds: float = 600.0
    """Wall-clock safety cap. Reaching it is a fault; default profiles never do."""

    def closed(self) -> Budget:
        """The closed-book budget: one may think as long as the live episode reads and writes (DESIGN 1)."""
        return Budget(
            turns=1,
            tokens=self.tokens + self.calls * self.observation_tokens,
            calls=0,
            observation_tokens=self.observation_tokens,
            observation_chars=self.observation_chars,
            seconds=self.seconds,
        )


# --------------------------------------------------------------------------------------------------- tasks, families


class Message(NamedTuple):
    """One chat message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Verifier(Protocol):
    """Scores the text of the final turn (end-of-sequence token removed)."""

    @property
    def exact(self) -> bool:
        """True if precisely the task's ``answers`` score 1 and every other text 0: p0 may then be enumerated."""
        ...

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        """The reward, in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """One question and how its answer is verified. Facts hidden from the policy stay in the family."""

    id: str
    messages: tuple[Message, ...]
    """The closed-book prompt."""
    answers: tuple[str, ...]
    """The accepted closed answers; with an exact verifier these and no other text score 1."""
    verifier: Verifier
    evidence: str
    """Gold evidence, shown in the oracle world only."""
    difficulty: tuple[tuple[str, int], ...]
    """The dials this task was drawn with, e.g. ``(("digits", 4), ("hops", 1))``: its stratum."""
    seed: int
    split: Split

    @property
    def stratum(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.difficulty)

    def verify(self, text: str) -> float:
        return self.verifier(text, self.answers)


@runtime_checkable
class Family(Protocol):
    """A generator of tasks that knows the truth about them."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def mechanism(self) -> str:
        """What the affordance is, in the words of a sentence: ``retrieval``."""
        ...

    @property
    def budget(self) -> Budget:
        """The default budget of an episode in a world with tools."""
        ...

    def task(self, split: Split, seed: int) -> Task:
        """The task that (split, seed) fixes. The two splits share no fact."""
        ...

    def donor(self, task: Task) -> Task:
        """A task with the same names, schema and difficulty, and every hidden fact redrawn."""
        ...

    def tools(self, task: Task) -> Sequence[BaseTool]:
        """The tools of the live world. Cheap: called once an episode, so cache what is heavy."""
        ...

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """The scripted optimal policy: its next turn after *observations*, in the live world."""
        ...

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        """A closed-book answer drawn as an ideal guesser would."""
        ...

    def p0_bound(self, task: Task) -> float | None:
        """Upper bound on the mean success of *any* policy without information on test tasks, or None."""
        ...

    def optimum(self, task: Task) -> float:
        """Success of the best policy in the live world under the default budget."""
        ...


@runtime_checkable
class Heuristic(Protocol):
    """What a family may add: how far an episode has come, as a policy can see it. Search goes by it."""

    def progress(self, task: Task, observations: Sequence[str]) -> float:
        """In [0, 1], from the question and the tool results so far alone: nothing hidden may enter. 1: nothing is left
        to find out."""
        ...


# -------------------------------------------------------------------------------------------------- tools, sandboxes


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the policy wrote it. ``problem`` says why it is malformed; such a call is answered by it."""

    name: str
    arguments: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call returned to the policy. ``is_error`` marks errors the policy caused; faults are raised instead."""

    text: str
    is_error: bool = False


class Executor(Protocol):
    """Runs the calls of one turn; results come back in call order.

    Two error channels: what the policy caused (malformed call, validation, ``ToolException``) is a ``ToolResult``
    with ``is_error``; anything else raises ``errors.ToolFault``, and the episode stops with ``StopReason.FAULT``.
    """

    def execute(self, calls: Sequence[ToolCall]) -> list[ToolResult]: ...


class CallFormat(Protocol):
    """How calls stand in the raw text of a turn."""

    def parse(self, text: str) -> list[ToolCall]:
        """The calls in *text*, in order; a malformed one has its ``problem`` set. Never raises."""
        ...

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The text of one call, which ``parse`` reads back."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character spans of the calls in *text*, for the split of spent nats by token class."""
        ...


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one run of policy-written code may use."""

    wall_seconds: float = 2.0
    cpu_seconds: float = 2.0
    memory_bytes: int = 256 * 2**20
    """In total over all processes of the run."""
    processes: int = 16
    files: int = 1024
    written_bytes: int = 16 * 2**20
    output_bytes: int = 64 * 2**10
    """Of each stream; what is beyond is dropped, and ends the run with the limit ``output``."""


Language = Literal["python", "shell"]
Limit = Literal["", "wall", "cpu", "memory", "processes", "files", "written", "output"]


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What one run did."""

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    limit: Limit = ""
    """Which limit ended the run, or empty."""
    tier: str = ""
    """Which isolation ran it."""


class SandboxSession(Protocol):
    """State across the turns of one episode (variables and files); nothing survives ``close``.

    After a run that a limit ended the state may be gone: the next run then starts afresh, in the same session.
    """

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult: ...
    def close(self) -> None: ...


class Sandbox(Protocol):
    """Runs code the policy wrote: no network, no host files, hard limits.

    What the code does is a result, whatever it is. A backend that fails raises ``ToolFault``.
    """

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult: ...
    def session(self) -> SandboxSession: ...
    def close(self) -> None:
        """End every process of this backend. Idempotent."""


# ------------------------------------------------------------------------------------------------------ interaction


@dataclass(frozen=True, slots=True)
class Cost:
    """What an episode used. ``prompt``, ``policy`` and ``observation`` are tokens."""

    prompt: int = 0
    policy: int = 0
    observation: int = 0
    turns: int = 0
    calls: int = 0
    verifier_calls: int = 0

    @property
    def tokens(self) -> int:
        """Inference cost in tokens: prompt + policy + observation."""
        return self.prompt + self.policy + self.observation


@dataclass(frozen=True, slots=True)
class Step:
    """What one action led to: either ``results`` to append, or a request to imagine, or the end."""

    results: tuple[ToolResult, ...] = ()
    awaiting: Literal["turn", "observation", "nothing"] = "turn"
    """``observation``: the next action is the text the base writes as the observation (imagined world)."""
    reward: float = 0.0
    stop: StopReason | None = None
    detail: str = ""


class Environment(Protocol):
    """What a rollout or a search drives: one episode of one task in one world."""

    def reset(self, *, seed: int | None = None, options: Json | None = None) -> tuple[str, Json]: ...
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]: ...
    def snapshot(self) -> Json: ...
    def restore(self, snapshot: Json) -> tuple[str, dict[str, Any]]: ...


# ----------------------------------------------------------------------------------------------------------- policies


class TokenKind(IntEnum):
    """What a token of a transcript is."""

    PROMPT = 0
    POLICY = 1
    """Sampled by the policy: the only tokens with loss, spent nats and log-probabilities."""
    OBSERVATION = 2
    """Content of a tool result, with the token that ends it: what imported bits are counted on."""
    TEMPLATE = 3
    """Forced by the chat template."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a session starts from. ``tools`` are JSON schemas in the OpenAI form, as chat templates take them."""

    messages: tuple[Message, ...]
    tools: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class ActRequest:
    """Ask for the next turn of ``handle``, at most ``max_tokens`` long (end-of-sequence included)."""

    handle: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One sampled assistant turn."""

    text: str
    """Decoded, end-of-sequence removed."""
    ids: IntArray
    """(T,) sampled token ids, end-of-sequence included when it was sampled."""
    logprobs: FloatArray
    """(T,) log-probabilities in nats of the sampled ids under the policy, temperature 1, full vocabulary."""
    ended: bool
    """False: the token limit came before the end-of-sequence token."""
    fault: str = ""
    """Why the engine could not finish this turn (NaN logits, a dead server); the episode is then a fault."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """All tokens of an episode so far; arrays have shape (T,)."""

    ids: IntArray
    kinds: npt.NDArray[np.uint8]
    """``TokenKind`` of each token."""
    logprobs: FloatArray
    """Nats; 0 where the token was not sampled by the policy."""


class Session(Protocol):
    """Owns token ids and the cache of many episodes. Ids are only ever appended."""

    def start(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[int]:
        """Open one handle per prompt; what a handle samples depends on its seed alone."""
        ...

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        """Sample one turn per request; yields (handle, Turn) as each finishes, in no fixed order."""
        ...

    def append(self, handle: int, results: Sequence[ToolResult]) -> None:
        """Append the tool results of one step, rendered once by the chat template."""
        ...

    def fork(self, handle: int, seed: int) -> int:
        """A second handle that shares the past of the first and samples its own future."""
        ...

    def transcript(self, handle: int) -> Transcript: ...

    def close(self, handle: int) -> None:
        """Free the handle."""
        ...


class Policy(Protocol):
    """Who acts."""

    @property
    def name(self) -> str: ...

    def session(self) -> Session: ...


class Imaginer(Protocol):
    """Writes the observations of one rollout in the imagined world. It may keep what it has read of each episode."""

    def imagine(
        self,
        transcripts: Sequence[Transcript],
        results: Sequence[Sequence[ToolResult]],
        seeds: Sequence[int],
        max_tokens: int,
    ) -> list[str]:
        """For each transcript, whose last turn has *results* so far, the text written as the next tool result.

        Raises PolicyFault if the engine fails; the episodes are then faults."""
        ...


# ---------------------------------------------------------------------------------------------- treatments and arms


class Treatment(StrEnum):
    """What was done to the base policy."""

    BASE = "base"
    """Nothing."""
    SFT = "sft"
    """Supervised: gold answers when trained closed, scripted optimal episodes when trained live."""
    RFT = "rft"
    """Rejection fine-tuning: supervised on the base's own verified samples."""
    DISTIL = "distil"
    """Supervised on closed transcripts of answers that were found live."""
    RL = "rl"
    """KL-regularised policy gradient on the verified reward."""
    RL_RANDOM = "rl-random"
    """The same with a random reward: the control for what the optimiser does by itself."""
    SEARCH = "search"
    """Nothing was trained: a tree search over snapshots of the episode, whose turns the base samples."""
    RFT_SEARCH = "rft-search"
    """Rejection fine-tuning on the verified answers that the base's searches chose."""

    @property
    def trains(self) -> bool:
        """Whether there are weights of its own."""
        return self not in (Treatment.BASE, Treatment.SEARCH)

    @property
    def searches(self) -> bool:
        """Whether episodes are branched, which asks for tools whose state can be restored."""
        return self in (Treatment.SEARCH, Treatment.RFT_SEARCH)


@dataclass(frozen=True, slots=True)
class Arm:
    """Treatment x world trained in x world evaluated in x split evaluated on."""

    treatment: Treatment
    trained: World | None
    evaluated: World
    split: Split = "test"

    @property
    def name(self) -> str:
        """``base·live``, ``rl·live`` (trained and evaluated there), ``rl·live→closed``; then `` (train)`` if so."""
        moved = self.trained is not None and self.trained != self.evaluated
        where = f"{self.trained}→{self.evaluated}" if moved else str(self.evaluated)
        return f"{self.treatment}·{where}" + (" (train)" if self.split == "train" else "")

    @property
    def training(self) -> tuple[Treatment, World] | None:
        """Which trained policy this arm evaluates, or None where the base acts."""
        return None if self.trained is None else (self.treatment, self.trained)


@dataclass(frozen=True, slots=True)
class Episode:
    """Everything needed to re-score and re-train without re-running. Token arrays have shape (T,)."""

    task: str
    task_seed: int
    split: Split
    stratum: str
    world: World
    seed: int
    """Seed of the policy's sampling in this episode."""
    messages: tuple[Message, ...]
    calls: tuple[ToolCall, ...]
    reward: float
    stop: StopReason
    detail: str
    cost: Cost
    transcript: Transcript
    seconds: float = 0.0
    scores: Scores | None = None

    @property
    def success(self) -> bool:
        """Verified: a reward of at least ``SUCCESS``. Faults never are."""
        return self.reward >= SUCCESS and not self.stop.is_fault


@dataclass(frozen=True, slots=True)
class Scores:
    """Teacher-forced sums over one episode against the base, in nats unless said otherwise."""

    spent: float
    """Sum over policy tokens of KL(pi, pi0), full vocabulary."""
    spent_reasoning: float
    spent_call: float
    spent_answer: float
    log_ratio: float
    """Sum over policy tokens of log pi - log pi0: the sampled form of ``spent``."""
    bits: float
    """-sum log2 pi0(o given h) over the observation tokens that the harness does not force."""


# ----------------------------------------------------------------------------------------------------- thresholds


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every number the verdict depends on; fixed before a run, printed in its result (DESIGN 2)."""

    k_acc: int = 1000
    """A task is accessible if this many closed attempts succeed at least once with probability 1/2."""
    tau_attempts: int = 8
    """A task is within reach of an arm if a coin flip comes within this many attempts (tau_a = .083)."""
    alpha: float = 0.001
    """One-sided error of each axis."""
    alpha_check: float = 0.0001
    """Family-wise error of the theorem checks."""
    alpha_report: float = 0.05
    """Two-sided error of printed intervals (95 %)."""
    leak_fraction: float = 0.1
    """Leak gate: shuffled may show at most this fraction of the live gain."""
    margin: float = 0.05
    """A gain whose upper limit is below this reads as no gain."""
    min_episodes: int = 16
    """Fewest episodes per test task and arm."""
    reproduced: float = 0.5
    """A no-information world reproduces a gain if it shows more than this fraction of it."""
    floor: float = 0.01
    """Closed success below which an arm counts as at the floor."""

    @property
    def t(self) -> float:
        """Accessibility threshold on p0: 1 - .5^(1/k_acc)."""
        return float(1 - 0.5 ** (1 / self.k_acc))

    @property
    def tau(self) -> float:
        """Reach threshold on an arm's success: 1 - .5^(1/tau_attempts)."""
        return float(1 - 0.5 ** (1 / self.tau_attempts))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A printed number: value, interval, how it is known, and why it is missing when it is."""

    value: float | None
    ci: tuple[float | None, float | None] | None = None
    kind: Literal["exact", "sampled", "bound", "missing"] = "sampled"
    reason: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def missing(cls, reason: str) -> Estimate:
        return cls(None, None, "missing", reason)

    def to_json(self) -> Json | None:
        if self.value is None:
            return {"value": None, "reason": self.reason}
        out: Json = {"value": self.value, "ci": list(self.ci) if self.ci else None, "kind": self.kind}
        return {**out, **({"reason": self.reason} if self.reason else {}), **self.meta}


def record_to_json(record: Any) -> Json:
    """A dataclass as plain JSON types (enums as their values)."""
    return {k: (str(v) if isinstance(v, StrEnum) else v) for k, v in asdict(record).items()}
