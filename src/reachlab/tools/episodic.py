"""Hidden state of one episode, handed to a tool as an argument that the model never sees.

::

    def python(code: str, session: Annotated[Any, PerEpisode(jail.session)]) -> str: ...

The executor opens what the marker names when an episode first calls the tool, hands the same object to every tool of
that episode whose marker opens the same thing, and closes it with the episode. Not covered: state shared by episodes
(a tool's own closure holds that).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import InjectedToolArg


@dataclass(frozen=True)
class PerEpisode(InjectedToolArg):
    """Marks an argument that is opened once an episode. Markers whose ``open`` is equal share what they open."""

    open: Callable[[], Any]


class Belongings:
    """What the tools of one episode have opened."""

    def __init__(self) -> None:
        self._held: dict[Callable[[], Any], Any] = {}
        self._lock = threading.Lock()

    def get(self, marker: PerEpisode) -> Any:
        with self._lock:  # calls of one turn may run side by side
            if marker.open not in self._held:
                self._held[marker.open] = marker.open()
            return self._held[marker.open]

    def close(self) -> None:
        """Close everything that can be closed, last opened first. Idempotent."""
        while self._held:
            _, held = self._held.popitem()
            if callable(getattr(held, "close", None)):
                held.close()
