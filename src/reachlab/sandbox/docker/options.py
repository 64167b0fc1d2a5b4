"""What a container may do, as the engine is told: everything is denied that the worker does not need.

Memory, processes, files and bytes written are set when a container starts, so that a warm container serves the runs
whose limits have the same ``Shape``; time and output are watched run by run.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

from reachlab import SandboxLimits

WORK = "/tmp"
"""The one place to write to. Some runtimes would put a second one at /tmp."""
USER = 65534
CPUS = 1
OPEN_FILES = 256
RESERVE_BYTES = 32 * 2**20
"""For the worker and the kernel's pages, beside what the run may use. More with preimported modules."""
PREIMPORT_BYTES = 96 * 2**20
RUNTIME_BYTES, RUNTIME_PROCESSES = 128 * 2**20, 512
"""For a runtime with a kernel of its own: its threads and memory are in the container's control group."""
_PAGE = 4096
_PERIOD_MICROSECONDS = 20_000
"""Short, so that a run that spins does not keep the worker from its clock for longer."""


class Shape(NamedTuple):
    """The limits that a container is made with."""

    memory_bytes: int
    processes: int
    files: int
    written_bytes: int

    @classmethod
    def of(cls, limits: SandboxLimits) -> Shape:
        return cls(limits.memory_bytes, limits.processes, limits.files, limits.written_bytes)

    def holds(self, other: Shape) -> bool:
        return all(mine >= theirs for mine, theirs in zip(self, other, strict=True))


@lru_cache(maxsize=1)
def seccomp_profile() -> str:
    """What is not named in it fails: the profile lists what is allowed."""
    return resources.files(__package__).joinpath("seccomp.json").read_text(encoding="utf-8")


def host_options(shape: Shape, runtime: str | None = None, preimport: bool = False) -> dict[str, Any]:
    """Arguments of the SDK's ``create_host_config``, but for the ulimits."""
    reserve = RESERVE_BYTES + (PREIMPORT_BYTES if preimport else 0) + (RUNTIME_BYTES if runtime else 0)
    memory = shape.memory_bytes + shape.written_bytes + reserve
    # One page and one file more than allowed: going beyond can be told from coming up to it.
    size = (-(-shape.written_bytes // _PAGE) + 1) * _PAGE
    tmpfs = f"rw,exec,nosuid,nodev,mode=0700,uid={USER},gid={USER},size={size},nr_inodes={shape.files + 2}"
    options: dict[str, Any] = {
        "network_mode": "none",
        "ipc_mode": "none",  # private, and without a /dev/shm that would be a second place to write to
        "read_only": True,
        "tmpfs": {WORK: tmpfs},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", f"seccomp={seccomp_profile()}"],
        "pids_limit": shape.processes + 2 + (RUNTIME_PROCESSES if runtime else 0),  # the worker, and one beyond
        "mem_limit": memory,
        "memswap_limit": memory,  # together with memory: no swap
        "cpu_period": _PERIOD_MICROSECONDS,
        "cpu_quota": _PERIOD_MICROSECONDS * CPUS,
        "auto_remove": True,
        "privileged": False,
        "init": False,  # the worker is process 1: it reaps, and nobody inside can signal it
    }
    return options | ({"runtime": runtime} if runtime else {})


def ulimits(shape: Shape) -> dict[str, int]:
    """By the engine's names; soft and hard."""
    return {"core": 0, "memlock": 0, "msgqueue": 0, "nofile": OPEN_FILES, "fsize": shape.written_bytes + 1}


def container_options() -> dict[str, Any]:
    """Arguments of the SDK's ``create_container``, but for image, command, labels and host configuration."""
    return {
        "user": f"{USER}:{USER}",
        "hostname": "sandbox",
        "working_dir": WORK,
        "environment": {},
        "stdin_open": True,  # once: it is at its end when the library lets go or dies
        "tty": False,
        "healthcheck": {"test": ["NONE"]},
        "use_config_proxy": False,  # the user's proxies and their passwords are none of its business
    }
