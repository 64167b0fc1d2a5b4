"""What the verdict is computed from: plain arrays, whoever made them.

Shapes: S training seeds, N tasks of one split. A language-model study and a tabular calibration feed the same
records; nothing after this file knows where they came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from reachlab import NO_INFORMATION_WORLDS, Arm, FloatArray, IntArray, Split, Treatment, World
from reachlab.errors import BadValue, UnknownName

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TaskSet:
    """The tasks of one split, in the order of the columns of every array."""

    ids: tuple[str, ...]
    strata: tuple[str, ...]
    """Difficulty stratum of each task."""
    p0: FloatArray | None = None
    """(N,) exact closed-book success of the base by enumeration, or None where it is not exact."""
    bound: FloatArray | None = None
    """(N,) policy-free bound: the mean over tasks is an upper bound for *every* policy without information."""
    optimum: FloatArray | None = None
    """(N,) success of the best policy in the live world."""
    _codes: IntArray = field(init=False, repr=False, compare=False)
    """(N,) place of each task's stratum in ``names()``."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        places = {name: place for place, name in enumerate(self.names())}
        object.__setattr__(self, "_codes", np.array([places[s] for s in self.strata], dtype=np.int64))
        for name in ("strata", "p0", "bound", "optimum"):
            given = getattr(self, name)
            if given is not None and len(given) != n:
                raise BadValue(f"length of {name}", len(given), f"{n}, one for each task")
            if name != "strata" and given is not None and not bool(np.all((given >= 0) & (given <= 1))):
                raise BadValue(name, given, "probabilities")

    @property
    def size(self) -> int:
        return len(self.ids)

    def stratum(self, name: str) -> Mask:
        """(N,) which tasks are of this stratum."""
        return self.named((name,))

    def named(self, names: tuple[str, ...]) -> Mask:
        """(N,) which tasks are of one of these strata."""
        wanted = [place for place, name in enumerate(self.names()) if name in names]
        out: Mask = np.isin(self._codes, wanted) if len(wanted) != 1 else self._codes == wanted[0]
        return out

    def names(self) -> tuple[str, ...]:
        """The strata, in order of first appearance."""
        return tuple(dict.fromkeys(self.strata))


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """One arm: counts and per-task means, all (S, N). NaN where a mean is not available.

    For the base the rows are repetitions of one policy and are pooled.
    """

    arm: Arm
    successes: IntArray
    episodes: IntArray
    """Scored episodes, faults excluded."""
    faults: IntArray | None = None
    """Episodes lost to the infrastructure; None means none."""
    spent: FloatArray | None = None
    """Mean nats over the scored episodes of a task. The base spends 0 whatever stands here."""
    spent_reasoning: FloatArray | None = None
    spent_call: FloatArray | None = None
    spent_answer: FloatArray | None = None
    log_ratio: FloatArray | None = None
    """The sampled form of ``spent``; its task means may be negative."""
    bits: FloatArray | None = None
    """Mean imported bits over the *successful* episodes of a task; NaN where none succeeded."""
    tokens: FloatArray | None = None
    """Mean inference tokens (prompt + policy + observation) of an episode."""
    training_tokens: FloatArray | None = None
    """(S,) tokens that training took; None or 0 for arms without training."""
    no_signal: str = ""
    """Why the arm was not trained (no reward, no data), or empty. Such an arm reads ``no signal``, never a number."""
    not_available: str = ""
    """Why the arm cannot be run with this policy at all (no weights, nobody to imagine), or empty."""
    _rates: FloatArray = field(init=False, repr=False, compare=False)
    """(seeds, N) what ``success`` gives: every estimate asks for it."""

    def __post_init__(self) -> None:
        shape = self.successes.shape
        if len(shape) != 2:
            raise BadValue(f"shape of successes of {self.arm.name}", shape, "(seeds, tasks)")
        for name in ("episodes", "faults", "spent", "spent_reasoning", "spent_call", "spent_answer", "log_ratio"):
            given = getattr(self, name)
            if given is not None and given.shape != shape:
                raise BadValue(f"shape of {name} of {self.arm.name}", given.shape, str(shape))
        if bool(np.any((self.successes < 0) | (self.successes > self.episodes))):
            raise BadValue(f"successes of {self.arm.name}", self.successes, "0 to the number of episodes")
        rates = _ratio(*self._rows(self.successes, self.episodes))
        rates.flags.writeable = False
        object.__setattr__(self, "_rates", rates)

    @property
    def missing(self) -> str:
        """What stands in place of this arm's numbers, or empty."""
        if self.not_available:
            return f"not available: {self.not_available}"
        return f"no signal: {self.no_signal}" if self.no_signal else ""

    @property
    def pooled(self) -> bool:
        """Whether the rows repeat one policy."""
        return self.arm.training is None

    @property
    def seeds(self) -> int:
        """Training runs behind this arm; 1 for the base."""
        return 1 if self.pooled else int(self.successes.shape[0])

    def success(self) -> FloatArray:
        """(seeds, N) mean success; NaN where no episode was scored."""
        return self._rates

    def mean_of(self, values: FloatArray) -> FloatArray:
        """(seeds, N) mean of a per-episode quantity, weighting by episodes where rows are pooled."""
        if not self.pooled:
            return values
        weight = np.where(np.isfinite(values), self.episodes, 0)
        return _ratio(np.nansum(values * weight, axis=0)[None], weight.sum(axis=0)[None])

    def nats(self) -> FloatArray | None:
        """(seeds, N) spent nats, 0 for the base, or None where the policy does not tell them at every scored task."""
        if self.arm.treatment == Treatment.BASE:
            return np.zeros((1, self.successes.shape[1]))
        return self.complete(self.spent)

    def complete(self, values: FloatArray | None) -> FloatArray | None:
        """(seeds, N) mean of a per-episode quantity if every scored task has it: a part might be the cheaper part."""
        if values is None or not bool(np.all(np.isfinite(values) | (self.episodes == 0))) or not self.episodes.any():
            return None
        return self.mean_of(values)

    def pool(self, mask: Mask) -> tuple[int, int]:
        """(hits, attempts) over the masked tasks, for a Clopper-Pearson limit of the mean over *tasks*.

        Attempts are counted as if each task had as few as the least sampled one: with all hits kept, the limit is
        then above that of the equal design, for which it is known to hold. Tasks never scored are left out.
        """
        hits, n = self.successes[:, mask].sum(axis=0), self.episodes[:, mask].sum(axis=0)
        seen = n > 0
        if not bool(seen.any()):
            return 0, 0
        attempts = int(n[seen].min()) * int(seen.sum())
        return min(int(hits.sum()), attempts), attempts

    def count_faults(self, as_success: bool) -> ArmCounts:
        """The same arm with every fault scored, as a success, or as a failure that took the most seen at any task."""
        if self.faults is None:
            return self
        extra = self.faults if as_success else np.zeros_like(self.faults)
        spent, tokens = (self.spent, self.tokens) if as_success else (self._dear(self.spent), self._dear(self.tokens))
        return replace(
            self, successes=self.successes + extra, episodes=self.episodes + self.faults, faults=None, spent=spent,
            tokens=tokens,
        )  # fmt: skip

    def _dear(self, values: FloatArray | None) -> FloatArray | None:
        """Means (S, N) with every fault at the largest mean of any task."""
        if values is None or self.faults is None or not np.isfinite(values).any():
            return values
        n, known = self.episodes, np.where(self.episodes > 0, values, 0.0)
        return _ratio(known * n + np.nanmax(values) * self.faults, n + self.faults)

    def _rows(self, *arrays: IntArray) -> tuple[IntArray, ...]:
        return tuple(a.sum(axis=0, keepdims=True) for a in arrays) if self.pooled else arrays


