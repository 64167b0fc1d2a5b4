"""The Docker backend on a real engine: one that answers, or one that the fixture starts, as root, for these tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from reachlab import SandboxLimits
from reachlab.errors import BadValue, ToolFault, UnknownName
from reachlab.sandbox.conformance import check
from reachlab.sandbox.docker import Docker, options, owners, recipe, sweep
from tests.sandbox.table import conforms_to_the_table

pytestmark = pytest.mark.services

LIMITS = SandboxLimits(wall_seconds=10.0, cpu_seconds=5.0, memory_bytes=128 << 20)
_OWNER = """
import sys
from reachlab import SandboxLimits
from reachlab.sandbox.docker import Docker
sandbox = Docker()
session = sandbox.session()
session.run("x = 1", SandboxLimits())
print("runs", flush=True)
sandbox.run("import time; time.sleep(60)", SandboxLimits(wall_seconds=60))
"""


def _settings(folder: Path) -> Path:
    """Of an engine for these tests: gVisor too, where it is installed."""
    runsc = shutil.which("runsc")
    found = {"runsc": {"path": runsc, "runtimeArgs": ["--platform=ptrace", "--network=none"]}} if runsc else {}
    path = folder / "daemon.json"
    path.write_text(json.dumps({"runtimes": found}))
    return path


@contextmanager
def _started(folder: Path) -> Iterator[str]:
    """An engine without any network, everything of it in *folder*: its address."""
    command = ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--host", f"unix://{folder}/socket"]
    places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid", "--config-file": _settings(folder).name}
    command += [word for option, name in places.items() for word in (option, str(folder / name))]
    with open(folder / "log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as engine:
        try:
            for _ in range(200):
                if (folder / "socket").exists() or engine.poll() is not None:
                    break
                time.sleep(0.1)
            if engine.poll() is not None:
                pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-300:]}")
            yield f"unix://{folder}/socket"
        finally:
            engine.terminate()
            engine.wait(30)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    docker = pytest.importorskip("docker", reason="the docker SDK is not installed (extra docker)")
    temporary = tempfile.TemporaryDirectory(prefix="rl-", ignore_cleanup_errors=True)
    with temporary as folder, pytest.MonkeyPatch.context() as m:
        if not os.environ.get("DOCKER_HOST") and not os.access("/var/run/docker.sock", os.W_OK):
            if not shutil.which("dockerd"):
                pytest.skip("no Docker engine answers and dockerd is not installed (.ci/docker installs and starts it)")
            if os.geteuid() != 0:
                pytest.skip("no Docker engine answers and only root can start one")
            with _started(Path(folder)) as address:
                m.setenv("DOCKER_HOST", address)
                with closing(docker.from_env()) as connected:
                    yield connected
        else:
            with closing(docker.from_env()) as connected:
                yield connected


@pytest.fixture(scope="module")
def sandbox(client: Any) -> Iterator[Docker]:
    with Docker(pool=2) as made:
        yield made


def containers(client: Any, running: bool = False) -> set[str]:
    return {found["Id"] for found in client.api.containers(all=not running, filters={"label": f"{owners.KIND}=1"})}


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_run_says_what_it_did(sandbox: Docker) -> None:
    found = sandbox.run("import sys; print('é'); print('no', file=sys.stderr); sys.exit(3)", LIMITS)
    assert (found.stdout, found.stderr, found.exit_code, found.limit) == ("é\n".encode(), b"no\n", 3, "")
    assert found.tier == sandbox.tier and found.tier.startswith("docker-")
    assert 0 < found.cpu_seconds < found.wall_seconds + 1 and found.peak_bytes > 2**20
    assert sandbox.run("echo $((6 * 7)); exit 2", LIMITS, "shell").stdout == b"42\n"


def test_nothing_of_a_run_reaches_the_next(sandbox: Docker) -> None:
    sandbox.run("left = 1; import json, os, time; json.left = 1; os.makedirs('a/b'); open('a/b/c', 'w').close()\n"
                "os.chmod('a/b', 0); os.chmod('a', 0); os.chmod('.', 0)\n"
                "if os.fork() == 0: os.setsid(); time.sleep(60)", LIMITS)  # fmt: skip
    found = sandbox.run(
        "import json, os; print('left' in globals(), hasattr(json, 'left'), os.listdir('.'), oct(os.stat('.').st_mode),"
        " [n for n in os.listdir('/proc') if n.isdigit() and int(n) not in (1, os.getpid())])", LIMITS,
    )  # fmt: skip
    assert found.stdout == b"False False [] 0o40700 []\n"


def test_a_session_keeps_variables_and_files(sandbox: Docker) -> None:
    with closing(sandbox.session()) as first, closing(sandbox.session()) as second:
        first.run("x = 41; open('kept', 'w').write('one')", LIMITS)
        assert first.run("cat kept", LIMITS, "shell").stdout == b"one"
        assert first.run("x += 1; print(x, open('kept').read())", LIMITS).stdout == b"42 one\n"
        assert second.run("print('x' in globals(), __import__('os').listdir('.'))", LIMITS).stdout == b"False []\n"
        with pytest.raises(BadValue, match="later run"):
            first.run("", SandboxLimits(memory_bytes=256 << 20))
        assert first.run("while True: pass", SandboxLimits(wall_seconds=0.2, memory_bytes=1 << 27)).limit == "wall"
        assert first.run("print(open('kept').read(), 'x' in globals())", LIMITS).stdout == b"one False\n"
    assert sandbox.run("print(__import__('os').listdir('.'))", LIMITS).stdout == b"[]\n"
    with pytest.raises(ToolFault, match="closed"):
        first.run("", LIMITS)


@pytest.mark.parametrize(
    ("limit", "code", "changed"),
    [
        ("wall", "import time; time.sleep(60)", {"wall_seconds": 0.3}),
        ("cpu", "while True: pass", {"cpu_seconds": 0.3}),
        ("memory", "x = [bytearray(8 << 20) for _ in range(40)]", {}),
        ("memory", "import mmap; m = mmap.mmap(-1, 320 << 20)\nfor i in range(0, 320 << 20, 4096): m[i] = 1", {}),
        ("memory", "import os, time\nfor _ in range(8):\n if os.fork() == 0:\n  x = b'x' * (40 << 20); time.sleep(9)\n"
                   "time.sleep(9)", {}),
        ("processes", "import os, time\nfor _ in range(40): os.fork() or time.sleep(9)", {}),
        ("files", "import os\nfor i in range(2000): os.mkdir(str(i))", {}),
        ("written", "open('a', 'wb').write(b'x' * (30 << 20))", {}),
        ("output", "while True: print('x' * 999)", {}),
        ("output", "import os\nwhile True: os.write(2, b'x' * 9999)", {}),
    ],
)  # fmt: skip
def test_the_limit_that_ended_a_run_is_named(sandbox: Docker, limit: str, code: str, changed: dict[str, float]) -> None:
    limits = SandboxLimits(**{"wall_seconds": 10.0, "cpu_seconds": 8.0, "memory_bytes": 128 << 20} | changed)  # type: ignore[arg-type]
    found = sandbox.run(code, limits)
    assert found.limit == limit and found.wall_seconds < 6
    assert len(found.stdout) <= limits.output_bytes and len(found.stderr) <= limits.output_bytes
    assert sandbox.run("print(1)", limits).stdout == b"1\n"


def test_what_was_printed_before_a_limit_is_there(sandbox: Docker) -> None:
    code = "import time\nfor n in range(3): print('line', n)\ntime.sleep(30)"
    result = sandbox.run(code, SandboxLimits(wall_seconds=0.5))
    assert (result.limit, result.stdout) == ("wall", b"line 0\nline 1\nline 2\n")


def test_nobody_inside_can_signal_or_read_the_worker(sandbox: Docker) -> None:
    code = """
