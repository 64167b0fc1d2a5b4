"""What the commands share: consoles, progress with time left, errors without tracebacks.

Not covered: what is printed (``studies.report`` and ``studies.transcript``).
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reachlab.errors import ReachlabError

out, err = Console(), Console(stderr=True)

BAD_INPUT, INTERRUPTED, INVALID = 2, 130, 1


def print_json(content: Any) -> None:
    """Plain JSON on standard output, for programs."""
    sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def explained(resume_hint: str = "") -> Iterator[None]:
    """Errors that reachlab raises on purpose become one message and exit code 2; Ctrl-C says how to go on."""
    warnings.showwarning = lambda message, *_: err.print(f"[yellow]warning:[/yellow] {message}")
    try:
        yield
    except ReachlabError as error:
        err.print(f"[red]error:[/red] {error}", highlight=False, markup=True, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt:
        err.print(f"stopped. {resume_hint}", highlight=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


class Bar:
    """A progress bar on standard error with the time left; called as ``studies.jobs.Report``."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=err, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: float, total: float, running: str) -> None:
        short = running if len(running) <= 48 else running[:47] + "…"
        self._progress.update(self._task, completed=done, total=total, description=f"{short:48}")
