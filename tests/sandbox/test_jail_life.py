"""How the jail starts, fails, is shared and ends: nothing leaks, faults are faults, no protection is never silent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from reachlab import SandboxLimits
from reachlab.errors import BadValue, ToolFault
from reachlab.sandbox.jail import Jail
from reachlab.sandbox.jail.inside import owners, usage
from tests.sandbox.test_jail import open_to_all, python_for

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the jail needs Linux")

QUICK = SandboxLimits(wall_seconds=5.0, cpu_seconds=5.0)
SOURCE = str(Path(__file__).parents[2] / "src")


def a_jail(tier: str = "", pool: int = 2) -> Jail:
    try:
        return Jail(pool=pool, tiers=tuple(tier or "AB"), python=python_for(tier) if tier else "")
    except ToolFault as fault:
        pytest.skip(f"this machine does not have this tier: {fault}")


def state() -> dict[str, object]:
    """What a leak would add to."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(usage.children(os.getpid())),
        "mounts": Path("/proc/self/mounts").read_text().count("\n"),
        "threads": threading.active_count(),
        "folders": folders(os.getpid()),
    }


def folders(owner: int) -> list[str]:
    return [str(p) for place in ("/dev/shm", "/tmp") for p in Path(place).glob(f"reachlab-jail-*-*-*-{owner}-*")]


def becomes(wanted: Callable[[], bool], seconds: float = 2.0) -> bool:
    end = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("tier", ["A", "B"])
def test_two_hundred_runs_leak_nothing(tier: str) -> None:
    before = state()
    with closing(a_jail(tier, pool=1)) as jail:
        for _ in range(10):
            jail.run("open('f', 'w').write('x' * 1000)", QUICK)
        assert becomes(lambda: _at_rest(jail))
        during = state()
        for number in range(95):
            assert jail.run(f"open('f', 'w').write('x' * 1000); print({number})", QUICK).exit_code == 0
            assert jail.run("sleep 9 & echo done", QUICK, "shell").stdout == b"done\n"
        assert becomes(lambda: {**state(), "folders": 0} == {**during, "folders": 0}), (state(), during)
    assert becomes(lambda: state() == before), (state(), before)


def _at_rest(jail: Jail) -> bool:
    """Whether below the zygote there are just who waits for it, in tier A, and the pool: a supervisor and its child."""
    return len(usage.children(_zygote(jail))) == (3 if jail.tier == "jail-A" else 2)


PARENT = """
import os, sys, threading, time
from reachlab import SandboxLimits
from reachlab.sandbox.jail import Jail
jail = Jail(tiers=(sys.argv[1],), python=sys.argv[2])
session = jail.session()
session.run("import subprocess; x = 1", SandboxLimits())
long = SandboxLimits(wall_seconds=60, cpu_seconds=60)
for code in ("import os, time; os.fork(); os.setsid(); os.fork(); time.sleep(50)", "while True: pass"):
    threading.Thread(target=jail.run, args=(code, long), daemon=True).start()
time.sleep(0.3)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("tier", ["A", "B"])
def test_killed_from_outside_it_leaves_nothing_running(tier: str) -> None:
    a_jail(tier, pool=0).close()
    command = [sys.executable, "-c", PARENT, tier, python_for(tier)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": SOURCE}, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
        below = {pid: _born(pid) for pid in usage.children(parent.pid)}
        assert len(below) >= 9  # zygote, supervisors, runs, what they forked
        parent.send_signal(signal.SIGKILL)
    assert becomes(lambda: not [pid for pid, born in below.items() if _born(pid) == born != ""])
    assert becomes(lambda: not folders(parent.pid))


def _born(pid: int) -> str:
    """When it started, in ticks; empty if it runs no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _zygote(jail: Jail) -> int:
    assert jail._engine is not None
    return jail._engine._process.pid


@pytest.mark.parametrize("tier", ["A", "B"])
def test_a_zygote_that_died_between_runs_is_replaced(tier: str) -> None:
    """Nothing of the next run had begun, so nobody's run is a fault."""
    with closing(a_jail(tier)) as jail:
        dead = _zygote(jail)
        os.kill(dead, signal.SIGKILL)
        assert jail._engine is not None
        jail._engine._process.wait()
        assert jail.run("print(1)", QUICK).stdout == b"1\n"
        assert _zygote(jail) != dead


