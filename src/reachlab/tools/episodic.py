"""Hidden state of one episode, handed to a tool as an argument that the model never sees.

::

    def python(code: str, session: Annotated[Any, PerEpisode(jail.session)]) -> str: ...
    def roll(sides: int, rng: Annotated[Any, EPISODE_RNG]) -> int: ...          # a NumPy generator, seeded

The executor opens what the marker names when an episode first calls the tool, hands the same object to every tool of
that episode whose marker is equal, and closes it with the episode. What is ``seeded`` is opened with a seed that
follows from the executor's and from the tool and the argument that come first with that marker, whatever is called
first. Not covered: state shared by episodes (a tool's own closure holds that).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.tools import InjectedToolArg

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PerEpisode(InjectedToolArg):
    """Marks an argument that is opened once an episode. Equal markers share what they open."""

    open: Callable[..., Any]
    """Called without arguments, or with the seed."""
    seeded: bool = False
    """``open`` takes a seed of the episode, an int."""
    replays: bool = False
    """What it holds follows from the calls alone: making them again brings it back, so snapshots can be restored."""


EPISODE_RNG = PerEpisode(np.random.default_rng, seeded=True, replays=True)
"""A NumPy generator of the episode, one for all tools that ask for it."""


class Belongings:
    """What the tools of one episode have opened."""

    def __init__(self, seed_of: Callable[[PerEpisode], int]) -> None:
        self._seed_of = seed_of
        self._held: dict[PerEpisode, Any] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, marker: PerEpisode) -> Any:
        with self._lock:  # calls of one turn may run side by side
            if marker not in self._held:
                self._held[marker] = marker.open(self._seed_of(marker)) if marker.seeded else marker.open()
            return self._held[marker]

    def close(self) -> None:
        """Close everything that can be closed, last opened first. Idempotent. What cannot be closed is logged: the
        others must be, and an episode that ended well must not fail for it."""
        while self._held:
            _, held = self._held.popitem()
            if callable(getattr(held, "close", None)):
                try:
                    held.close()
                except Exception:
                    _log.warning("closing %s", type(held).__name__, exc_info=True)