@dataclass(frozen=True, slots=True)
class StudyCounts:
    """Everything a verdict rests on."""

    family: str
    mechanism: str
    """What the affordance is, for the sentence: ``retrieval``."""
    test: TaskSet
    arms: tuple[ArmCounts, ...]
    primary: str
    """Name of the primary arm, fixed before the run."""
    closed_tokens: float
    """Tokens of one closed sample of the base (prompt + policy)."""
    train: TaskSet | None = None
    hard_strata: tuple[str, ...] = ()
    """Strata named hard beforehand: H where p0 is sampled. With exact p0, H is every test task with p0 < t."""
    matched: bool = True
    """Live and closed training had the same tasks, verifier calls, tokens and KL target: C3 needs it."""
    transfer: str = ""
    """The family that the arms were trained on, if it is another one: C4 needs it."""

    def __post_init__(self) -> None:
        for counts in self.arms:
            tasks = self.tasks(counts.arm.split)
            if tasks is None or counts.successes.shape[1] != tasks.size:
                raise BadValue(f"tasks of {counts.arm.name}", counts.successes.shape[1], "as many as its split has")
        self.arm(self.primary)
        if not self.closed_tokens > 0:
            raise BadValue("closed_tokens", self.closed_tokens, "above 0")

    def tasks(self, split: Split) -> TaskSet | None:
        return self.test if split == "test" else self.train

    def arm(self, name: str) -> ArmCounts:
        """The arm called *name*; raises ``UnknownName``."""
        for counts in self.arms:
            if counts.arm.name == name:
                return counts
        raise UnknownName("arm", name, (c.arm.name for c in self.arms))

    def find(
        self, treatment: Treatment, evaluated: World, trained: World | None = None, split: Split = "test"
    ) -> ArmCounts | None:
        """The arm with these coordinates if it is there and had a signal."""
        wanted = Arm(treatment, trained, evaluated, split)
        return next((c for c in self.arms if c.arm == wanted and not c.missing), None)

    def base(self, world: World, split: Split = "test") -> ArmCounts | None:
        """The base evaluated in *world*."""
        return self.find(Treatment.BASE, world, None, split)

    def same_policy(self, counts: ArmCounts, world: World) -> ArmCounts | None:
        """The policy of *counts* evaluated in *world* on the same split."""
        return self.find(counts.arm.treatment, world, counts.arm.trained, counts.arm.split)

    @property
    def faults(self) -> int:
        return sum(int(c.faults.sum()) for c in self.arms if c.faults is not None)

    def with_faults(self, against: bool = True) -> StudyCounts:
        """Faults counted as failures of the arm and successes of the base (*against*), or the reverse.

        Yardsticks are the base anywhere and every arm in a no-information world, except the primary arm and the
        candidates of C3.
        """

        def is_yardstick(c: ArmCounts) -> bool:
            if c.arm.name == self.primary or internalised(c.arm):
                return False
            return c.arm.treatment == Treatment.BASE or c.arm.evaluated in NO_INFORMATION_WORLDS

        return replace(self, arms=tuple(c.count_faults(is_yardstick(c) == against) for c in self.arms))


def internalised(arm: Arm) -> bool:
    """Whether the arm was fed by live interaction and is evaluated closed on test tasks: the candidates of C3."""
    fed = arm.treatment == Treatment.DISTIL or (arm.treatment == Treatment.RL and arm.trained == World.LIVE)
    return fed and arm.evaluated == World.CLOSED and arm.split == "test"


def _ratio(top: npt.NDArray[np.generic], bottom: npt.NDArray[np.generic]) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        out: FloatArray = np.asarray(top, float) / np.asarray(bottom, float)
    return out
