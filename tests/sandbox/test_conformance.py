"""The conformance suite itself: it tells tight from leaky, dead from safe, and shown from assumed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from typer.testing import CliRunner

import reachlab
from reachlab import Language, Sandbox, SandboxLimits, SandboxResult, SandboxSession
from reachlab.cli import app
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.sandbox.conformance import ALL, Attack, check, conforms
from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.host import Host
from reachlab.sandbox.conformance.judges import harms
from reachlab.sandbox.conformance.play import control_of
from reachlab.sandbox.conformance.prelude import render
from reachlab.sandbox.conformance.survivors import marked, sweep
from reachlab.sandbox.conformance.syscalls import numbers
from reachlab.sandbox.jail.engine import default_python
from reachlab.sandbox.unconfined import Unconfined
from tests.sandbox.table import NEVER_HERE, conforms_to_the_table

NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
KNOWN = (sys.executable, f"/usr/bin/{NAME}")
BY_NAME = {f"{attack.category}/{attack.name}": attack for attack in ALL}
QUICK = [
    "files/read", "files/read-shell", "files/append", "files/create", "files/inherited-descriptor",
    "environment/variables", "environment/own-memory", "network/tcp", "network/udp", "network/unix", "network/abstract",
    "processes/kill", "processes/list", "daemons/own-session", "resources/fork-bomb", "resources/flood-both",
    "resources/files", "kernel/memfd", "state/file", "state/variable",
    "state/session-variable", "protocol/forged-result", "protocol/two-results", "protocol/binary-output",
    "protocol/reads-ahead", "tampering/frames", "tampering/reward",
]  # fmt: skip


class Half:
    """Runs normal programs, and answers attacks as its subclasses say."""

    def __init__(self) -> None:
        self._open = Unconfined(allow_unsafe=True)

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        is_attack = "through(" in code or ": rl" in code
        return self.attacked(code, limits, language) if is_attack else self._open.run(code, limits, language)

    def attacked(self, code: str, limits: SandboxLimits, language: Language) -> SandboxResult:
        return SandboxResult(b"", b"", 7, 0.0, 0.0, 0, "", "fake")

    def session(self) -> SandboxSession:
        return self

    def close(self) -> None:
        """Keeps nothing of its own."""


class Leaky(Half):
    """Lets everything through."""

    def attacked(self, code: str, limits: SandboxLimits, language: Language) -> SandboxResult:
        return self._open.run(code, limits, language)


class Broken(Half):
    """Raises at attacks, as a backend must not."""

    def attacked(self, code: str, limits: SandboxLimits, language: Language) -> SandboxResult:
        raise RuntimeError("the worker is gone")


class Fragile(Half):
    """Blocks attacks, and is never well again."""

    def attacked(self, code: str, limits: SandboxLimits, language: Language) -> SandboxResult:
        self._open = Dead()  # type: ignore[assignment]
        return SandboxResult(b"", b"", 7, 0.0, 0.0, 0, "", "fake")


class Dead(Half):
    """Never starts anything: every attack is blocked, as is every program."""

    def __init__(self) -> None:
        """Needs nothing."""

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        return SandboxResult(b"", b"no such file", 1, 0.0, 0.0, 0, "", "dead")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as made:
        yield made


def outcomes(sandbox: Sandbox, attacks: list[Attack], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """By name, without the contract's canaries, which take seconds and have a test of their own."""
    monkeypatch.setattr("reachlab.sandbox.conformance.suite.contract", lambda sandbox: ())
    return {f"{f.category}/{f.name}": f.outcome for f in check(sandbox, attacks).findings}


def test_there_are_many_attacks_and_each_says_what_it_tries() -> None:
    assert len(ALL) >= 150 and len(BY_NAME) == len(ALL)
    assert min(Counter(attack.category for attack in ALL).values()) >= 8
    assert all(attack.about and attack.steps for attack in ALL)


