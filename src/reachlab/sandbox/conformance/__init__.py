"""The conformance suite of ``reachlab.Sandbox``: attacks that code of a policy would try, for any backend.

A third party's test is one line::

    from reachlab.sandbox.conformance import conforms

    def test_mine() -> None:
        conforms(MyBackend)  # or an instance

An attack is blocked only if the same attack gets through where nothing is isolated (``reachlab.sandbox.unconfined``);
one that fails there too is vacuous. Normal programs run before and after each: a sandbox that starts nothing blocks
nothing. Attacks that would hurt the host are bounded: they try to exceed a limit of the run, not the machine.

Not covered: bugs of the kernel, side channels, and what only hardware can isolate. A sandbox on a shared kernel that
passes is as good as the kernel is.
"""

from reachlab.sandbox.conformance.attack import Attack, Canary, Conformance, Control, Evidence, Finding, Step
from reachlab.sandbox.conformance.attacks import ALL
from reachlab.sandbox.conformance.suite import check, conforms

__all__ = [
    "ALL", "Attack", "Canary", "Conformance", "Control", "Evidence", "Finding", "Step", "check", "conforms",
]  # fmt: skip
