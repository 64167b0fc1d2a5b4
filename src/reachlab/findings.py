"""What a check of somebody's tool or family found: one finding a promise, with what to fix.

Not covered: which promises are checked (``tools.soundness``, ``envs.soundness``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from reachlab.errors import Unsound

Status = Literal["ok", "problem", "note", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise: kept, broken, or something to know."""

    promise: str
    status: Status
    detail: str = ""
    """What was seen."""
    fix: str = ""
    """What to do about a problem."""


def kept(promise: str, detail: str = "") -> Finding:
    return Finding(promise, "ok", detail)


def broken(promise: str, detail: str, fix: str) -> Finding:
    return Finding(promise, "problem", detail, fix)


def note(promise: str, detail: str) -> Finding:
    return Finding(promise, "note", detail)


class Blocked(Exception):
    """A broken promise that every later check rests on."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.promise)
        self.finding = finding


Check = Callable[[], Iterable[Finding]]


def gather(checks: Iterable[tuple[str, Check]]) -> list[Finding]:
    """All findings; a check that crashes is a problem of what it checks, not the end of the list.

    One cause is one problem: after ``Blocked`` the others are skipped.
    """
    found: list[Finding] = []
    cause = ""
    for promise, check in checks:
        if cause:
            found.append(Finding(promise, "skipped", f"needs {cause!r}"))
            continue
        try:
            found += check()
        except Blocked as blocked:
            found.append(blocked.finding)
            cause = blocked.finding.promise
        except Exception as error:  # whatever a third party's code raises
            found.append(broken(promise, f"{type(error).__name__}: {error}", "mend what raises this"))
    return found


def require(findings: Iterable[Finding]) -> None:
    """For a test: raises Unsound, with every broken promise in its message."""
    problems = [f for f in findings if f.status == "problem"]
    if problems:
        raise Unsound([f"{f.promise}: {f.detail}. {f.fix}" for f in problems])


@contextmanager
def global_randomness() -> Iterator[list[str]]:
    """Lists, once the block is over, which global generators it has used."""
    used: list[str] = []
    before = _states()
    yield used
    used += [name for name, state in _states().items() if state != before[name]]


def _states() -> dict[str, object]:
    import random

    import numpy as np

    numpy = np.random.get_state(legacy=False)["state"]
    return {"random": random.getstate(), "numpy.random": (numpy["pos"], numpy["key"].tobytes())}
