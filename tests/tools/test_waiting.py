"""No wait without an end: what is late is left behind, counted, and harms nothing that comes after it."""

import os
import queue
import signal
import threading
import time
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
