"""A progress bar with the time left, for work that takes more than two seconds and only on a terminal.

Not covered: nested bars; steps inside a library that reports nothing show as the end of the bar.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds before a bar appears."""
EVERY = 256
"""Items between two looks at the clock."""


def watched(items: Iterable[T], what: str, every: int = EVERY) -> Iterator[T]:
    """*items*, with a bar called *what* on standard error once they have taken more than two seconds."""
    if not sys.stderr.isatty():
        yield from items
        return
    total = len(items) if isinstance(items, Sized) else None
    began, bar, task = time.monotonic(), None, None
    try:
        for done, item in enumerate(items):
            if done % every == 0:
                if bar is None and time.monotonic() - began > PATIENCE:
                    bar = _bar()
                    task = bar.add_task(what, total=total)
                if bar is not None and task is not None:
                    bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns, TimeElapsedColumn(), TextColumn("left"), Left(), console=Console(stderr=True), transient=True
    )
    bar.start()
    return bar
