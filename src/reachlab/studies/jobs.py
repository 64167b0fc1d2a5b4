"""A small job graph on local processes: a job is one file or folder that gets published; done jobs are skipped.

One worker runs everything in this process; more start fresh ones. Each job runs whole on one worker with one torch
thread, so results do not depend on the number of workers. Workers die with their parent.
Not covered: several machines.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing as mp
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.5
_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Call:
    """A function by ``module:name`` and its arguments, imported where it runs: laying out jobs loads no torch."""

    path: str
    arguments: tuple[Any, ...]

    def __call__(self) -> None:
        module, _, name = self.path.partition(":")
        getattr(importlib.import_module(module), name)(*self.arguments)
        _return_memory()


@dataclass(frozen=True, slots=True)
class Job:
    """``run`` must be picklable and publish ``out``; ``needs`` are the names of jobs that come first."""

    name: str
    out: Path
    run: Callable[[], None]
    needs: tuple[str, ...] = ()
    weight: float = 1.0
    """Expected seconds: the progress bar's unit."""
    priority: int = 0
    """Higher starts first."""
    log: Path | None = None
    """A file with one line per finished step, and ``steps`` of them in all."""
    steps: int = 0

    def within(self, group: str, place: int) -> Job:
        """The same job among those of other groups, of which the one with the lowest *place* comes first."""
        needs = tuple(f"{group}: {name}" for name in self.needs)
        return replace(self, name=f"{group}: {self.name}", needs=needs, priority=self.priority - 100 * place)


Report = Callable[[float, float, str], None]
"""Called with (weight done, weight in all, what is running)."""


def execute(
    jobs: Sequence[Job], workers: int, report: Report, finished: Callable[[Job], None] = lambda job: None
) -> None:
    """Run what is not done yet. The first error stops the rest and is raised here.

    *finished* hears of each job that is done, in this process, while the others go on.
    """
    waiting = {job.name: job for job in jobs if not job.out.exists()}
    total = sum(job.weight for job in waiting.values())
    if not waiting:
        return
    progress = _Progress(total, report, finished)
    if workers == 1:
        _execute_here(waiting, progress)
    else:
        _execute_pool(waiting, workers, progress)


def default_workers() -> int:
    """Two, or one on a single core: past that a tiny study's start-up outweighs the gain."""
    return min(2, len(os.sched_getaffinity(0)))


class _Progress:
    def __init__(self, total: float, report: Report, finished: Callable[[Job], None]) -> None:
        self.total, self.done, self._report, self._finished = total, 0.0, report, finished

    def finish(self, job: Job, waiting: dict[str, Job]) -> None:
        self.done += job.weight
        del waiting[job.name]
        self._finished(job)

    def show(self, running: Sequence[Job]) -> None:
        partly = sum(job.weight * _share(job) for job in running)
        self._report(self.done + partly, self.total, ", ".join(job.name for job in running))


def _share(job: Job) -> float:
    if job.log is None or not job.log.exists() or not job.steps:
        return 0.0
    return min(1.0, job.log.read_bytes().count(b"\n") / job.steps)


def _next(waiting: dict[str, Job], started: Set[str] = frozenset()) -> Job | None:
    """The most urgent job that has not started and whose needs are done."""
    ready = [j for j in waiting.values() if j.name not in started and not any(n in waiting for n in j.needs)]
    return max(ready, key=lambda job: job.priority, default=None)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for numerical libraries, as every worker has: sums of floats depend on how many there are."""
    environment, torch = os.environ.get(_THREADS), sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    _one_thread()
    try:
        yield
    finally:
        os.environ.pop(_THREADS)
        if environment is not None:
            os.environ[_THREADS] = environment
        if torch:
            torch.set_num_threads(threads)


@one_thread()
def _execute_here(waiting: dict[str, Job], progress: _Progress) -> None:
    while (job := _next(waiting)) is not None:
        progress.show([job])
        with _ticking(progress, job):
            job.run()
        progress.finish(job, waiting)
    progress.show([])


class _ticking:
    """Shows the progress of a long job of this process while it runs."""

    def __init__(self, progress: _Progress, job: Job) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, args=(progress, job), daemon=True) if job.log else None

    def __enter__(self) -> None:
        if self._thread:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _tick(self, progress: _Progress, job: Job) -> None:
        while not self._stop.wait(POLL_SECONDS):
            progress.show([job])


def _execute_pool(waiting: dict[str, Job], workers: int, progress: _Progress) -> None:
    pool = ProcessPoolExecutor(workers, mp_context=mp.get_context("spawn"), initializer=_start_worker)
    running: dict[Future[None], Job] = {}
    started: set[str] = set()
    try:
        while waiting:
            while len(running) < workers and (job := _next(waiting, started)) is not None:
                started.add(job.name)
                running[pool.submit(job.run)] = job
            progress.show(list(running.values()))
            done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                progress.finish(running.pop(future), waiting)
        progress.show([])
    except BaseException:
        _kill(pool)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.kill()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _one_thread()


def _die_with_parent() -> None:
    parent = mp.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _return_memory() -> None:
    """Give freed memory back: ragged tensors fragment glibc's heap, and a worker would keep 100 MB between jobs."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _one_thread() -> None:
    """For torch where it is loaded, else for whatever numerical library a job will load."""
    os.environ[_THREADS] = "1"
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