def test_the_code_of_every_attack_is_complete(host: Host) -> None:
    for name, attack in BY_NAME.items():
        for step in attack.steps:
            code = render(step.code, host.places)
            assert not any(secret in code for secret in host.secrets.values()), name
            if step.language == "python":
                compile(code, name, "exec")
                assert "THROUGH" not in code, f"{name}: a traceback could say it"
            else:
                assert subprocess.run(["sh", "-n", "-c", code]).returncode == 0 and "THROUGH" not in code, name


@pytest.mark.parametrize("name", QUICK)
def test_the_positive_controls_work(name: str, host: Host) -> None:
    control = control_of(BY_NAME[name], host)
    assert control.outcome == "through", control.detail


def test_a_sandbox_that_blocks_is_told_from_one_that_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks = [BY_NAME[name] for name in QUICK]
    assert set(outcomes(Half(), attacks[:4], monkeypatch).values()) == {"blocked"}
    found = outcomes(Leaky(), attacks, monkeypatch)
    handed_over = "files/inherited-descriptor"  # this one closes descriptors
    assert found.pop(handed_over) == "blocked"
    assert set(found.values()) == {"through"}, found


def test_no_sandbox_at_all_yields_through(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks = [BY_NAME[name] for name in ("environment/shell", "processes/kill-shell", "state/session-file")]
    assert set(outcomes(Unconfined(allow_unsafe=True), attacks, monkeypatch).values()) == {"through"}


def test_a_sandbox_that_starts_nothing_is_a_fault_and_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(outcomes(Dead(), list(ALL[:3]), monkeypatch).values()) == {"fault"}


def test_a_sandbox_that_raises_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(outcomes(Broken(), list(ALL[:3]), monkeypatch).values()) == {"fault"}


def test_breaking_the_next_run_is_a_way_through(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(outcomes(Fragile(), list(ALL[:3]), monkeypatch).values()) == ["through", "fault", "fault"]


def test_an_attack_that_works_nowhere_is_vacuous_unless_the_machine_lacks_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = maker("own")
    attacks = [make("never", "does nothing", "pass"), make("absent", "cannot", "absent('no moon')", needs="a moon")]
    assert outcomes(Half(), attacks, monkeypatch) == {"own/never": "vacuous", "own/absent": "blocked"}
    monkeypatch.undo()
    with Host() as host:
        assert control_of(attacks[1], host).detail == "needs a moon; without a sandbox: ABSENT no moon"


def test_a_control_that_comes_late_once_is_no_vacuous_attack(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    code = f"import os\nif os.path.exists({str(tried)!r}): through('in')\nopen({str(tried)!r}, 'w').close()"
    with Host() as host:
        assert control_of(maker("own")("late", "comes late", code), host).outcome == "through"


def test_what_the_attacks_leave_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    make = maker("own")
    with Host() as host:
        assert control_of(make("stays", "stays", "import time\nif os.fork() == 0: time.sleep(60)", judge=harms), host)
        assert not marked(host.mark)
        folder = host.folder
        for name in ("files/delete", "files/create", "files/replace-by-link", "processes/kill"):
            assert control_of(BY_NAME[name], host).outcome == "through"
            host.fresh()
            assert host.damage() == []
    assert not folder.exists() and "REACHLAB_CANARY" not in os.environ


KILLED = """
import time
from reachlab.sandbox.conformance.host import Host
from reachlab.sandbox.unconfined import Unconfined
with Host() as host:
    sandbox = Unconfined(allow_unsafe=True)
    print(host.folder, *host._spare.values(), sandbox._folder, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_check_left_is_removed_by_the_next() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(reachlab.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE) as check_:
        assert check_.stdout is not None
        left = [Path(os.fsdecode(word)) for word in check_.stdout.readline().split()]
        assert len(left) >= 2 and all(path.exists() for path in left)
        check_.kill()
    assert all(path.exists() for path in left)
    with Host():
        assert not any(path.exists() for path in left)


HOPS = """
import os, signal, time
open("/proc/self/comm", "w").write({mark!r})
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    time.sleep(0.01)
"""


def test_a_process_that_hops_is_seen_by_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    mark, late, listdir = f"rl{os.urandom(5).hex()}", [0.05] * 6, os.listdir

    def slow(path: str) -> list[str]:
        names = listdir(path)
        time.sleep(late.pop() if late else 0)  # by then the one that was there has hopped on
        return names

    monkeypatch.setattr("reachlab.sandbox.conformance.survivors.os.listdir", slow)
    subprocess.run([sys.executable, "-c", HOPS.format(mark=mark)], check=True)
    try:
        assert marked(mark)
    finally:
        sweep(mark)
    assert not marked(mark)


def test_the_normal_programs_find_a_poor_backend() -> None:
    found = check(lambda: Unconfined(allow_unsafe=True), [])
    dead = {canary.name for canary in found.canaries if not canary.ok}
    assert {"bytes", "empty standard input", "a long program", "names the limit wall"} <= dead
    assert {"normal program", "shell", "session", "text", "files", "tier"}.isdisjoint(dead)
    assert found.tier == "unconfined" and not found.ok and json.loads(json.dumps(found.to_json()))["ok"] is False


def test_conforms_says_everything_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reachlab.sandbox.conformance.suite.contract", lambda sandbox: ())
    with pytest.raises(AssertionError, match="through: files/read: the secret of file is in the output"):
        conforms(Leaky(), [BY_NAME["files/read"]])
    conforms(Half, [BY_NAME["files/read"]])


def test_nothing_resolves_to_the_unconfined_by_accident() -> None:
    with pytest.raises(BadValue, match="isolates nothing"):
        Spec("reachlab.sandbox.unconfined:Unconfined").build("sandboxes")
    with pytest.raises(BadValue):
        Unconfined(allow_unsafe=1)  # type: ignore[arg-type]


def test_both_architectures_have_numbers() -> None:
    intel, arm = numbers("x86_64"), numbers("aarch64")
    assert set(intel) - set(arm) == {"iopl"} and (intel["ptrace"], arm["ptrace"]) == (101, 117)
    assert numbers("riscv64") == {}


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["sandbox", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run",), "either FILE or --code TEXT"),
        (("run", "--code", "1", "--memory", "3X"), "256M"),
        (("run", "--code", "1", "--wall", "nan"), "positive number of seconds"),
        (("run", "--code", "1", "--language", "shel"), "Did you mean 'shell'?"),
        (("run", "--code", "1", "--backend", "jial"), "jial"),
        (("run", "--code", "1", "--backend", "json:dumps"), "with obj, for which there is no default"),
        (("run", "--code", "1", "--backend", "argparse:Namespace"), "this Namespace is none"),
        (("run", "--code", "1", "--backend", "reachlab.sandbox.unconfined:Unconfined"), "isolates nothing"),
        (("check", "--category", "memry"), "Did you mean 'memory'?"),
    ],
)
def test_bad_input_says_what_is_allowed(arguments: tuple[str, ...], said: str) -> None:
    code, output = call(*arguments)
    assert code == 2 and said in " ".join(output.split())


def test_run_prints_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reachlab.cli.sandbox._backend", lambda name: Plain())
    (tmp_path / "a.sh").write_text("printf 'a\\377'; exit 3")
    code, output = call("run", str(tmp_path / "a.sh"), "--json")
    content = json.loads(output)
    assert code == 0 and content["exit_code"] == 3 and content["limit"] == "" and content["tier"] == "plain"
    assert content["stdout"] == "a\udcff" and base64.b64decode(content["stdout_base64"]) == b"a\xff"
    assert "stderr_base64" not in content and content["wall_seconds"] > 0


class Plain(Half):
    """Hands the bytes on as they are."""

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        done = subprocess.run(["sh", "-c", code], capture_output=True)
        return SandboxResult(done.stdout, done.stderr, done.returncode, 0.1, 0.0, 0, "", "plain")


def test_doctor_says_what_is_there_and_never_loads_torch() -> None:
    code = (
        "import sys; from reachlab.cli import app\n"
        "try: app(['doctor', '--json'])\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    content = json.loads(done.stdout)
    assert done.stderr.split() == ["False"]
    assert content["sandboxes"]["jail"].keys() >= {"works", "tier", "why"} and content["packages"]["numpy"]
    assert content["machine"]["user namespaces"] and "docker" in content["extras"]


# ------------------------------------------------------------------------------- everything, on the backends that exist


@pytest.mark.services
def test_every_control_works_but_for_what_this_machine_lacks(host: Host) -> None:
    found = {name: control_of(attack, host) for name, attack in BY_NAME.items()}
    assert {name: c.detail for name, c in found.items() if c.outcome == "failed"} == {}
    missing = {name for name, c in found.items() if c.outcome == "uncontrollable"}
    if os.geteuid() == 0:
        assert missing <= NEVER_HERE, {name: found[name].detail for name in missing - NEVER_HERE}
    else:
        assert missing <= {name for name, attack in BY_NAME.items() if attack.needs}


CHECK = """
import json, os, sys
user, tier = int(sys.argv[1]), sys.argv[2]
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
os.environ["HOME"] = sys.argv[3]
from reachlab.sandbox.conformance import check
from reachlab.sandbox.jail import Jail
found = check(lambda: Jail(tiers=(tier,)))
print(json.dumps(found.to_json()))
"""


@pytest.mark.services
@pytest.mark.parametrize("tier", ["A", "B"])
@pytest.mark.parametrize("user", [0, 65534])
def test_the_jail_conforms_as_root_and_as_a_plain_user(user: int, tier: str) -> None:
    if os.geteuid() != 0 and user != 0:
        pytest.skip("only root can become another user")
    reader = 65534 if tier == "B" and os.geteuid() == 0 else user  # B drops root before it reads the interpreter
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o777)
        python, path = python_of(reader, Path(home))
        done = subprocess.run(
            [python, "-c", CHECK, str(user), tier, home], capture_output=True, text=True, cwd="/",
            env={"PYTHONPATH": path, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    conforms_to_the_table(json.loads(done.stdout), f"jail-{tier}", user or os.geteuid())


def python_of(user: int, folder: Path, known: tuple[str, ...] = KNOWN) -> tuple[str, str]:
    """An interpreter that a user may start, and the path on which it finds NumPy and this library; else a copy."""
    path = os.pathsep.join([str(Path(reachlab.__file__).parents[1]), *(p for p in sys.path if "site-packages" in p)])
    for python in known:
        if _starts(user, python, path):
            return python, path
    copy, packages = _copied(folder)
    assert _starts(user, copy, packages), f"user {user} can start no interpreter, not even a copy of this one"
    return copy, packages


def _starts(user: int, python: str, path: str) -> bool:
    code = f"import os; {user} and os.setuid({user}); os.execv({python!r}, [{python!r}, '-c', 'import reachlab'])"
    return subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True).returncode == 0


def _copied(folder: Path) -> tuple[str, str]:
    """This interpreter with its standard library, and what ``reachlab`` imports, where everybody may read."""
    library, packages = Path(os.__file__).parent, folder / "packages"
    ignored = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__")
    shutil.copytree(library, folder / "lib" / NAME, ignore=ignored)
    for shared in library.parent.glob("libpython*"):
        shutil.copy2(shared, folder / "lib")
    (folder / "bin").mkdir()
    shutil.copy2(os.path.realpath(default_python()), folder / "bin" / NAME)
    for module in (reachlab, numpy):
        source = Path(module.__file__ or "").parent
        shutil.copytree(source, packages / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        if (libraries := source.with_name(f"{source.name}.libs")).is_dir():
            shutil.copytree(libraries, packages / libraries.name)
    return str(folder / "bin" / NAME), str(packages)


@pytest.mark.services
def test_a_copy_of_the_interpreter_serves_who_cannot_read_this_one() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        python, path = python_of(0, Path(folder), known=())
        assert python.startswith(folder) and path.startswith(folder)
