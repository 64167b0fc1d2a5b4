"""Control groups of the jail: a cap that holds with nobody watching, named as a limit, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reachlab import SandboxLimits, SandboxResult
from reachlab.errors import ToolFault
from reachlab.sandbox.jail import Jail, groups
from reachlab.sandbox.jail.inside import usage
from tests.sandbox.test_jail_life import SOURCE, becomes

LIMITS = SandboxLimits(wall_seconds=20.0, cpu_seconds=20.0, memory_bytes=64 * 2**20, processes=12)
CAP = LIMITS.memory_bytes + LIMITS.written_bytes + groups.RESERVE_BYTES + 12 * groups.PROCESS_BYTES + 2 * 4096
GREEDY = """
import os, time
time.sleep(0.5)
(told, tell), (hold, release) = os.pipe(), os.pipe()
for _ in range(8):
    if os.fork() == 0:
        os.close(release)
        held = b"x" * (40 << 20)
        os.write(tell, b".")
        os.read(hold, 1)
        os._exit(0)
os.close(tell)
count = 0
while count < 8 and (data := os.read(told, 8)):
    count += len(data)
print(count)
"""
"""Eight processes of 40 MB each, once the test has stopped whoever watches."""
OWNER = """
import sys, time
from reachlab import SandboxLimits
from reachlab.sandbox.jail import Jail
jail = Jail(tiers=("A",))
session = jail.session()
session.run("import os, time\\nif not os.fork(): time.sleep(60)", SandboxLimits())
print("ready", flush=True)
time.sleep(60)
"""


def folders() -> list[Path]:
    """Every group of any jail on this machine."""
    places = {folder for parents in groups._parents() for folder in parents.folders.values()}
    return [path for place in places for path in place.glob("reachlab-group-*")]


def of(owner: int) -> list[Path]:
    return [path for path in folders() if f"-{owner}-" in path.name]


@pytest.fixture
def jail() -> Iterator[Jail]:
    try:
        made = Jail(tiers=("A",), pool=1)
    except ToolFault as fault:
        pytest.skip(f"this machine does not have this tier: {fault}")
    try:
        if not made.cgroups.startswith("in force"):
            pytest.skip(f"control groups are {made.cgroups}")
        yield made
    finally:
        made.close()


def test_memory_in_total_is_capped_with_nobody_watching(jail: Jail) -> None:
    engine = jail._engine
    assert engine is not None and becomes(lambda: len(usage.children(engine._process.pid)) == 3)
    _, watcher, _ = usage.children(engine._process.pid)  # the first of the ring, the supervisor, the child that waits
    worker = engine._pool[0]
    assert worker.group is not None
    results: list[SandboxResult] = []
    thread = threading.Thread(target=lambda: results.append(jail.run(GREEDY, LIMITS)))
    thread.start()
    time.sleep(0.25)
    os.kill(watcher, signal.SIGSTOP)
    events = worker.group.folders["memory"] / groups._EVENTS[worker.group._version]
    killed = becomes(lambda: usage.counts(events.read_bytes())["oom_kill"] > 0, 10.0)
    os.kill(watcher, signal.SIGCONT)
    thread.join()
    assert killed
    assert (results[0].limit, results[0].exit_code) == ("memory", None)
    peak = worker.group.folders["memory"] / "memory.max_usage_in_bytes"
    if peak.exists():
        assert LIMITS.memory_bytes < int(peak.read_text()) <= CAP


def test_a_kill_of_an_earlier_run_is_not_held_against_the_next(jail: Jail) -> None:
    session = jail.session()
    small = SandboxLimits(wall_seconds=9.0, memory_bytes=64 * 2**20, processes=12)
    assert session.run(GREEDY, small).limit == "memory"
    assert session.run("print(1)", small).stdout == b"1\n"
    session.close()
    assert [jail.run(f"print({n})", small).stdout for n in range(4)] == [b"%d\n" % n for n in range(4)]


def test_runs_one_after_another_share_a_few_groups(jail: Jail) -> None:
    for number in range(30):
        assert jail.run(f"print({number})", LIMITS).exit_code == 0
    made = {path.name for path in of(os.getpid())}
    assert 1 <= len(made) <= 8
    jail.close()
    assert not of(os.getpid())


def test_each_limit_is_set_for_the_run_it_belongs_to(jail: Jail) -> None:
    session = jail.session()
    found = []
    for memory, processes in ((64 * 2**20, 4), (256 * 2**20, 9)):
        session.run("", SandboxLimits(memory_bytes=memory, processes=processes))
        assert session._held is not None and session._held[1].group is not None
        folder = session._held[1].group.folders
        cap = int((folder["memory"] / groups._MEMORY[session._held[1].group._version]).read_text())
        found.append((cap - processes * groups.PROCESS_BYTES, int((folder["pids"] / "pids.max").read_text())))
    assert [pids for _, pids in found] == [5, 10]
    assert found[1][0] - found[0][0] == 192 * 2**20
    session.close()


def test_a_killed_owner_leaves_no_group(jail: Jail) -> None:
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    with subprocess.Popen([sys.executable, "-c", OWNER], env=environment, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
        assert of(owner.pid)
        owner.send_signal(signal.SIGKILL)
    assert becomes(lambda: not of(owner.pid), 2.0), of(owner.pid)


def test_a_killed_zygote_leaves_no_group(jail: Jail) -> None:
    assert jail._engine is not None
    before = {path.name for path in of(os.getpid())}
    jail._engine._process.kill()
    jail._engine._process.wait()
    assert jail.run("print(1)", LIMITS).stdout == b"1\n"  # a new one, with groups of its own
    assert before and not before & {path.name for path in of(os.getpid())}


def test_what_the_dead_left_is_removed_when_a_jail_starts(jail: Jail) -> None:
    parents = next(iter(groups._parents()))
    with subprocess.Popen(["true"]) as gone:
        pass
    name = of(os.getpid())[0].name.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    stale = [folder / name for folder in sorted(set(parents.folders.values()))]
    for path in stale:
        path.mkdir()
    Jail(tiers=("A",), pool=0).close()
    assert not any(path.exists() for path in stale)


def test_where_none_can_be_made_the_jail_works_and_says_why(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_parents", lambda: iter([groups.Parents(2, {"memory": Path("/proc/none")})]))
    other = Jail(tiers=("A",), pool=0)
    assert other.cgroups.startswith("not in force: no group can be made in /proc/none")
    assert other.run("print(1)", LIMITS).stdout == b"1\n"
    other.close()


MOUNTS = {
    "one": (
        "4:memory:/own\n3:cpu,cpuacct:/\n8:pids:/\n0::/\n",
        "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 24 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        {"memory": "/sys/fs/cgroup/memory/own", "pids": "/sys/fs/cgroup/pids", "": "/sys/fs/cgroup/unified"},
    ),
    "container": (
        "4:memory:/docker/c1\n8:pids:/docker/c1\n",
        "30 24 0:26 /docker/c1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 24 0:27 /docker/c2 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
        {"memory": "/sys/fs/cgroup/memory"},
    ),
    "two": (
        "0::/user.slice/a.scope\n",
        "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        {"": "/sys/fs/cgroup/user.slice/a.scope"},
    ),
}


@pytest.mark.parametrize("case", MOUNTS)
def test_own_groups_are_found_where_they_are_mounted(case: str, tmp_path: Path) -> None:
    own, mounts, wanted = MOUNTS[case]
    (tmp_path / "cgroup").write_text(own)
    (tmp_path / "mountinfo").write_text(mounts)
    assert groups._own_folders(tmp_path) == {name: Path(path) for name, path in wanted.items()}


def test_version_two_needs_both_controllers_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "slice" / "own").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/slice/own\n")
    (tmp_path / "mountinfo").write_text(f"30 24 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "slice" / "own" / "cgroup.subtree_control").write_text("pids\n")
    assert list(groups._parents(tmp_path)) == []
    (tmp_path / "slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    found = list(groups._parents(tmp_path))
    assert found == [groups.Parents(2, dict.fromkeys(("memory", "pids"), tmp_path / "slice"))]
