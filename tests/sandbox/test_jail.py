"""What the sandbox contract promises of the jail, in every isolating tier that this machine has."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from reachlab import Limit, SandboxLimits
from reachlab.errors import BadValue, ToolFault
from reachlab.registry import resolve
from reachlab.sandbox.jail import Jail
from reachlab.sandbox.jail.engine import default_python
from reachlab.sandbox.jail.inside.protocol import LIMITS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the jail needs Linux")

QUICK = SandboxLimits(wall_seconds=5.0, cpu_seconds=5.0)
MEGABYTE = 2**20


def open_to_all(python: str) -> bool:
    """Whether another user could run it."""
    path = Path(python).resolve()
    return path.exists() and all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents))


def python_for(tier: str) -> str:
    """Tier B as root gives each run a user of its own, who must be able to read the interpreter."""
    if tier == "A" or os.geteuid():
        return default_python()
    candidates = [default_python(), "/usr/bin/python3", "/usr/local/bin/python3"]
    return next((python for python in candidates if open_to_all(python)), default_python())


@pytest.fixture(scope="module", params=["A", "B"])
def jail(request: pytest.FixtureRequest) -> Iterator[Jail]:
    try:
        jail = Jail(tiers=(request.param,), python=python_for(request.param))
    except ToolFault as fault:
        pytest.skip(f"this machine does not have this tier: {fault}")
    yield jail
    jail.close()


def test_stdout_stderr_and_exit_code_come_back(jail: Jail) -> None:
    result = jail.run("import sys; print(6 * 7); print('so', file=sys.stderr); sys.exit(3)", QUICK)
    assert (result.stdout, result.stderr, result.exit_code, result.limit) == (b"42\n", b"so\n", 3, "")
    assert result.tier == jail.tier
    assert 0 < result.wall_seconds < 5 and 0 < result.cpu_seconds < 5
    assert MEGABYTE < result.peak_bytes < 256 * MEGABYTE


def test_shell_has_its_tools(jail: Jail) -> None:
    result = jail.run("printf 'b\\na\\n' | sort | tr a-z A-Z; exit 5", QUICK, "shell")
    assert (result.stdout, result.exit_code) == (b"A\nB\n", 5)


def test_a_long_script_runs(jail: Jail) -> None:
    result = jail.run("true\n" * 60_000 + "echo end", QUICK, "shell")
    assert result.stdout == b"end\n", result


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import sys; sys.exit()", 0),
        ("exit(7)", 7),
        ("raise SystemExit('no')", 1),
        ("1 / 0", 1),
        ("def", 1),
        ("import os; os._exit(9)", 9),
        ("import os; os.kill(os.getpid(), 15)", -15),
        ("x = '\ud800'", 1),
        ("\0", 1),
    ],
)
def test_exit_codes_are_those_of_an_interpreter(jail: Jail, code: str, wanted: int) -> None:
    result = jail.run(code, QUICK)
    assert (result.exit_code, result.limit) == (wanted, "")


def test_text_and_bytes_survive(jail: Jail) -> None:
    every = bytes(range(256))
    code = "import sys; print('é漢🎲'); sys.stdout.flush(); sys.stdout.buffer.write(bytes(range(256)))"
    result = jail.run(code, QUICK)
    assert result.stdout == "é漢🎲\n".encode() + every
    assert jail.run("printf 'é\\377'", QUICK, "shell").stdout == "é".encode() + b"\xff"


def test_a_traceback_shows_the_code_and_nothing_of_the_jail(jail: Jail) -> None:
    stderr = jail.run("def f():\n    return {}['key']\nf()", QUICK).stderr.decode()
    assert "return {}['key']" in stderr and "KeyError" in stderr
    assert "inside" not in stderr and "runner" not in stderr


def test_what_was_registered_runs_at_exit_and_threads_are_awaited(jail: Jail) -> None:
    code = """
