"""The parts of the Docker backend that need no engine."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reachlab import SandboxLimits, registry
from reachlab.errors import BadValue, MissingExtra, ToolFault
from reachlab.sandbox import request
from reachlab.sandbox.docker import options, owners, payload, sandbox, shelf
from reachlab.sandbox.docker.inside import work
from reachlab.sandbox.docker.inside.counters import Counters
from reachlab.sandbox.jail.inside import seccomp
from reachlab.sandbox.jail.inside.owners import is_alive, owner
from reachlab.sandbox.jail.inside.protocol import ONCE

SHAPE = options.Shape(memory_bytes=64 << 20, processes=8, files=100, written_bytes=10_000)
DENIED = """
io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key bpf userfaultfd ptrace process_vm_readv
process_vm_writev perf_event_open mount umount2 fsopen fsconfig fsmount fspick move_mount open_tree mount_setattr
pivot_root chroot unshare setns socket connect memfd_create memfd_secret shmget msgget semget mq_open setxattr
init_module finit_module kexec_load open_by_handle_at personality pidfd_getfd seccomp setuid chown
"""


def test_seccomp_profile_denies_what_no_policy_needs() -> None:
    profile = json.loads(options.seccomp_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]  # no 32-bit door
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert not allowed & set(DENIED.split())
    assert {"read", "write", "execve", "fork", "futex", "mmap"} <= allowed


def test_seccomp_profile_allows_no_more_than_the_jail() -> None:
    profile = json.loads(options.seccomp_profile())
    plain = {n for r in profile["syscalls"] if "args" not in r and "errnoRet" not in r for n in r["names"]}
    assert plain <= {*seccomp.ALLOWED, *seccomp.METADATA, *seccomp.SIGNALS, "ioctl", "mmap", "fcntl"}
    rules = {rule["names"][0]: rule for rule in profile["syscalls"] if len(rule["names"]) == 1}
    assert rules["clone"]["args"] == [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
    assert rules["clone3"]["errnoRet"] == 38
    assert rules["socketpair"]["args"][0]["value"] == socket.AF_UNIX


def test_containers_are_hardened() -> None:
    host = options.host_options(SHAPE)
    assert host["network_mode"] == "none" and host["ipc_mode"] == "none" and host["read_only"] is True
    assert host["cap_drop"] == ["ALL"] and host["security_opt"][0] == "no-new-privileges"
    assert host["security_opt"][1] == f"seccomp={options.seccomp_profile()}"
    assert host["mem_limit"] == host["memswap_limit"] == (64 << 20) + 10_000 + options.RESERVE_BYTES
    assert host["pids_limit"] == 10 and host["cpu_quota"] == host["cpu_period"] and host["auto_remove"] is True
    (place, text), *others = host["tmpfs"].items()
    assert not others and place == options.WORK
    assert {"size=16384", "nr_inodes=102", "nosuid", "nodev", "uid=65534"} <= set(text.split(","))
    assert "runtime" not in host
    plain = options.container_options()
    assert plain["user"] == "65534:65534" and plain["use_config_proxy"] is False and plain["tty"] is False
    assert options.ulimits(SHAPE) == {"core": 0, "memlock": 0, "msgqueue": 0, "nofile": 256, "fsize": 10_001}


def test_another_runtime_gets_room_for_its_own_kernel() -> None:
    mine, theirs = options.host_options(SHAPE), options.host_options(SHAPE, "runsc", preimport=True)
    assert theirs["runtime"] == "runsc"
    assert theirs["pids_limit"] == mine["pids_limit"] + options.RUNTIME_PROCESSES
    assert theirs["mem_limit"] == mine["mem_limit"] + options.RUNTIME_BYTES + options.PREIMPORT_BYTES


def test_a_shape_holds_what_is_no_larger() -> None:
    assert SHAPE.holds(SHAPE) and SHAPE.holds(SHAPE._replace(files=1))
    assert not SHAPE.holds(SHAPE._replace(memory_bytes=65 << 20))


def test_the_worker_refuses_to_be_any_process_but_the_first() -> None:
    """It would kill what it sees. This loads all its sources as a container does."""
    command = [sys.executable, "-I", "-c", payload.BOOT]
    done = subprocess.run(command, input=payload.message(()), capture_output=True, timeout=60)
    assert b"process 1 of its own container only" in done.stderr and done.returncode == 1


def test_the_work_directory_is_emptied_whatever_lies_there(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(60):
        folder = folder / ("d" * 60)
        folder.mkdir()
        (folder / "file").touch()
        (folder / "link").symlink_to("/")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"\xff\n")).touch()
    (tmp_path / "closed").mkdir(mode=0)
    tmp_path.chmod(0)
    work.empty(str(tmp_path))
    assert os.listdir(tmp_path) == [] and tmp_path.stat().st_mtime == 0


def test_counting_files_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert work._counted(str(tmp_path)) == 3


@pytest.mark.parametrize("names", [("memory.events", "pids.events"), ("memory/memory.oom_control", "pids/pids.events")])
def test_counters_of_both_versions_of_control_groups(tmp_path: Path, names: tuple[str, str]) -> None:
    none = Counters(str(tmp_path))
    assert none.killed_for_memory() == none.refused_processes() == 0
    for name, text in zip(names, ("under_oom 0\noom_kill 3\n", "max 4\n"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    some = Counters(str(tmp_path))
    assert (some.killed_for_memory(), some.refused_processes()) == (3, 4)
    (tmp_path / names[1]).write_text("max 5\n")
    assert some.refused_processes() == 5


@pytest.mark.parametrize(("name", "anonymous"), [("memory.stat", "anon"), ("memory/memory.stat", "rss")])
def test_memory_in_use_leaves_out_what_was_written(tmp_path: Path, name: str, anonymous: str) -> None:
    assert Counters(str(tmp_path)).memory_in_use(0) is None
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(f"cache 9\n{anonymous} 100\nshmem 30\n")
    assert Counters(str(tmp_path)).memory_in_use(20) == 110


def test_owners_are_known_by_number_and_start() -> None:
    mine = owners.labels()[owners.OWNER]
    assert is_alive(mine)
    number, _, start = mine.partition(":")
    assert not is_alive(f"{number}:{int(start) + 1}")
    assert not is_alive("") and not is_alive("0:")
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and waiting for its parent
        assert not is_alive(owner(child.pid))


@pytest.mark.parametrize(
    "limits",
    [
        SandboxLimits(wall_seconds=0), SandboxLimits(cpu_seconds=float("inf")), SandboxLimits(memory_bytes=1000),
        SandboxLimits(processes=0), SandboxLimits(files=-1),
    ],
)  # fmt: skip
def test_limits_that_are_none_are_refused(limits: SandboxLimits) -> None:
    with pytest.raises(BadValue, match="limits"):
        request.job(ONCE, "", limits, "python")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(BadValue, match="python, shell"):
        request.job(ONCE, "", SandboxLimits(), "ruby")  # type: ignore[arg-type]


class Warm:
    """A container as the shelf sees it."""

    def __init__(self, shape: options.Shape, well: bool = True) -> None:
        self.shape, self.usable, self.well, self.gone = shape, True, well, False

    def ready(self) -> bool:
        return self.well

    def let_go(self) -> None:
        self.gone = True

    remove = let_go


def shelf_of(start: Callable[[options.Shape], Warm], each: int = 1) -> Any:
    return shelf.Shelf(start, each)  # type: ignore[arg-type]


def test_warm_containers_are_taken_again() -> None:
    keeper = shelf_of(Warm)
    first = keeper.take(SHAPE)
    second = keeper.take(SHAPE)
    keeper.give_back(first)
    keeper.give_back(second)
    assert second.gone and not first.gone and keeper.take(SHAPE) is first
    keeper.close()
    assert first.gone
    with pytest.raises(ToolFault, match="closed"):
        keeper.take(SHAPE)


def test_a_container_that_is_not_ready_is_replaced() -> None:
    keeper = shelf_of(Warm)
    first = keeper.take(SHAPE)
    keeper.give_back(first)
    first.well = False
    assert keeper.take(SHAPE) is not first and first.gone
    with pytest.raises(ToolFault, match="ended at once"):
        shelf_of(lambda shape: Warm(shape, well=False)).take(SHAPE)


def test_shapes_used_long_ago_are_let_go() -> None:
    keeper = shelf_of(Warm)
    first = keeper.take(SHAPE)
    keeper.give_back(first)
    for files in range(shelf.SHAPES):
        keeper.give_back(keeper.take(SHAPE._replace(files=files)))
    assert first.gone


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(MissingExtra, match=r"reachlab\[docker\]"):
        sandbox.Docker()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves its socket open
def test_without_an_engine_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("docker", reason="the docker SDK is not installed (extra docker)")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(ToolFault, match=r"no Docker engine answers at unix://.*/none: start one .* DOCKER_HOST"):
        sandbox.Docker()
    gc.collect()


def test_a_negative_pool_is_refused() -> None:
    with pytest.raises(BadValue, match="pool"):
        sandbox.Docker(pool=-1)


def test_it_is_registered_and_imports_no_sdk() -> None:
    assert registry.resolve("sandboxes", "docker") is sandbox.Docker
    code = "import sys, reachlab.sandbox.docker; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_removing_what_is_gone_is_no_error() -> None:
    errors = pytest.importorskip("docker", reason="the docker SDK is not installed (extra docker)").errors

    def refuse(status: int) -> Any:
        def remove_container(container: str, **given: Any) -> None:
            raise errors.APIError("no", response=SimpleNamespace(status_code=status, reason="", url=""))

        return SimpleNamespace(api=SimpleNamespace(remove_container=remove_container))

    owners.remove(refuse(404), "c1")
    with pytest.raises(errors.APIError):
        owners.remove(refuse(500), "c1")
