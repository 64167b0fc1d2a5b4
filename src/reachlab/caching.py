"""Keys for caches of things that have no hash of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ByIdentity(Generic[T]):
    """*held* as a dictionary key: equal to itself alone. A cache that holds the key keeps *held* alive."""

    held: T

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other.held is self.held