def test_a_zygote_that_dies_in_a_run_is_a_fault_too() -> None:
    jail = a_jail("A")
    killer = threading.Timer(0.3, os.kill, (_zygote(jail), signal.SIGKILL))
    killer.start()
    with pytest.raises(ToolFault, match="gone"):
        jail.run("import time; time.sleep(4)", QUICK)
    killer.join()
    assert jail.run("print(1)", QUICK).stdout == b"1\n"
    jail.close()


def test_a_dead_supervisor_in_the_pool_is_passed_over() -> None:
    jail = a_jail("A")
    assert becomes(lambda: len(usage.children(_zygote(jail))) >= 5)
    below = usage.children(_zygote(jail))
    supervisors = [pid for pid in usage.children(below[0]) if pid in _direct(below[0])]
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
    assert becomes(lambda: not any(_born(pid) for pid in supervisors))
    assert jail.run("print(1)", QUICK).stdout == b"1\n"
    jail.close()


def test_a_dead_child_in_the_pool_is_replaced() -> None:
    jail = a_jail("A", pool=1)
    assert becomes(lambda: len(usage.children(_zygote(jail))) == 3)
    first, supervisor, child = usage.children(_zygote(jail))
    assert (_direct(first), _direct(supervisor)) == ([supervisor], [child])
    os.kill(child, signal.SIGKILL)
    assert becomes(lambda: not _born(child))
    result = jail.run("print(1)", QUICK)
    assert (result.stdout, result.exit_code) == (b"1\n", 0)
    jail.close()


def _direct(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_closed_is_closed() -> None:
    jail = a_jail()
    session = jail.session()
    session.run("x = 1", QUICK)
    jail.close()
    jail.close()
    for run in (jail.run, session.run):
        with pytest.raises(ToolFault):
            run("print(1)", QUICK)
    session.close()


@pytest.mark.parametrize("tier", ["B", "C"])
def test_the_folder_of_a_killed_supervisor_is_removed(tier: str) -> None:
    try:
        jail = Jail(pool=0, tiers=("B",) if tier == "B" else (), allow_unsafe=tier == "C", python=python_for(tier))
    except ToolFault as fault:
        pytest.skip(f"this machine does not have this tier: {fault}")
    session = jail.session()
    session.run("x = 1", QUICK)
    assert len(folders(os.getpid())) == 1
    (supervisor,) = _direct(_zygote(jail))
    os.kill(supervisor, signal.SIGKILL)
    assert becomes(lambda: not _born(supervisor))
    with pytest.raises(ToolFault, match="supervisor is gone"):
        session.run("x", QUICK)
    assert folders(os.getpid()) == []
    jail.close()


def test_a_jail_removes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    mine, alive = owners.prefix("jail"), f"-{owners.owner(os.getpid()).replace(':', '-')}-"
    left = [tmp_path / mine.replace(alive, f"-{gone.pid}-123-"), tmp_path / mine.replace(alive, f"-{os.getpid()}-1-")]
    kept = [tmp_path / mine, tmp_path / "reachlab-jail-notes", tmp_path / f"reachlab-jail-1-{gone.pid}-123-"]
    for path in [*left, *kept]:
        path.mkdir()
        (path / "file").touch()
    target = tmp_path / "target"
    target.mkdir()
    left.append(tmp_path / f"{left[0].name}link")
    left[-1].symlink_to(target)
    assert {Path(path) for path in owners.sweep(str(tmp_path))} >= set(left)
    assert not any(os.path.lexists(path) for path in left)
    assert all((path / "file").exists() for path in kept) and target.exists()


def test_threads_share_it() -> None:
    jail = a_jail()
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda n: jail.run(f"print({n} ** 2)", QUICK).stdout, range(24)))
    assert results == [f"{n * n}\n".encode() for n in range(24)]
    jail.close()


