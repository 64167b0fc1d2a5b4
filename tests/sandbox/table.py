"""What a whole check of any isolating backend has to say: one table for the jail's tiers, its users and Docker."""

from __future__ import annotations

from reachlab import Json
from reachlab.sandbox.conformance import ALL
from reachlab.sandbox.conformance.canaries import CONTRACT

NEVER_HERE = {"kernel/x32-calls", "network/crypto", "kernel/kexec", "kernel/module", "kernel/ports", "network/audit",
              "network/vsock", "network/multipath-tcp", "kernel/perf-event", "kernel/userfaultfd", "kernel/io-uring",
              "network/tcp-out", "network/tcp6", "resources/raise-limits", "resources/descriptors",
              "kernel/32-bit-calls"}  # fmt: skip
"""Attacks that some kernels cannot make even as root: what they need is not built in."""


def conforms_to_the_table(found: Json, tier: str, user: int) -> None:
    """Every attack blocked and shown to work elsewhere, every normal program well, by *tier* and started by *user*."""
    findings = {f"{finding['category']}/{finding['name']}": finding for finding in found["findings"]}
    assert set(findings) == {f"{attack.category}/{attack.name}" for attack in ALL}
    assert {n: (f["outcome"], f["detail"]) for n, f in findings.items() if f["outcome"] != "blocked"} == {}
    needy = {f"{attack.category}/{attack.name}" for attack in ALL if attack.needs}
    unshown = {name for name, finding in findings.items() if finding["control"]["outcome"] != "through"}
    assert unshown <= (needy if user else NEVER_HERE), {n: findings[n]["control"]["detail"] for n in unshown}
    assert len(found["canaries"]) == len(CONTRACT) + 1
    assert {c["name"]: c["detail"] for c in found["canaries"] if not c["ok"]} == {}
    assert (found["tier"], found["user"], found["ok"]) == (tier, user, True)
