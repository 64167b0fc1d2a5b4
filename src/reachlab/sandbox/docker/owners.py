"""Whose a container is, written on it as labels, so that what a dead process left can be found and removed.

    python -c 'from reachlab.sandbox.docker import sweep; print(sweep())'

A container goes by itself when the process that started it does; the sweep is for an engine that missed that.
How owners are named and known to be dead: ``jail.inside.owners``.
Not covered: containers of other machines or process-id namespaces on the same engine, whose owners cannot be seen.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from reachlab.sandbox.docker.engine import connect, faults, missing, sdk
from reachlab.sandbox.jail.inside.owners import is_alive, owner

KIND, PLACE, OWNER = "reachlab.sandbox", "reachlab.place", "reachlab.owner"


def labels() -> dict[str, str]:
    """Of a container that this process starts."""
    return {KIND: "1", PLACE: _place(), OWNER: owner(os.getpid())}


def sweep(client: Any = None) -> int:
    """Remove the containers of owners on this machine that are dead; how many there were."""
    with faults("sweeping"):
        own = client is None
        client = client or connect()
        try:
            found = client.api.containers(all=True, filters={"label": [f"{KIND}=1", f"{PLACE}={_place()}"]})
            dead = [c["Id"] for c in found if not is_alive(c["Labels"].get(OWNER, ""))]
            for container in dead:
                remove(client, container)
            return len(dead)
        finally:
            if own:
                client.close()


def remove(client: Any, container: str) -> None:
    """Kill and remove; one that is gone already is gone."""
    try:
        client.api.remove_container(container, force=True, v=True)
    except sdk().errors.APIError as error:
        if not missing(error):
            raise


def _place() -> str:
    """This run of this machine, as this process sees process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{os.readlink('/proc/self/ns/pid')}"
