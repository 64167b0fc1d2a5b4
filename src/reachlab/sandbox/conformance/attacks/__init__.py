"""The attacks, by category: one file each, as data."""

from reachlab.sandbox.conformance.attack import Attack
from reachlab.sandbox.conformance.attacks import (
    daemons,
    disk,
    environment,
    files,
    kernel,
    memory,
    namespaces,
    network,
    protocol,
    resources,
    snooping,
    state,
    tampering,
)

ALL: tuple[Attack, ...] = (
    *files.ATTACKS,
    *environment.ATTACKS,
    *network.ATTACKS,
    *snooping.ATTACKS,
    *daemons.ATTACKS,
    *resources.ATTACKS,
    *memory.ATTACKS,
    *disk.ATTACKS,
    *kernel.ATTACKS,
    *namespaces.ATTACKS,
    *state.ATTACKS,
    *protocol.ATTACKS,
    *tampering.ATTACKS,
)

__all__ = ["ALL"]
