"""A progress bar with the time left, for work that takes more than two seconds and only on a terminal.

Not covered: nested bars; the time left of work that reports nothing (``pulsing`` shows only that it goes on).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds before a bar appears."""
EVERY = 256
"""Items between two looks at the clock."""


def watched(
    items: Iterable[T], what: str, every: int = EVERY, count: Callable[[], int | None] = lambda: None
) -> Iterator[T]:
    """*items*, with a bar called *what* on standard error once they have taken more than two seconds.

    *count* says how many there will be if they do not; it is asked when the bar appears.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    began, bar, task = time.monotonic(), None, None
    try:
        for done, item in enumerate(items):
            if done % every == 0:
                if bar is None and time.monotonic() - began > PATIENCE:
                    bar = _bar()
                    task = bar.add_task(what, total=len(items) if isinstance(items, Sized) else count())
                if bar is not None and task is not None:
                    bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()


@contextmanager
def pulsing(what: str) -> Iterator[None]:
    """A bar without an end around work that cannot say how far it is; it appears as late as that of ``watched``."""
    if not sys.stderr.isatty():
        yield
        return
    bars: list[Progress] = []

    def show() -> None:
        bars.append(_bar())
        bars[0].add_task(what, total=None)

    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for bar in bars:
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
