"""Hidden state: one per episode, seeded where it says so, closed whatever happens, and never in the schema."""

import asyncio
import logging
import random
import sqlite3
from contextlib import closing
from typing import Annotated, Any

import numpy as np
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import BaseTool, StructuredTool

from reachlab import ToolCall
from reachlab.errors import BadValue, ToolFault
from reachlab.tools import PerEpisode, ToolExecutor, check_tool, prepare
from reachlab.tools.episodic import EPISODE_RNG
from reachlab.tools.outside.isolated import isolated
from tests.tools.servers import victims

Rng = Annotated[np.random.Generator, EPISODE_RNG]


def roll(sides: int, rng: Rng) -> int:
    """Roll a die."""
    return int(rng.integers(sides))


def flip(rng: Rng) -> int:
    """Flip a coin of a million sides."""
    return int(rng.integers(10**6))


def shuffle(coin: Annotated[Any, PerEpisode(random.Random, seeded=True)]) -> int:
    """Draw from a generator of its own."""
    return int(coin.randrange(10**6))


def tools(**options: Any) -> list[BaseTool]:
    return [StructuredTool.from_function(function, **options) for function in (roll, flip, shuffle)]


def told(seed: int, *names: str, **options: Any) -> list[str]:
    with closing(ToolExecutor(tools(**options), seed=seed)) as executor:
        calls = [ToolCall(name, {"sides": 10**6} if name == "roll" else {}) for name in names]
        return [result.text for result in executor.execute(calls)]


def test_one_seed_is_one_stream_of_numbers_and_another_another() -> None:
    once = told(7, "roll", "roll", "shuffle")
    assert once == told(7, "roll", "roll", "shuffle")
    assert once == told(7, "roll", "roll", "shuffle", callbacks=[BaseCallbackHandler()]), "on the slow path too"
    assert len({*once, *told(8, "roll", "roll", "shuffle")}) == 6
    assert told(7, "flip", "flip") == once[:2], "one generator, whoever asks first"
    assert told(7, "shuffle", "roll") == [once[2], once[0]], "and streams that do not depend on what was called before"


def test_the_generator_stays_out_of_the_schema_and_out_of_the_policys_hands() -> None:
    executor = ToolExecutor(tools())
    assert [list(s["function"]["parameters"]["properties"]) for s in executor.schemas] == [["sides"], [], []]
    (refused,) = executor.execute([ToolCall("roll", {"sides": 6, "rng": 1})])
    assert refused.is_error and "takes no argument 'rng'" in refused.text
    assert executor.stateful == ("shuffle",), "the other two say that their state is brought back by the calls"
    assert [f.promise for f in check_tool(tools()[0]) if f.status == "problem"] == []


def test_coroutines_that_draw_from_a_seed_draw_in_call_order() -> None:
    async def late(seconds: float, rng: Rng) -> int:
        """Draw after a while."""
        await asyncio.sleep(seconds)
        return int(rng.integers(10**6))

    tool = StructuredTool.from_function(coroutine=late, name="late", description="Late.")
    found = []
    for first, second in ((0.05, 0.0), (0.0, 0.05)):
        calls = [ToolCall("late", {"seconds": s}) for s in (first, second)]
        found.append([r.text for r in ToolExecutor([tool], seed=1).execute(calls)])
    assert found[0] == found[1]


@pytest.mark.services
def test_a_tool_in_another_process_is_seeded_too() -> None:
    def drawn(seed: int) -> str:
        with closing(ToolExecutor([isolated(victims.roll)], seed=seed)) as executor:
            return executor.execute([ToolCall("roll", {"sides": 10**6})])[0].text

    assert drawn(1) == drawn(1) != drawn(2)


def test_state_that_is_seeded_per_episode_cannot_be_shared_by_a_process() -> None:
    with pytest.raises(BadValue, match="shared: got True, allowed: False: 'roll' has state that is seeded"):
        isolated(victims.roll, shared=True)


class Stubborn:
    """Cannot be closed."""

    def close(self) -> None:
        raise OSError("still in use")


class Closable:
    """Says when it is closed."""

    closed = 0

    def close(self) -> None:
        Closable.closed += 1


def test_what_cannot_be_closed_is_logged_and_the_others_are_closed(caplog: pytest.LogCaptureFixture) -> None:
    def use(first: Annotated[Any, PerEpisode(Closable)], second: Annotated[Any, PerEpisode(Stubborn)]) -> str:
        """Use both."""
        return "used"

    for seconds in (None, 5.0):
        executor = ToolExecutor([StructuredTool.from_function(use)], seconds=seconds)
        before = Closable.closed
        assert executor.execute([ToolCall("use", {})])[0].text == "used"
        with caplog.at_level(logging.WARNING):
            executor.close()
        executor.close()
        assert Closable.closed == before + 1
        assert "closing Stubborn" in caplog.text and "still in use" in caplog.text


def test_what_cannot_be_opened_is_a_fault_and_can_be_tried_again() -> None:
    opened: list[int] = []

    def scarce() -> str:
        opened.append(1)
        if len(opened) == 1:
            raise OSError("none left")
        return "mine"

    def use(held: Annotated[Any, PerEpisode(scarce)]) -> str:
        """Use it."""
        return str(held)

    executor = ToolExecutor([StructuredTool.from_function(use)])
    with pytest.raises(ToolFault, match="OSError: none left"):
        executor.execute([ToolCall("use", {})])
    assert executor.execute([ToolCall("use", {})])[0].text == "mine"


def test_what_is_bound_to_a_thread_is_opened_used_and_closed_on_one(caplog: pytest.LogCaptureFixture) -> None:
    def count(database: Annotated[Any, PerEpisode(lambda: sqlite3.connect(":memory:"))]) -> str:
        """Count."""
        return str(database.execute("SELECT 1").fetchone()[0])

    tool = StructuredTool.from_function(count)
    assert prepare(tool).direct
    with closing(ToolExecutor([tool], seconds=5.0)) as executor:
        assert [executor.execute([ToolCall("count", {})])[0].text for _ in range(2)] == ["1", "1"]
    assert caplog.text == ""
