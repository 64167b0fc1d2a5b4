"""Functions and tools that are run in processes of their own, several of them badly behaved."""

import ctypes
import os
import subprocess
import sys
import time
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool
from pydantic import BaseModel, Field

from reachlab.tools import PerEpisode
from reachlab.tools.episodic import EPISODE_RNG

seen: list[int] = []


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def remember(n: int) -> list[int]:
    """Keep a number in this process."""
    seen.append(n)
    return seen


def misbehave(how: str) -> str:
    """Misbehave."""
    print("noise on standard output", flush=True)
    os.write(1, b"\x00\x00\x00\x05noise below Python")
    match how:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "sys.exit":
            sys.exit(4)
        case "hang":
            time.sleep(600)
        case "hold the lock":
            ctypes.PyDLL(None).sleep(600)
        case "daemon":
            daemon = subprocess.Popen(["sleep", "986"], start_new_session=True)
            return str(daemon.pid)
        case "policy":
            raise ToolException("not like that")
        case "raise":
            raise RuntimeError("disk full")
    return str(os.getpid())


class Point(BaseModel):
    """Arguments with an alias and a rule."""

    x: int = Field(alias="ex", ge=0)


@tool(args_schema=Point)
def plot(x: int) -> str:
    """Plot."""
    return f"at {x}"


def patient() -> BaseTool:
    """A factory of a tool whose calls are as long as the policy wants."""

    def nap(seconds: float) -> str:
        """Sleep."""
        time.sleep(seconds)
        return "rested"

    return StructuredTool.from_function(nap, metadata={"timeouts": "observation", "computes": True})




def tally(n: int, kept: Annotated[Any, PerEpisode(list)]) -> list[int]:
    """Count with hidden state of the episode."""
    kept.append(n)
    return list(kept)


def roll(sides: int, rng: Annotated[Any, EPISODE_RNG]) -> int:
    """Roll a die."""
    return int(rng.integers(sides))


def answer_in(kind: str) -> Any:
    """Answer in something that is not text, or in too much of it."""
    return {"bytes": b"\xff", "none": None, "object": object(), "list": [1, {"a": None}], "big": "x" * 10 * 2**20}[kind]
