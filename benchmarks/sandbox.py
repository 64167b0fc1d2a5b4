"""Milliseconds a call of the jail, next to starting a plain ``python -I -S``; runs per second; what many runs leak.

Command: ``python benchmarks/sandbox.py [--calls 100] [--json] [--check] [--leak 10000 [--docker]]``. The rows
take turns within one run, so that whatever else the machine does falls on all of them; medians, 10th and 90th
percentiles, and the ratio of the medians to plain python's. ``--check`` exits with 1 where the promise is broken: the
pool no slower than plain python, cold within 1.5 times. ``--leak N`` makes N runs instead (in containers: ``--docker``)
and counts processes, descriptors, mounts, work folders, control groups, containers and memory before and after.

cold: a child forked and jailed when the call comes; pool: one that was ready; session: a call in a living interpreter;
numpy: a matrix product with numpy preimported. docker warm: through the worker of a container that runs; docker
cold: a container of its own; both only where an engine answers. Not covered: starting the zygote but once (``start``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from reachlab import Sandbox, SandboxLimits, SandboxResult
from reachlab.errors import ToolFault
from reachlab.sandbox.docker import Docker, engine, owners
from reachlab.sandbox.jail import Jail, groups
from reachlab.sandbox.jail.engine import default_python
from reachlab.sandbox.jail.inside import usage

PROMISED = {"pool": 1.0, "cold": 1.5}
"""The most that a median may be, as a multiple of plain python's."""
CODE = "print(6 * 7)"
NUMPY = "import numpy as np; a = np.arange(10_000.0).reshape(100, 100); print((a @ a).shape)"
LIMITS = SandboxLimits(wall_seconds=20.0, cpu_seconds=20.0)
WORKERS = 2


def succeeds(result: SandboxResult) -> None:
    assert result.exit_code == 0, result


def plain() -> None:
    done = subprocess.run([default_python(), "-I", "-S", "-c", CODE], capture_output=True, env={}, check=True)
    assert done.stdout == b"42\n"


def measure(calls: int) -> tuple[dict[str, list[float]], str, float]:
    """Seconds of every call of every row, the tier, and runs per second of a shared pool."""
    started = time.perf_counter()
    pool = Jail(pool=WORKERS)
    start_seconds = time.perf_counter() - started
    cold = Jail(pool=0)
    session = pool.session()
    rows: dict[str, Callable[[], None]] = {
        "plain": plain,
        "cold": lambda: succeeds(cold.run(CODE, LIMITS)),
        "pool": lambda: succeeds(pool.run(CODE, LIMITS)),
        "session": lambda: succeeds(session.run(CODE, LIMITS)),
        "shell": lambda: succeeds(pool.run("echo 42", LIMITS, "shell")),
    }
    jails: list[Sandbox] = [pool, cold]
    if find_spec("numpy") is not None:
        jails.append(numeric := Jail(preimport=("numpy",), pool=WORKERS))
        rows["numpy"] = lambda: succeeds(numeric.run(NUMPY, LIMITS))
    for name, containers in engines().items():
        jails.append(containers)
        rows[name] = partial(run_in, containers)
    for call in rows.values():
        call()
    seconds: dict[str, list[float]] = {"start": [start_seconds], **{name: [] for name in rows}}
    for _ in range(calls):
        for name, call in rows.items():
            begun = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begun)
    with ThreadPoolExecutor(WORKERS) as threads:
        begun = time.perf_counter()
        list(threads.map(lambda _: rows["pool"](), range(3 * calls)))
        rate = 3 * calls / (time.perf_counter() - begun)
    session.close()
    for jail in jails:
        jail.close()
    return seconds, pool.tier, rate


def engines() -> dict[str, Sandbox]:
    """Docker with a warm container and without any, where an engine answers."""
    try:
        return {"docker warm": Docker(pool=1), "docker cold": Docker(pool=0)}
    except ToolFault as fault:
        print(f"no rows of Docker: {fault}", file=sys.stderr)
        return {}


def run_in(sandbox: Sandbox) -> None:
    succeeds(sandbox.run(CODE, LIMITS))


