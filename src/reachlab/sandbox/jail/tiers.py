"""Which isolation this machine gives: each tier is started and must bring back a canary that tried to get out.

What the canary may not do, the caller does first: read a file of the host, open a socket, reach a process outside.
Not covered: the attack table (``reachlab.sandbox.conformance``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from reachlab.errors import ReachlabError, ToolFault
from reachlab.sandbox.jail import groups
from reachlab.sandbox.jail.engine import Engine
from reachlab.sandbox.jail.inside import owners
from reachlab.sandbox.jail.inside.protocol import ONCE, PYTHON, Job, Limits

ISOLATING = ("A", "B")
UNSAFE = "C"
NAMES = {"A": "jail-A", "B": "jail-B", "C": "unsafe-C"}

_LIMITS = Limits(20.0, 10.0, 256 * 2**20, 8, 64, 2**20, 4096)
_CANARY = """
import os, socket
def refused(action, *arguments):
    try:
        action(*arguments)
    except OSError:
        return True
with open("probe", "w") as file:
    file.write("x")
if not refused(open, {marker!r}):
    print("a file of the host was read")
if not refused(socket.socket):
    print("a socket was opened")
if not refused(os.kill, {pid}, 0):
    print("a process outside was reached")
if os.environ:
    print("the environment is not empty")
if os.getuid() == 0:
    print("it runs as root")
print("alive")
"""


class Choice(NamedTuple):
    """What a jail runs on, why the tiers before it were passed over, and whether control groups cap its runs."""

    engine: Engine
    reasons: dict[str, str]
    cgroups: str


def choose(tiers: Sequence[str], preimport: Sequence[str], size: int, python: str) -> Choice:
    """The first tier whose canary comes back: jail-A with control groups before jail-A without them."""
    reasons: dict[str, str] = {}
    for tier in tiers:
        found, why = groups.made() if tier == "A" else (None, f"{NAMES[tier]} uses none")
        if found is not None:
            version = found.version
            engine, why = _start(tier, preimport, size, python, found)
            if engine is not None:
                return Choice(engine, reasons, f"in force, version {version}")
        engine, reasons[tier] = _start(tier, preimport, size, python, None)
        if engine is not None:
            del reasons[tier]
            return Choice(engine, reasons, f"not in force: {why}")
    told = "; ".join(f"{NAMES[tier]}: {reason}" for tier, reason in reasons.items())
    raise ToolFault(f"policy-written code cannot be isolated here ({told}); allow_unsafe=True runs it unprotected")


def _start(
    tier: str, preimport: Sequence[str], size: int, python: str, found: groups.Groups | None
) -> tuple[Engine | None, str]:
    """An engine whose canary came back, or what was wrong."""
    try:
        engine = Engine(tier, preimport, size, python, found)
    except ReachlabError as error:
        return None, str(error)
    try:
        problem = "" if tier == UNSAFE else canary(engine)
    except ReachlabError as error:
        problem = str(error)
    if not problem:
        return engine, ""
    engine.close()
    return None, problem


def canary(engine: Engine) -> str:
    """What is wrong with the isolation, or empty."""
    with tempfile.NamedTemporaryFile("w+", prefix=owners.prefix("canary")) as marker:
        marker.write("seen")
        marker.flush()
        os.chmod(marker.name, 0o644)
        code = _CANARY.format(marker=marker.name, pid=os.getpid()).encode()
        worker = engine.take()
        try:
            report = worker.run(Job(ONCE, PYTHON, _LIMITS, code))
        except (OSError, EOFError) as error:
            return f"the canary did not come back: {engine.problem() or error}"
        finally:
            engine.done(worker)
    if report.stdout == b"alive\n" and report.exit_code == 0:
        return ""
    said = (report.stdout + report.stderr)[-500:].decode(errors="replace").strip()
    return f"the canary got out or died: {said or report.limit or report.exit_code}"
