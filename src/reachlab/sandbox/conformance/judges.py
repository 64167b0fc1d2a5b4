"""How the harness sees that an attack got what it wanted."""

from __future__ import annotations

from reachlab.sandbox.conformance.attack import Evidence, Judge


def says_through(evidence: Evidence) -> str:
    """The attack itself says so."""
    for result in evidence.results:
        for line in result.stdout.split(b"\n"):
            if line.startswith(b"THROUGH"):
                return line.decode(errors="replace")
    return ""


def leaks(*roles: str) -> Judge:
    """The output holds a secret of these roles; of any role where none is given."""

    def judge(evidence: Evidence) -> str:
        for role, secret in evidence.secrets.items():
            if (not roles or role in roles) and secret in evidence.said:
                return f"the secret of {role} is in the output"
        return ""

    return judge


def harms(evidence: Evidence) -> str:
    """Nothing inside counts, only what changed on the host."""
    return "; ".join(evidence.damage)


def floods(evidence: Evidence) -> str:
    """More came back than the limit allows."""
    most = max(max(len(r.stdout), len(r.stderr)) for r in evidence.results)
    return f"{most} bytes of one stream came back" if most > evidence.limits.output_bytes else ""


def lies(exit_code: int | None, stdout: bytes | None = None, also: bytes = b"") -> Judge:
    """The result says something else than what happened. None: any exit code but 0."""

    def judge(evidence: Evidence) -> str:
        found = evidence.last
        wrong = found.exit_code == 0 if exit_code is None else found.exit_code != exit_code
        if wrong and not found.limit:
            return f"the result says exit code {found.exit_code}"
        if stdout is not None and found.stdout != stdout and not found.limit:
            return f"the result says standard output {found.stdout[:80]!r}"
        return "forged output" if also and also in found.stdout + found.stderr else ""

    return judge


def overstays(slack: float = 2.0) -> Judge:
    """The call came back long after the wall limit, or the code says it lived on."""

    def judge(evidence: Evidence) -> str:
        if evidence.seconds > evidence.limits.wall_seconds + slack:
            return f"it took {evidence.seconds:.1f} s of {evidence.limits.wall_seconds:g}"
        return says_through(evidence)

    return judge


def either(*judges: Judge) -> Judge:
    """The first of them that sees something."""
    return lambda evidence: next((why for judge in judges if (why := judge(evidence))), "")