import atexit, threading, time
atexit.register(print, "last")
threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()
"""
    assert jail.run(code, QUICK).stdout == b"thread\nlast\n"


def test_stdin_is_at_its_end(jail: Jail) -> None:
    assert b"EOFError" in jail.run("input()", QUICK).stderr
    assert jail.run("cat; echo end", QUICK, "shell").stdout == b"end\n"


LIMIT_CASES: dict[Limit, tuple[str, SandboxLimits]] = {
    "wall": ("import time; print('on', flush=True); time.sleep(30)", SandboxLimits(wall_seconds=0.3)),
    "cpu": ("print('on', flush=True)\nwhile True: pass", SandboxLimits(wall_seconds=20, cpu_seconds=0.2)),
    "memory": ("print('on', flush=True); x = bytearray(10**9)", SandboxLimits(memory_bytes=64 * MEGABYTE)),
    "processes": (
        "import os, time\nprint('on', flush=True)\nfor _ in range(20):\n  if not os.fork(): time.sleep(9); os._exit(0)",
        SandboxLimits(processes=4, wall_seconds=5),
    ),
    "files": (
        "import time\nprint('on', flush=True)\nfor i in range(100): open(str(i), 'w')\ntime.sleep(9)",
        SandboxLimits(files=20),
    ),
    "written": (
        "import time\nprint('on', flush=True)\nwith open('f', 'wb') as f: f.write(bytes(10**7))\ntime.sleep(9)",
        SandboxLimits(written_bytes=MEGABYTE),
    ),
    "output": ("import os\nos.write(1, b'on\\n')\nwhile True: os.write(1, b'x' * 5000)", SandboxLimits(output_bytes=3)),
}


@pytest.mark.parametrize("limit", LIMIT_CASES)
def test_each_limit_ends_a_run_and_is_named(jail: Jail, limit: Limit) -> None:
    code, limits = LIMIT_CASES[limit]
    start = time.monotonic()
    result = jail.run(code, limits)
    assert (result.limit, result.stdout) == (limit, b"on\n"), result
    assert time.monotonic() - start < 4
    assert result.exit_code is None


def test_every_limit_has_a_case_and_a_number() -> None:
    assert set(LIMITS) == set(get_args(Limit)) == {"", *LIMIT_CASES}


def test_too_many_threads_are_too_many_processes(jail: Jail) -> None:
    code = "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()"
    assert jail.run(code, SandboxLimits(memory_bytes=64 * MEGABYTE, wall_seconds=4)).limit == "processes"


def test_memory_counts_in_total(jail: Jail) -> None:
    code = """
import os, time
for _ in range(6):
    if not os.fork():
        held = bytearray(40 * 2**20)
        time.sleep(9)
        os._exit(0)
time.sleep(9)
"""
    result = jail.run(code, SandboxLimits(memory_bytes=128 * MEGABYTE, wall_seconds=4))
    assert result.limit == "memory"
    assert result.peak_bytes > 128 * MEGABYTE


def test_what_comes_up_to_the_limits_is_let_be(jail: Jail) -> None:
    code = """
import os, subprocess, time
for number in range(19): open(str(number), "w").close()
with open("f", "wb") as file: file.write(bytes(2**20))
held = bytearray(60 * 2**20)
children = [subprocess.Popen(["sleep", "0.1"]) for _ in range(3)]
print([child.wait() for child in children])
"""
    limits = SandboxLimits(files=20, written_bytes=MEGABYTE, memory_bytes=128 * MEGABYTE, processes=4)
    result = jail.run(code, limits)
    assert (result.stdout, result.limit, result.exit_code) == (b"[0, 0, 0]\n", "", 0), result


def test_memory_that_forks_share_counts_once(jail: Jail) -> None:
    code = """
