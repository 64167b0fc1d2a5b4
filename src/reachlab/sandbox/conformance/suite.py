"""``check`` and ``conforms``: all attacks on one sandbox.

from reachlab.sandbox.conformance import conforms

def test_mine() -> None:
    conforms(MyBackend)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import cast

from reachlab import Sandbox, SandboxLimits
from reachlab.sandbox.conformance.attack import Attack, Conformance, Finding
from reachlab.sandbox.conformance.attacks import ALL
from reachlab.sandbox.conformance.canaries import afterwards, contract, normal_program
from reachlab.sandbox.conformance.host import Host
from reachlab.sandbox.conformance.play import judge, settle, unfit

Report = Callable[[float, float, str], None]
"""Called with (done, total, what runs now)."""

Subject = Sandbox | Callable[[], Sandbox]


def check(subject: Subject, attacks: Sequence[Attack] = ALL, report: Report | None = None) -> Conformance:
    """Try *attacks*, and normal programs before and after, on a sandbox or on what builds one.

    Better the latter: the secrets then lie in the environment and in open files before the backend starts, where a
    backend that inherits them would lose them; and it is closed at the end.
    """
    start = time.monotonic()
    with Host() as host:
        sandbox, built = _built(subject)
        try:
            canaries = contract(sandbox)
            findings = _attacked(sandbox, attacks, host, report or _silent)
            canaries = (*canaries, afterwards(sandbox))
            tier = _tier(sandbox)
        finally:
            if built:
                sandbox.close()
    return Conformance(tier, canaries, tuple(findings), time.monotonic() - start, os.geteuid())


def conforms(subject: Subject, attacks: Sequence[Attack] = ALL) -> None:
    """``AssertionError`` with one line for everything that is not as it has to be."""
    found = check(subject, attacks)
    if not found.ok:
        raise AssertionError("\n".join(["the sandbox does not conform:", *found.complaints()]))


def _attacked(sandbox: Sandbox, attacks: Sequence[Attack], host: Host, report: Report) -> list[Finding]:
    """One finding an attack, with a normal program before and after each."""
    findings: list[Finding] = []
    why = normal_program(sandbox)
    for done, attack in enumerate(attacks):
        report(done, len(attacks), f"{attack.category}/{attack.name}")
        finding = unfit(attack, host, why) if why else judge(sandbox, attack, host)
        why = normal_program(sandbox)
        findings.append(settle(finding, why))
    report(len(attacks), len(attacks), "")
    return findings


def _silent(done: float, total: float, running: str) -> None:
    """Reports nothing."""


def _built(subject: Subject) -> tuple[Sandbox, bool]:
    """A class has the methods too, so it is told apart by its type."""
    if isinstance(subject, type) or not hasattr(subject, "run"):
        return cast(Callable[[], Sandbox], subject)(), True
    return cast(Sandbox, subject), False


def _tier(sandbox: Sandbox) -> str:
    try:
        return sandbox.run("", SandboxLimits()).tier
    except Exception as error:
        return f"{type(error).__name__}: {error}"
