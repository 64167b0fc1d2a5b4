"""Retries are bounded and deterministic; work side by side is bounded, and nobody waits for what is late."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from threading import Event
from typing import cast

import pytest
from langchain_core.exceptions import LangChainException

from reachlab.errors import BadValue, PolicyFault
from reachlab.policies.chat_model.retry import Retry, hopeless, side_by_side


class Stop(Event):
    """Remembers how long it was waited on, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


class Coded(Exception):
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def test_waits_double_up_to_the_longest_without_jitter() -> None:
    def work() -> None:
        raise ConnectionError("no")

    for _ in range(2):
        stop = Stop()
        with pytest.raises(PolicyFault, match="6 attempts.*ConnectionError: no"):
            Retry(attempts=6, first=0.5, longest=3).run(work, stop)
        assert stop.waits == [0.5, 1, 2, 3, 3]


def test_no_wait_reaches_past_the_end() -> None:
    stop = Stop()

    def work() -> None:
        raise ConnectionError("no")

    with pytest.raises(PolicyFault, match="2 attempts"):
        Retry(attempts=9, first=4, longest=100, seconds=6).run(work, stop)
    assert stop.waits == [4]


@pytest.mark.parametrize(("code", "expected"), [(400, True), (401, True), (404, True), (429, False), (500, False)])
def test_refusals_are_not_repeated(code: int, expected: bool) -> None:
    assert hopeless(Coded(code)) is expected


def test_a_library_may_say_itself_whether_to_try_again() -> None:
    class Overflow(LangChainException):
        is_retryable = False

    assert hopeless(Overflow()) and not hopeless(ValueError())


@pytest.mark.parametrize("options", [{"attempts": 0}, {"first": -1}, {"seconds": 0}, {"longest": float("nan")}])
def test_bad_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadValue, match=next(iter(options))):
        Retry(**options)  # type: ignore[arg-type]


def test_results_come_as_they_finish_and_errors_beside_them() -> None:
    slow = Event()

    def work(item: int, stop: Event) -> int:
        if item == 0:
            slow.wait(10)
        if item == 2:
            raise ValueError("two")
        return -item

    order = []
    for item, outcome in side_by_side(work, [0, 1, 2, 3], 2, 20):
        order.append(item)
        assert isinstance(outcome, ValueError) if item == 2 else outcome == -item
        if len(order) == 3:
            slow.set()
    assert order == [1, 2, 3, 0]


def test_late_work_is_left_behind_and_its_place_taken() -> None:
    never = Event()

    def work(item: int, stop: Event) -> int:
        if item < 2:
            never.wait(60)
        return item

    outcomes = dict(side_by_side(work, range(6), 2, 0.2))
    never.set()
    assert {i for i, o in outcomes.items() if isinstance(o, TimeoutError)} == {0, 1}
    assert [outcomes[i] for i in range(2, 6)] == [2, 3, 4, 5]


def test_who_leaves_early_stops_what_was_not_begun() -> None:
    begun, told = [], Event()

    def work(item: int, stop: Event) -> int:
        begun.append(item)
        if item and stop.wait(10):
            told.set()
        return item

    results = cast(Generator[object], side_by_side(work, range(1000), 1, 20))
    next(results)
    results.close()
    assert told.wait(10) and len(begun) <= 2


def test_an_interrupt_does_not_wait_for_requests_in_flight() -> None:
    code = (
        "import signal, time; from reachlab.policies.chat_model.retry import side_by_side\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "def work(item, stop):\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "list(side_by_side(work, range(4), 2, 120))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        began = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) != 0
        assert time.monotonic() - began < 10