def test_a_fork_of_the_owner_gets_a_zygote_of_its_own() -> None:
    code = """
import os, sys
from reachlab import SandboxLimits
from reachlab.sandbox.jail import Jail
jail = Jail()
session = jail.session()
session.run("x = 'kept'", SandboxLimits())
before = jail._engine._process.pid
if os.fork() == 0:
    fine = jail.run("print(1)", SandboxLimits()).stdout == b"1\\n" and jail._engine._process.pid != before
    jail.close()
    os._exit(0 if fine else 1)
status = os.wait()[1]
print(status, session.run("print(x)", SandboxLimits()).stdout, jail.run("print(2)", SandboxLimits()).stdout)
jail.close()
"""
    a_jail(pool=0).close()
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout == "0 b'kept\\n' b'2\\n'\n", done.stderr


def test_without_isolation_it_refuses_unless_told() -> None:
    with pytest.raises(ToolFault, match="allow_unsafe"):
        Jail(tiers=())
    with pytest.raises(ToolFault, match="jail-A.*did not start.*jail-B"):
        Jail(python="/nonexistent/python")
    jail = Jail(tiers=(), allow_unsafe=True, pool=0)
    result = jail.run(f"print(open({__file__!r}).read()[:3])", QUICK)
    assert (result.tier, result.stdout) == ("unsafe-C", b'"""\n')
    jail.close()


def test_a_module_that_is_not_there_is_a_fault_that_names_it() -> None:
    with pytest.raises(ToolFault, match="no_such_module"):
        Jail(preimport=("no_such_module",), tiers=("A",))


def test_a_negative_pool_is_refused() -> None:
    with pytest.raises(BadValue, match="pool"):
        Jail(pool=-1)


@pytest.mark.smoke
@pytest.mark.parametrize("options", [["--calls", "3"], ["--leak", "30"]])
def test_the_benchmark_runs_and_finds_no_leak(options: list[str]) -> None:
    a_jail(pool=0).close()
    benchmark = Path(__file__).parents[2] / "benchmarks" / "sandbox.py"
    command = [sys.executable, str(benchmark), "--json", *options]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["tier"].startswith("jail-") and found["runs_per_second"] > 1
    if "--leak" in options:
        assert found["broken"] == []
    else:
        assert {"plain", "cold", "pool", "session", "shell", "numpy"} <= set(found["rows"])


PLAIN_USER = """
import json, os, sys
import reachlab.sandbox.jail, reachlab.sandbox.jail.tiers  # all that lies where only root may read
from reachlab import SandboxLimits
from reachlab.errors import ToolFault
import tempfile, socket, subprocess, encodings.idna
if os.geteuid() == 0:
    os.chdir("/"); os.setgroups([]); os.setgid(54321); os.setuid(54321)
said = {}
for tier in "AB":
    try:
        jail = reachlab.sandbox.jail.Jail(tiers=(tier,), python=sys.argv[1])
    except ToolFault as fault:
        said[tier] = str(fault)
        continue
    code = "import os; print(os.listdir('.'), os.getuid() != 0, dict(os.environ)); open('f', 'w').write('x')"
    result = jail.run(code, SandboxLimits())
    code = "import os\\nwhile True:\\n  try: os.fork()\\n  except OSError: pass"
    strangers = [subprocess.Popen(["sleep", "60"]) for _ in range(8)]  # of this user too, after the run was prepared
    bomb = jail.run(code, SandboxLimits(processes=4))
    for stranger in strangers:
        stranger.kill()
    shell = jail.run("id -u", SandboxLimits(), "shell")
    said[tier] = [result.stdout.decode(), result.tier, bomb.limit, shell.exit_code]
    jail.close()
print(json.dumps(said))
"""


def test_a_plain_user_has_it_too() -> None:
    candidates = [python_for("A"), "/usr/bin/python3", "/usr/local/bin/python3"]
    python = next((p for p in candidates if os.geteuid() or open_to_all(p)), "")
    if not python:
        pytest.skip("no interpreter that a plain user can read")
    command = [sys.executable, "-c", PLAIN_USER, python]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    started = {tier: told for tier, told in said.items() if isinstance(told, list)}
    if not started:
        pytest.skip(f"this machine isolates nothing for a plain user: {said}")
    for tier, told in started.items():
        assert told == ["[] True {}\n", f"jail-{tier}", "processes", 0]