import os, subprocess, time
held = bytearray(70 * 2**20)
forks = [os.fork() for _ in range(1)]
if not forks[0]: time.sleep(0.2); os._exit(0)
for _ in range(40): subprocess.run(["true"])
print("done")
"""
    result = jail.run(code, SandboxLimits(memory_bytes=128 * MEGABYTE, wall_seconds=5))
    assert (result.stdout, result.limit) == (b"done\n", ""), result


def test_what_was_printed_before_a_limit_is_there(jail: Jail) -> None:
    code = "import time\nfor n in range(3): print('line', n)\ntime.sleep(30)"
    result = jail.run(code, SandboxLimits(wall_seconds=0.5))
    assert (result.limit, result.stdout) == ("wall", b"line 0\nline 1\nline 2\n")
    session = jail.session()
    result = session.run(code, SandboxLimits(wall_seconds=0.5))
    assert (result.limit, result.stdout) == ("wall", b"line 0\nline 1\nline 2\n")
    session.close()


@pytest.mark.parametrize("stream", [1, 2])
def test_output_is_kept_up_to_the_cap_and_drained_beyond(jail: Jail, stream: int) -> None:
    code = f"import os\nfor _ in range(200): os.write({stream}, b'x' * 65536)"
    result = jail.run(code, SandboxLimits(output_bytes=1000))
    assert (result.stdout, result.stderr)[stream - 1] == b"x" * 1000
    assert result.limit == "output"
    full = jail.run(f"import os; os.write({stream}, b'x' * 1000)", SandboxLimits(output_bytes=1000))
    assert ((full.stdout, full.stderr)[stream - 1], full.limit) == (b"x" * 1000, "")


def test_runs_share_nothing(jail: Jail) -> None:
    jail.run("import builtins; builtins.left = 1; open('left', 'w').write('x')", QUICK)
    result = jail.run("import os; print(os.listdir('.'), 'left' in dir(__builtins__))", QUICK)
    assert result.stdout == b"[] False\n"


def test_runs_draw_different_numbers(jail: Jail) -> None:
    drawn = {jail.run("import random; print(random.random())", QUICK).stdout for _ in range(3)}
    assert len(drawn) == 3


def test_the_host_is_not_there(jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("token")
    monkeypatch.setenv("SECRET", "token")
    code = f"""
import os, socket
def tried(action):
    try: return repr(action())
    except OSError: return "refused"
print(dict(os.environ), tried(lambda: open({str(secret)!r}).read()), tried(socket.socket),
      tried(lambda: os.kill({os.getpid()}, 0)), tried(lambda: open({str(Path.home())!r} + "/x", "w")), os.getuid() != 0)
"""
    assert jail.run(code, QUICK).stdout == b"{} refused refused refused refused True\n"


OPEN = """
import os
def is_open(number):
    try: os.fstat(number)
    except OSError: return False
    return True
print([number for number in range(1024) if is_open(number)])
"""


def test_a_run_inherits_three_descriptors(jail: Jail) -> None:
    assert jail.run(OPEN, QUICK).stdout == b"[0, 1, 2]\n"


@pytest.mark.parametrize("tier", ["A", "B"])
def test_it_inherits_no_more_from_a_library_with_many_open_files(tier: str) -> None:
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(400)]
    try:
        made = Jail(tiers=(tier,), python=python_for(tier), pool=0)
    except ToolFault as fault:
        pytest.skip(f"this machine does not have this tier: {fault}")
    finally:
        for descriptor in held:
            os.close(descriptor)
    assert made.run(OPEN, QUICK).stdout == b"[0, 1, 2]\n"
    made.close()


def test_the_system_calls_that_open_doors_are_refused(jail: Jail) -> None:
    code = """
import ctypes, errno, mmap
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    return getattr(libc, name)(*arguments), errno.errorcode.get(ctypes.get_errno())
print(call("unshare", 0x10000000), call("ptrace", 0, 0, 0, 0), call("memfd_create", b"x", 0), call("setuid", 0))
try: mmap.mmap(-1, 4096)
except OSError as error: print(error.errno == errno.EPERM)
mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
"""
    refused = "(-1, 'EPERM')"
    assert jail.run(code, QUICK).stdout.decode() == f"{refused} {refused} {refused} {refused}\nTrue\n"


def test_a_daemon_does_not_outlive_its_run(jail: Jail) -> None:
    code = """
import os, signal, time
if not os.fork():
    os.setsid()
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(97.531)
    os._exit(0)