def summary(calls: int) -> dict[str, object]:
    seconds, tier, rate = measure(calls)
    reference = statistics.median(seconds["plain"])
    rows = {}
    for name, values in seconds.items():
        ordered = sorted(values)
        rows[name] = {
            "milliseconds": 1000 * statistics.median(values),
            "p10": 1000 * ordered[len(ordered) // 10],
            "p90": 1000 * ordered[len(ordered) * 9 // 10],
            "ratio": statistics.median(values) / reference,
        }
    broken = [name for name, most in PROMISED.items() if rows[name]["ratio"] > most]
    return {"tier": tier, "calls": calls, "rows": rows, "runs_per_second": rate, "broken": broken}


def state() -> dict[str, int]:
    """What a leak would add to, of this process and of the machine."""
    folders = [p for place in ("/dev/shm", "/tmp") for p in Path(place).glob(f"reachlab-jail-*-*-*-{os.getpid()}-*")]
    places = {folder for parents in groups._parents() for folder in parents.folders.values()}
    statuses = Path("/proc/self/status").read_text().splitlines()
    return {
        "processes": len(usage.children(os.getpid())),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": Path("/proc/self/mounts").read_text().count("\n"),
        "folders": len(folders),
        "groups": sum(len(list(place.glob(f"reachlab-group-*-{os.getpid()}-*"))) for place in places),
        "containers": containers(),
        "resident_kb": next(int(line.split()[1]) for line in statuses if line.startswith("VmRSS")),
    }


def containers() -> int:
    """Of this process, if it uses any."""
    if "docker" not in sys.modules:
        return 0
    with closing(engine.connect()) as client:
        wanted = [f"{name}={value}" for name, value in owners.labels().items()]
        return len(client.api.containers(all=True, filters={"label": wanted}))


def leak(runs: int, docker: bool) -> dict[str, object]:
    """Half of the runs leave files and a daemon behind, the rest is one session in ten."""
    jail = Docker(pool=WORKERS) if docker else Jail(pool=WORKERS)

    def one(number: int) -> None:
        if number % 2:
            succeeds(jail.run("sleep 60 & echo x > f", LIMITS, "shell"))
        elif number % 10:
            succeeds(jail.run("open('f', 'w').write('x' * 10_000)", LIMITS))
        else:
            session = jail.session()
            succeeds(session.run("x = 1", LIMITS))
            session.close()

    def settled() -> dict[str, int]:
        time.sleep(1.0)
        return state()

    def share(first: int, count: int) -> None:
        for number in range(first, count, WORKERS):
            one(number)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(share, range(WORKERS), [200] * WORKERS))
        before = settled()
        begun = time.perf_counter()
        list(threads.map(share, range(WORKERS), [runs] * WORKERS))
        rate = runs / (time.perf_counter() - begun)
        after = settled()
    jail.close()
    closed = settled()
    grown = {name: after[name] - before[name] for name in before}
    # Groups are made when no other is empty: a few more than there are runs at once, however many came before.
    allowed = {"resident_kb": 5000, "groups": 6 * WORKERS}
    leaked = [name for name in grown if grown[name] > allowed.get(name, 0)]
    leaked += [name for name in ("processes", "folders", "groups", "containers") if closed[name]]
    return {"tier": jail.tier, "runs": runs, "runs_per_second": rate, "before": before, "after": after,
            "closed": closed, "broken": leaked}  # fmt: skip


def show(found: dict[str, object]) -> None:
    rows = found.get("rows")
    if isinstance(rows, dict):
        for name, row in rows.items():
            spread = f"({row['p10']:.2f}..{row['p90']:.2f})"
            print(f"{name:10}{row['milliseconds']:10.2f} ms {spread:20} {row['ratio']:6.2f} x plain")
    for name in ("before", "after", "closed"):
        if name in found:
            print(f"{name:10}{found[name]}")
    rate = f"{found['runs_per_second']:.0f} runs/s on {WORKERS} threads"
    print(f"{found['tier']}: {rate}; broken: {found['broken'] or '-'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--leak", type=int, default=0, metavar="N")
    parser.add_argument("--docker", action="store_true", help="with --leak")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = leak(options.leak, options.docker) if options.leak else summary(options.calls)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    if options.check and found["broken"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
