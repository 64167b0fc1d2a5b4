"""The connection to a Docker engine: the SDK imported when it is needed, and the engine's failures as ``ToolFault``.

Not covered: what is done with the connection.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reachlab.errors import MissingExtra, ToolFault

START = "start one (as root: dockerd) or set DOCKER_HOST to where one listens; the jail needs none"


def sdk() -> Any:
    """The ``docker`` package. ``MissingExtra`` where it is not installed."""
    try:
        import docker
    except ModuleNotFoundError as error:
        raise MissingExtra("docker", "docker") from error
    return docker


def connect() -> Any:
    """A client of the engine that DOCKER_HOST names, or of the local one."""
    docker = sdk()
    try:
        return docker.from_env()
    except (docker.errors.DockerException, OSError) as error:
        place = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        raise ToolFault(f"no Docker engine answers at {place}: {START} ({error})") from error


@contextmanager
def faults(doing: str) -> Iterator[None]:
    """Whatever the engine or the way to it does wrong is a ``ToolFault`` that says what was being done."""
    errors = sdk().errors
    try:
        yield
    except errors.APIError as error:
        raise ToolFault(f"the Docker engine refused while {doing}: {error.explanation or error}") from error
    except (errors.DockerException, OSError) as error:  # what the SDK's own dependencies raise is an OSError
        raise ToolFault(f"the Docker engine failed while {doing}: {error}; {START}") from error


def missing(error: Exception) -> bool:
    """Whether an error says that a thing is not there any more, or is going already."""
    return getattr(getattr(error, "response", None), "status_code", None) in (404, 409)