import os
for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        pass
for name in ("mem", "environ", "fd/0", "maps", "cwd/."):
    try:
        open(f"/proc/1/{name}", "rb").close()
        print(name)
    except OSError:
        pass
print("alive")
"""
    assert sandbox.run(code, LIMITS).stdout == b"alive\n"
    assert sandbox.run("print(1)", LIMITS).stdout == b"1\n"


def test_many_runs_leak_nothing(client: Any) -> None:
    with Docker() as sandbox:
        sandbox.run("", LIMITS)
        (container,) = containers(client) & {c._id for warm in sandbox._shelf._warm.values() for c in warm}

        def held() -> tuple[int, int, int, int]:
            worker = client.api.inspect_container(container)["State"]["Pid"]
            inside = len(os.listdir(f"/proc/{worker}/fd")) if os.geteuid() == 0 else 0
            processes = len(client.api.top(container)["Processes"])
            return len(os.listdir("/proc/self/fd")), inside, processes, len(containers(client))

        sandbox.run("", LIMITS)
        assert wait_for(lambda: held()[2] == 2, 2)  # the worker, and the child that waits for the next run
        before = held()
        for number in range(300):
            assert sandbox.run(f"print({number})", LIMITS).stdout == b"%d\n" % number
        assert wait_for(lambda: held() == before, 2), (before, held())
    assert wait_for(lambda: container not in containers(client), 2)


def test_threads_get_containers_of_their_own(sandbox: Docker) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda n: sandbox.run(f"print({n})", LIMITS).stdout, range(12)))
    assert found == [b"%d\n" % n for n in range(12)]


def test_a_container_killed_from_outside_is_a_fault(client: Any) -> None:
    with Docker() as sandbox:
        sandbox.run("", LIMITS)
        (container,) = [c for warm in sandbox._shelf._warm.values() for c in warm]
        timer = Timer(0.3, client.api.kill, (container._id,))
        timer.start()
        with pytest.raises(ToolFault, match="ended while code ran"):
            sandbox.run("import time; time.sleep(9)", LIMITS)
        timer.join()
        assert sandbox.run("print(1)", LIMITS).stdout == b"1\n"


def test_a_warm_container_that_is_gone_is_replaced(client: Any) -> None:
    with Docker() as sandbox:
        sandbox.run("", LIMITS)
        (container,) = [c for warm in sandbox._shelf._warm.values() for c in warm]
        owners.remove(client, container._id)
        assert sandbox.run("print(1)", LIMITS).stdout == b"1\n"


def test_a_killed_owner_leaves_nothing(client: Any) -> None:
    before = containers(client)
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"runs\n"
        assert wait_for(lambda: len(containers(client, running=True) - before) == 2, 5)
        owner.kill()
    assert wait_for(lambda: containers(client) <= before, 2)


def test_sweep_removes_what_the_dead_left(client: Any) -> None:
    dead = {**owners.labels(), owners.OWNER: "1:0"}
    left = client.api.create_container(recipe.DEFAULT, command=["true"], labels=dead)["Id"]
    alive = client.api.create_container(recipe.DEFAULT, command=["true"], labels=owners.labels())["Id"]
    try:
        assert sweep(client) == 1
        assert left not in containers(client) and alive in containers(client)
    finally:
        owners.remove(client, alive)


def test_a_fork_has_containers_of_its_own(sandbox: Docker) -> None:
    sandbox.run("", LIMITS)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(send, sandbox.run("print('fork')", LIMITS).stdout)
            sandbox.close()
        finally:
            os._exit(0)
    os.close(send)
    with open(receive, "rb") as answer:
        assert answer.read() == b"fork\n"
    os.waitpid(child, 0)
    assert sandbox.run("print(1)", LIMITS).stdout == b"1\n"


def test_the_default_image_says_what_it_was_made_from(client: Any) -> None:
    recipe.ensure(client, recipe.DEFAULT)
    found = client.api.inspect_image(recipe.DEFAULT)
    assert found["Config"]["Labels"][recipe.LABEL] == recipe.version()
    recipe.ensure(client, recipe.DEFAULT)
    assert client.api.inspect_image(recipe.DEFAULT)["Id"] == found["Id"]


def test_images_are_looked_at_first(client: Any) -> None:
    with pytest.raises(UnknownName, match="reachlab-sandbox"):
        Docker(image="reachlab-sandbux")
    made = client.api.create_container(recipe.DEFAULT, command=["true"])["Id"]
    try:
        client.api.commit(made, repository="reachlab-volumes", changes=["VOLUME /data"])
        with pytest.raises(BadValue, match="volumes"):
            Docker(image="reachlab-volumes")
    finally:
        owners.remove(client, made)
        client.api.remove_image("reachlab-volumes", force=True)


def test_modules_are_there_before_the_code(client: Any) -> None:
    with Docker(preimport=["decimal"]) as sandbox:
        assert sandbox.run("import sys; print('decimal' in sys.modules)", LIMITS).stdout == b"True\n"
    with pytest.raises(ToolFault, match="no_such_module"), Docker(preimport=["no_such_module"]) as sandbox:
        sandbox.run("", LIMITS)


def test_without_the_engines_filter_the_worker_brings_its_own(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "seccomp_profile", lambda: "unconfined")
    with Docker() as sandbox:
        found = sandbox.run("import socket\nsocket.socket()", LIMITS)
        assert b"PermissionError" in found.stderr


def test_closing_ends_everything(client: Any) -> None:
    before = containers(client)
    sandbox = Docker(pool=2)
    session = sandbox.session()
    session.run("x = 1", LIMITS)
    sandbox.run("", LIMITS)
    sandbox.close()
    sandbox.close()
    assert wait_for(lambda: containers(client) <= before, 2)
    with pytest.raises(ToolFault, match="closed"):
        sandbox.run("", LIMITS)
    session.close()


def test_gvisor_runs_it_too(client: Any) -> None:
    if "runsc" not in client.info()["Runtimes"]:
        pytest.skip("this engine has no runtime named runsc (gVisor)")
    with Docker(runtime="runsc") as sandbox:
        found = sandbox.run("print(open('/proc/version').read())", LIMITS)
        assert found.tier == "docker-runsc" and b"Linux version" in found.stdout
        assert sandbox.run("x = [bytearray(8 << 20) for _ in range(40)]", LIMITS).limit == "memory"
        assert sandbox.run("import os\nfor i in range(3000): os.mkdir(str(i))", LIMITS).limit == "files"


def test_it_conforms(client: Any) -> None:
    conforms_to_the_table(check(Docker).to_json(), "docker-runc", os.geteuid())
