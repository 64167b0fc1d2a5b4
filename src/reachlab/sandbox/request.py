"""A run as the inside of a sandbox takes it, and its report as the library gives it: for the jail and for Docker.

Not covered: any transport.
"""

from __future__ import annotations

import math
import struct
from typing import cast

from reachlab import Language, Limit, SandboxLimits, SandboxResult
from reachlab.errors import BadValue
from reachlab.sandbox.jail.inside.protocol import PYTHON, SHELL, Job, Limits, Report

_LANGUAGES: dict[str, int] = {"python": PYTHON, "shell": SHELL}
_LEAST_BYTES, _MOST = 2**20, 2**50


def job(mode: int, code: str, limits: SandboxLimits, language: Language) -> Job:
    """``BadValue`` where a limit or the language is none."""
    if language not in _LANGUAGES:
        raise BadValue("language", language, ", ".join(_LANGUAGES))
    if not all(0 < seconds < math.inf for seconds in (limits.wall_seconds, limits.cpu_seconds)):
        raise BadValue("limits", limits, "positive and finite times")
    if limits.memory_bytes < _LEAST_BYTES or limits.processes < 1:
        raise BadValue("limits", limits, f"at least {_LEAST_BYTES} bytes of memory and one process")
    plain = Limits(
        float(limits.wall_seconds), float(limits.cpu_seconds), limits.memory_bytes, limits.processes, limits.files,
        limits.written_bytes, limits.output_bytes,
    )  # fmt: skip
    if not all(0 <= value < _MOST for value in plain):
        raise BadValue("limits", limits, "numbers from 0 to 2**50")
    made = Job(mode, _LANGUAGES[language], plain, code.encode("utf-8", "surrogatepass"))
    try:
        made.pack()
    except (struct.error, OverflowError) as error:
        raise BadValue("limits", limits, "whole, non-negative numbers") from error
    return made


def result(report: Report, tier: str) -> SandboxResult:
    return SandboxResult(
        report.stdout, report.stderr, report.exit_code, report.wall_seconds, report.cpu_seconds, report.peak_bytes,
        cast(Limit, report.limit), tier,
    )  # fmt: skip
