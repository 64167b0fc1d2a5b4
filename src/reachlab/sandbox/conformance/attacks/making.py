"""How the files beside this one write attacks down."""

from __future__ import annotations

from typing import Protocol

from reachlab import Language, SandboxLimits
from reachlab.sandbox.conformance.attack import LIMITS, Attack, Judge, Step
from reachlab.sandbox.conformance.judges import says_through
from reachlab.sandbox.conformance.prelude import COMMON, RAW

SHELL = ": @mark@\n"
"""A shell's arguments then carry the mark."""


class Maker(Protocol):
    """Writes attacks of one category: name, what it tries, the code of each run."""

    def __call__(
        self,
        name: str,
        about: str,
        *codes: str | Step,
        judge: Judge = says_through,
        needs: str = "",
        language: Language = "python",
        limits: SandboxLimits = LIMITS,
    ) -> Attack: ...


def maker(category: str, raw: bool = False) -> Maker:
    """*raw*: with system calls."""

    def make(
        name: str,
        about: str,
        *codes: str | Step,
        judge: Judge = says_through,
        needs: str = "",
        language: Language = "python",
        limits: SandboxLimits = LIMITS,
    ) -> Attack:
        steps = tuple(_step(code, language, raw) for code in codes)
        return Attack(name, category, about, steps, judge, limits, needs)

    return make


def in_session(session: str, code: str, closes: bool = False) -> Step:
    return Step(code, session=session, closes=closes)


def _step(code: str | Step, language: Language, raw: bool) -> Step:
    step = code if isinstance(code, Step) else Step(code, language)
    header = SHELL if step.language == "shell" else COMMON + (RAW if raw else "")
    return Step(header + step.code, step.language, step.session, step.closes)
