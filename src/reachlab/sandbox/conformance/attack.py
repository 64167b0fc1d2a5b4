"""The records: an attack, what is seen after it, and what was found.

An attack is data. It says what it wants in ``code`` that runs inside, and how the harness sees that it got it
(``judge``): a secret in the output, a mark on the host, a lie in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from reachlab import Json, Language, SandboxLimits, SandboxResult

LIMITS = SandboxLimits(
    wall_seconds=3.0, cpu_seconds=3.0, memory_bytes=128 * 2**20, processes=16, files=256, written_bytes=8 * 2**20
)
"""Of an attack that says nothing else."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run of an attack."""

    code: str
    """May hold ``@name@`` places, which ``host.Host.places`` fills."""
    language: Language = "python"
    session: str = ""
    """Empty: a run of its own. Else the name of a session, opened when it is first named."""
    closes: bool = False
    """Close that session afterwards."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the harness sees after an attack."""

    results: tuple[SandboxResult, ...]
    limits: SandboxLimits
    seconds: float
    """Longest call, by the harness's clock."""
    secrets: Mapping[str, str]
    """What the code must not learn, by role."""
    damage: tuple[str, ...]
    """What changed on the host: files, messages received, a victim killed, processes left."""

    @property
    def last(self) -> SandboxResult:
        return self.results[-1]

    @property
    def said(self) -> str:
        """Everything the code wrote."""
        return b"\n".join(r.stdout + b"\n" + r.stderr for r in self.results).decode(errors="replace")


Judge = Callable[[Evidence], str]
"""How the attack got through, or an empty string. Damage on the host counts whatever the judge says."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing that code must not be able to do."""

    name: str
    category: str
    about: str
    """What it tries, in one line."""
    steps: tuple[Step, ...]
    judge: Judge
    limits: SandboxLimits = LIMITS
    needs: str = ""
    """What a machine must grant for the positive control to work, where not every machine does."""


Outcome = Literal["blocked", "through", "vacuous", "fault"]


@dataclass(frozen=True, slots=True)
class Control:
    """How the attack did where nothing is isolated."""

    outcome: Literal["through", "failed", "uncontrollable"]
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one attack.

    blocked: it did not get what it wanted, and its control did (or no control is possible here, and why is said).
    through: it did, or it left the backend broken for the next run. vacuous: neither did, so nothing is shown.
    fault: the backend raised.
    """

    name: str
    category: str
    about: str
    outcome: Outcome
    detail: str
    control: Control
    limit: str = ""
    """What the result named as the limit that ended the run."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Canary:
    """A normal program, which has to work: a sandbox that runs nothing blocks everything."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Conformance:
    """What ``check`` found."""

    tier: str
    canaries: tuple[Canary, ...]
    findings: tuple[Finding, ...]
    seconds: float = 0.0
    user: int = field(default=0)
    """Who ran it; 0 is root."""

    @property
    def ok(self) -> bool:
        """Every canary lives and every attack is blocked."""
        return all(c.ok for c in self.canaries) and all(f.outcome == "blocked" for f in self.findings)

    def counts(self) -> dict[str, int]:
        outcomes: tuple[Outcome, ...] = ("blocked", "through", "vacuous", "fault")
        return {outcome: sum(f.outcome == outcome for f in self.findings) for outcome in outcomes}

    def to_json(self) -> Json:
        return {"schema": "reachlab.conformance/1", "ok": self.ok, "counts": self.counts(), **asdict(self)}

    def complaints(self) -> list[str]:
        """One line per canary that died and attack that was not blocked."""
        dead = [f"canary {c.name}: {c.detail}" for c in self.canaries if not c.ok]
        bad = [f for f in self.findings if f.outcome != "blocked"]
        return dead + [f"{f.outcome}: {f.category}/{f.name}: {f.detail}" for f in bad]