os.wait()
print("left")
"""
    start = time.monotonic()
    assert jail.run(code, QUICK).stdout == b"left\n"
    assert time.monotonic() - start < 2
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if "97.531" in _text(p)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_a_session_keeps_variables_and_files(jail: Jail) -> None:
    session = jail.session()
    assert session.run("import math\nx = 6\nopen('f', 'w').write('kept')", QUICK).exit_code == 0
    assert session.run("print(x * 7, math.pi > 3, open('f').read())", QUICK).stdout == b"42 True kept\n"
    assert session.run("cat f; echo more > g", QUICK, "shell").stdout == b"kept"
    assert session.run("print(open('g').read(), x)", QUICK).stdout == b"more\n 6\n"
    session.close()
    session.close()
    with pytest.raises(ToolFault, match="closed"):
        session.run("1", QUICK)
    assert jail.run("import os; print(os.listdir('.'))", QUICK).stdout == b"[]\n"


def test_a_session_outlives_errors_and_exits(jail: Jail) -> None:
    session = jail.session()
    assert session.run("x = 1", QUICK).exit_code == 0
    assert session.run("1 / 0", QUICK).exit_code == 1
    assert session.run("raise SystemExit(4)", QUICK).exit_code == 4
    assert session.run("print(x)", QUICK).stdout == b"1\n"
    assert session.run("import os; os._exit(5)", QUICK).exit_code == 5
    assert session.run("print('x' in globals())", QUICK).stdout == b"False\n"
    session.close()


@pytest.mark.parametrize("limit", ["wall", "cpu", "memory", "processes", "output"])
def test_a_session_starts_afresh_after_a_limit(jail: Jail, limit: Limit) -> None:
    session = jail.session()
    session.run("x = 1", QUICK)
    code, limits = LIMIT_CASES[limit]
    assert session.run(code, limits).limit == limit
    assert session.run("print('x' in globals())", QUICK).stdout == b"False\n"
    session.close()


def test_a_session_may_be_given_less_than_it_has_used(jail: Jail) -> None:
    session = jail.session()
    assert session.run("open('f', 'wb').write(bytes(3 * 2**20))", QUICK).exit_code == 0
    assert session.run("print('more')", SandboxLimits(written_bytes=MEGABYTE)).limit == "written"
    assert session.run("import os; os.remove('f')", QUICK).exit_code == 0
    assert session.run("print('more')", SandboxLimits(written_bytes=MEGABYTE)).stdout == b"more\n"
    session.close()


def test_what_a_session_leaves_running_does_not_count_against_it_for_ever(jail: Jail) -> None:
    session = jail.session()
    limits = SandboxLimits(processes=6)
    for turn in range(4):
        code = f"import os, time\nfor _ in range(2):\n  if not os.fork(): time.sleep(9)\nprint({turn})"
        result = session.run(code, SandboxLimits(processes=12))
        assert (result.stdout, result.limit) == (f"{turn}\n".encode(), "")
    assert session.run("print('still')", limits).stdout == b"still\n"
    session.close()


def test_between_two_turns_a_session_does_nothing(jail: Jail) -> None:
    session = jail.session()
    code = """
import subprocess, threading, time
ticks = []
def tick():
    while True:
        ticks.append(1); time.sleep(0.005)
threading.Thread(target=tick, daemon=True).start()
child = subprocess.Popen(["sleep", "30"])
seen = len(ticks)
"""
    session.run(code, QUICK)
    time.sleep(0.3)
    stdout = session.run("print(len(ticks) - seen < 20, child.wait())", QUICK).stdout
    assert stdout == b"True -9\n"
    session.close()


def test_noise_on_the_channel_of_a_session_changes_nothing(jail: Jail) -> None:
    session = jail.session()
    code = """
import os
for number in range(3, 64):
    try: os.write(number, b"\\0" * 10)
    except OSError: pass
print("told"); raise SystemExit(6)
"""
    result = session.run(code, QUICK)
    assert (result.stdout, result.exit_code) == (b"told\n", 6)
    session.close()


def test_wrong_arguments_say_what_is_allowed(jail: Jail) -> None:
    with pytest.raises(BadValue, match="python, shell"):
        jail.run("1", QUICK, "ruby")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="limits"):
        jail.run("1", SandboxLimits(wall_seconds=float("inf")))
    for limits in (SandboxLimits(processes=-1), SandboxLimits(memory_bytes=2**60), SandboxLimits(cpu_seconds=0)):
        with pytest.raises(BadValue, match="limits"):
            jail.run("1", limits)


def test_the_registry_knows_it() -> None:
    assert resolve("sandboxes", "jail") is Jail


def test_preimported_modules_are_there_with_their_files() -> None:
    jail = Jail(preimport=("numpy",), pool=0)
    try:
        code = "import numpy, numpy.testing; print(numpy.arange(4).sum(), numpy.random.rand())"
        first, second = (json.loads(f"[{jail.run(code, QUICK).stdout.decode().replace(' ', ',')}]") for _ in "12")
        assert first[0] == second[0] == 6
        assert first[1] != second[1]
    finally:
        jail.close()
