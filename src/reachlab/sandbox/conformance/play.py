"""Plays one attack: on its positive control, then on the sandbox under test."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from reachlab import Sandbox, SandboxResult, SandboxSession
from reachlab.sandbox.conformance.attack import Attack, Control, Evidence, Finding, Outcome
from reachlab.sandbox.conformance.host import Host
from reachlab.sandbox.conformance.judges import leaks
from reachlab.sandbox.conformance.prelude import render
from reachlab.sandbox.unconfined import Unconfined

TRIES = 3
"""How often a positive control is tried: that an attack works is shown once it does; a busy machine may be late."""
_controls: dict[Attack, Control] = {}


@dataclass(frozen=True, slots=True)
class _Played:
    through: str
    detail: str
    results: tuple[SandboxResult, ...]
    seconds: float


def judge(sandbox: Sandbox, attack: Attack, host: Host) -> Finding:
    """What became of *attack* while it ran. Whether the backend is well afterwards, ``settle`` says."""
    control = control_of(attack, host)
    finding = _finding(attack, "vacuous" if control.outcome == "failed" else "blocked", "", control)
    try:
        played = _play(sandbox, attack, host)
    except Exception as error:  # a backend must not raise because of what the code does
        return replace(finding, outcome="fault", detail=f"{type(error).__name__}: {error}")
    limit = next((r.limit for r in reversed(played.results) if r.limit), "")
    finding = replace(finding, limit=limit, seconds=played.seconds, detail=played.through or played.detail)
    return replace(finding, outcome="through") if played.through else finding


def unfit(attack: Attack, host: Host, why: str) -> Finding:
    """The finding where no normal program runs before the attack."""
    return _finding(attack, "fault", f"no normal program runs before it: {why}", control_of(attack, host))


def settle(finding: Finding, why: str) -> Finding:
    """The finding, after a normal program went wrong (*why*) or well: an attack that breaks the next run is through."""
    if why and finding.outcome in ("blocked", "vacuous"):
        return replace(finding, outcome="through", detail=f"it broke the backend for the next run: {why}")
    return finding


def _finding(attack: Attack, outcome: Outcome, detail: str, control: Control) -> Finding:
    return Finding(attack.name, attack.category, attack.about, outcome, detail, control)


def control_of(attack: Attack, host: Host) -> Control:
    """Whether it succeeds where nothing is isolated, within ``TRIES``. Found once in the life of the process."""
    if attack not in _controls:
        for _ in range(TRIES):
            _controls[attack] = _try_unconfined(attack, host)
            if _controls[attack].outcome != "failed":
                break
    return _controls[attack]


def _try_unconfined(attack: Attack, host: Host) -> Control:
    sandbox = Unconfined(allow_unsafe=True, descriptors=host.descriptors)
    try:
        played = _play(sandbox, attack, host)
    except Exception as error:
        return Control("failed", f"{type(error).__name__}: {error}")
    finally:
        sandbox.close()
    if played.through:
        return Control("through", played.through)
    if attack.needs:
        return Control("uncontrollable", f"needs {attack.needs}; without a sandbox: {played.detail}")
    return Control("failed", played.detail)


def _play(sandbox: Sandbox, attack: Attack, host: Host) -> _Played:
    host.fresh()
    try:
        start = time.monotonic()
        results, longest = _run_steps(sandbox, attack, host)
        evidence = Evidence(results, attack.limits, longest, host.secrets, tuple(host.damage()))
        through = attack.judge(evidence) or "; ".join(evidence.damage) or leaks()(evidence)
        return _Played(through, _detail(results), results, time.monotonic() - start)
    finally:
        host.mend()


def _run_steps(sandbox: Sandbox, attack: Attack, host: Host) -> tuple[tuple[SandboxResult, ...], float]:
    """The results, and the seconds that the longest call took."""
    sessions: dict[str, SandboxSession] = {}
    results, longest = [], 0.0
    try:
        for step in attack.steps:
            if step.session and step.session not in sessions:
                sessions[step.session] = sandbox.session()
            where = sessions[step.session] if step.session else sandbox
            code = render(step.code, host.places)
            start = time.monotonic()
            results.append(where.run(code, attack.limits, step.language))
            longest = max(longest, time.monotonic() - start)
            if step.closes:
                sessions.pop(step.session).close()
    except BaseException:
        for session in sessions.values():
            with suppress(Exception):  # the first error is the one to tell
                session.close()
        raise
    for session in sessions.values():
        session.close()
    return tuple(results), longest


def _detail(results: tuple[SandboxResult, ...]) -> str:
    """What stopped it, in a line: the limit, what the code says, or its last error."""
    last = results[-1]
    if last.limit:
        return f"ended by the limit {last.limit}"
    lines = (last.stdout + b"\n" + last.stderr).decode(errors="replace").split("\n")
    said = [line for line in lines if line.startswith(("DENIED", "ABSENT"))] or [line for line in lines if line.strip()]
    return said[-1].strip()[:200] if said else f"exit code {last.exit_code}"
