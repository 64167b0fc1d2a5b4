"""What the commands share: consoles, progress with time left, errors without tracebacks.

Not covered: what is printed (``studies.report`` and ``studies.transcript``).
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from reachlab.errors import ReachlabError

out, err = Console(), Console(stderr=True)

BAD_INPUT, INVALID, BROKEN_PROMISE, INTERRUPTED = 2, 3, 4, 130


def print_json(content: Any) -> None:
    """Plain JSON on standard output, for programs: ASCII (lone surrogates cannot be written), NaN as null."""
    sys.stdout.write(json.dumps(_finite(content), indent=1, allow_nan=False) + "\n")


def say(text: str, *, label: str = "", style: str = "bold") -> None:
    """One line of *text* as it is: brackets in it are no markup, and it is not cut to the screen's width."""
    out.print(_line(text, label, style), soft_wrap=True, highlight=False)


def complain(text: str, *, label: str = "", style: str = "red") -> None:
    """``say`` on standard error."""
    err.print(_line(text, label, style), soft_wrap=True, highlight=False)


@contextmanager
def explained(resume_hint: str = "") -> Iterator[None]:
    """Errors that reachlab raises on purpose, of files and of killed workers become one message and exit code 2;
    Ctrl-C says how to go on."""
    warnings.showwarning = lambda message, *_: complain(str(message), label="warning:", style="yellow")
    try:
        yield
    except ReachlabError as error:
        complain(str(error), label="error:")
        raise typer.Exit(BAD_INPUT) from error
    except BrokenPipeError:  # whoever read the output has enough; not an error to explain
        raise
    except OSError as error:
        said = f"{error.strerror}: {error.filename}" if error.strerror and error.filename else str(error)
        complain(said, label="error:")
        raise typer.Exit(BAD_INPUT) from error
    except BrokenExecutor as error:
        why = "a worker process was killed; most often the memory ran out, and fewer --workers need less."
        complain(f"{why} {resume_hint}", label="error:")
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt:
        complain(resume_hint, label="stopped.", style="")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on standard error while *what* goes on."""
    with err.status(Text(what)):
        yield


def _line(text: str, label: str, style: str) -> Text:
    return Text.assemble((label, style), " ", text) if label else Text(text)


def _finite(content: Any) -> Any:
    """The same with null for numbers that JSON does not have; a policy may write NaN as an argument."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content


class Bar:
    """A progress bar on standard error with the time left; called as ``studies.jobs.Report``.

    Once everything is done the bar gives way to *afterwards*, with no end in sight.
    """

    def __init__(self, afterwards: str = "finishing") -> None:
        self._afterwards = afterwards
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=err, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: float, total: float, running: str) -> None:
        if not running and done >= total:
            self._progress.update(self._task, visible=False)
            self._task = self._progress.add_task(f"{self._afterwards:48}", total=None)
            return
        short = running if len(running) <= 48 else running[:47] + "…"
        self._progress.update(self._task, completed=done, total=total, description=f"{short:48}")
