"""No wait without an end: what is late is left behind, counted, and harms nothing that comes after it."""

import os
import queue
import signal
import threading
import time
import warnings
import weakref
from typing import Any

import pytest

from reachlab.errors import ToolFault
from reachlab.tools import waiting
from reachlab.tools.waiting import abandoned, within


def test_the_result_or_the_failure_comes_back_whatever_it_is() -> None:
    assert within(1.0, lambda: "done") == "done" and within(None, lambda: "here") == "here"
    for failure in (ValueError("a"), queue.Empty(), TimeoutError(), SystemExit(2)):

        def fail(failure: BaseException = failure) -> None:
            raise failure

        with pytest.raises(type(failure)) as raised:
            within(1.0, fail)
        assert raised.value is failure
    assert within(float("inf"), lambda: 1) == 1


def test_one_thread_serves_the_calls_of_another() -> None:
    names: list[set[int]] = [set(), set()]

    def many(seen: set[int]) -> None:
        seen.update(within(5.0, threading.get_ident) for _ in range(20))

    threads = [threading.Thread(target=many, args=(seen,)) for seen in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names[0]) == len(names[1]) == 1 and threading.get_ident() not in names[0] | names[1]


def test_helpers_end_with_the_thread_that_they_serve() -> None:
    helper: list[threading.Thread] = []
    thread = threading.Thread(target=lambda: helper.append(within(5.0, threading.current_thread)))
    thread.start()
    thread.join()
    helper[0].join(5)
    assert not helper[0].is_alive()


def test_what_is_late_is_counted_until_it_ends_and_the_next_call_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "_late", weakref.WeakSet())  # other tests leave theirs
    release, begun = threading.Event(), time.monotonic()
    kept = []  # tracebacks that somebody holds hold no thread
    for count in (1, 2):
        said = rf"after 0\.05 s; the call was abandoned \({count} abandoned"
        with pytest.raises(ToolFault, match=said) as fault:
            within(0.05, lambda: release.wait(60))
        kept.append(fault)
    assert within(5.0, lambda: "next") == "next"
    assert time.monotonic() - begun < 5 and abandoned() == 2
    release.set()
    end = time.monotonic() + 5
    while abandoned() > 0 and time.monotonic() < end:
        time.sleep(0.01)
    assert abandoned() == 0


def test_waits_within_waits() -> None:
    assert within(5.0, lambda: within(5.0, lambda: "inner")) == "inner"


def test_an_interrupt_reaches_the_waiting_thread_and_the_next_result_is_its_own() -> None:
    release = threading.Event()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        within(60.0, lambda: release.wait(60) and "late")
    release.set()
    assert within(5.0, lambda: "mine") == "mine"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the point of the test
def test_a_forked_process_has_helpers_of_its_own() -> None:
    within(5.0, lambda: None)
    child = os.fork()
    if child == 0:
        answer: Any = None
        try:
            answer = within(5.0, lambda: "child")
        finally:
            os._exit(0 if answer == "child" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is the point
        return os.fork()


def ended_with(child: int) -> int | None:
    """The exit code of *child*, if it ends by itself and in time."""
    end = time.monotonic() + 5
    while (found := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    if found == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    return os.waitstatus_to_exitcode(found[1])


def test_what_a_forked_process_does_with_its_copies_of_the_pipes_does_not_show() -> None:
    within(5.0, lambda: None)
    begun, release, helper = threading.Event(), threading.Event(), list[threading.Thread]()

    def work() -> None:
        helper.append(threading.current_thread())
        begun.set()
        release.wait(60)

    thread = threading.Thread(target=lambda: within(60.0, work))
    thread.start()
    assert begun.wait(5)
    held, let_go = os.pipe()
    child = fork()
    if child == 0:
        try:
            within(5.0, lambda: "child")
            os.read(held, 1)
        finally:
            os._exit(0)
    for number in range(100):
        assert within(5.0, lambda number=number: number) == number  # type: ignore[misc]
    release.set()
    thread.join()
    helper[0].join(5)
    ended = not helper[0].is_alive()  # while the child holds a copy of the pipe that it waits at
    os.write(let_go, b"!")
    assert ended_with(child) == 0 and ended
    for end in (held, let_go):
        os.close(end)


def test_work_that_forks_and_returns_twice_answers_once() -> None:
    def fork_and_fail() -> int:
        child = fork()
        if child == 0:
            raise SystemExit(3)
        return child

    for work, code in ((fork, 0), (fork_and_fail, 1)):
        child = within(5.0, work)
        assert child > 0 and ended_with(child) == code
    for number in range(100):
        assert within(5.0, lambda number=number: number) == number  # type: ignore[misc]


def test_pipes_are_closed_with_their_helpers() -> None:
    def serve(seconds: float) -> None:
        within(5.0, lambda: None)
        if seconds:
            with pytest.raises(ToolFault):
                within(seconds, lambda: time.sleep(10 * seconds))

    def many(seconds: float) -> None:
        threads = [threading.Thread(target=serve, args=(seconds,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    many(0.0)
    before = len(os.listdir("/proc/self/fd"))
    many(0.0)
    many(0.02)
    end = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < end:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_limit_that_has_passed_already_is_no_wait() -> None:
    for seconds in (0.0, -1.0):
        release = threading.Event()
        with pytest.raises(ToolFault, match="abandoned"):
            within(seconds, lambda release=release: release.wait(60))  # type: ignore[misc]
        release.set()
