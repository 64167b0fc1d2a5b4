"""What the attacks aim at: secrets, files, listeners and a victim process that the harness really puts on the host.

Everything is open to every user, so that it is the sandbox that keeps an attack out and not a file's permissions.
``Host`` is a context manager; what it makes is gone afterwards, or, where it was killed, before the next one starts.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets as randomness
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from reachlab.sandbox.conformance.listeners import Listeners
from reachlab.sandbox.conformance.survivors import survivors, sweep
from reachlab.sandbox.conformance.syscalls import numbers
from reachlab.sandbox.conformance.victim import Victim
from reachlab.sandbox.jail.inside import owners

VARIABLE = "REACHLAB_CANARY"
ROLES = ("file", "home", "shm", "environment", "descriptor", "arguments", "neighbour", "heap", "held", "name")
"""What holds a secret: three files, the environment, an inherited descriptor; arguments, environment, memory and an
open file of the victim; the name of a socket."""

_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/dev", "/")
_CONTENT = "as it was\n"
_ATIME = 1_000_000_000


class Host:
    """The targets. ``fresh`` starts an attack, ``damage`` says what it did, ``mend`` undoes it."""

    def __init__(self) -> None:
        self.secrets = {role: f"reachlab-canary-{role}-{randomness.token_hex(16)}" for role in ROLES}
        self.mark = ""
        self.descriptors: list[int] = []

    def __enter__(self) -> Host:
        owners.sweep(str(Path.home()))  # of a check that was killed
        self.folder = Path(tempfile.mkdtemp(prefix=owners.prefix("host")))
        self.folder.chmod(0o755)
        self._key = randomness.randbelow(2**31 - 2) + 1
        self._spare = self._write_spares()
        self._write("secret.txt", self.secrets["file"], 0o644)
        self._write("held.txt", self.secrets["held"], 0o600)
        self._write("inherited.txt", self.secrets["descriptor"], 0o600)
        self._restore()
        os.environ[VARIABLE] = self.secrets["environment"]
        for name, flags in (("inherited.txt", os.O_RDONLY), ("ledger.txt", os.O_RDWR), (".", os.O_RDONLY)):
            self.descriptors.append(os.open(self.folder / name, flags))
            os.set_inheritable(self.descriptors[-1], True)
        self._listeners = Listeners(self.folder, f"reachlab-{randomness.token_hex(8)}", self.secrets["name"])
        self._listing = set(os.listdir(self.folder))
        self._victim = Victim(self.folder, self.folder / "held.txt", self.secrets)
        self.fresh()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.mend()
        self._victim.close()
        self._listeners.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        os.environ.pop(VARIABLE, None)
        for path in self._spare.values():
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self) -> None:
        """A new mark: processes, files and messages that carry it belong to the attack that comes now."""
        self.mark = f"rl{randomness.token_hex(5)}"  # a process name holds 15 bytes

    @property
    def places(self) -> dict[str, object]:
        """What ``@name@`` in the attacks' code stands for."""
        return {
            "mark": self.mark, "folder": self.folder, "secret": self.folder / "secret.txt",
            "drop": self.folder / "drop", "group": os.getpgrp(), "pid_namespace": os.readlink("/proc/self/ns/pid"),
            "harness_command": hashlib.sha256(Path("/proc/self/cmdline").read_bytes()).hexdigest(),
            "writable": self.folder / "writable.txt", "reward": self.folder / "reward.py",
            "home_secret": self._spare.get("home", ""), "shm_secret": self._spare.get("shm", ""),
            "victim": self._victim.pid, "victim_descriptor": self._victim.descriptor, "harness": os.getpid(),
            "shm_key": self._key, "stdlib": os.__file__, "home": Path.home(),
            "suite": Path(__file__).parent, **self._listeners.places,
        }  # fmt: skip

    def damage(self) -> list[str]:
        """What changed since ``fresh``. Waits a moment for processes to end."""
        alive = survivors(self.mark)
        found = [f"{len(alive)} processes outlived the run"] if alive else []
        found += self._listeners.heard(self.mark)
        found += [state] if (state := self._victim.state()) else []
        for name in ("writable.txt", "reward.py", "ledger.txt"):
            found += [] if _text(self.folder / name) == _CONTENT else [f"{name} of the host was changed"]
        for name, role in (("secret.txt", "file"), ("held.txt", "held")):
            found += [] if _text(self.folder / name) == self.secrets[role] else [f"{name} of the host was changed"]
        found += [f"{path} is new on the host" for path in self._marks()]
        changed = self._listing ^ set(os.listdir(self.folder))
        found += [f"{', '.join(sorted(changed))} appeared or vanished on the host"] if changed else []
        if os.stat(os.__file__).st_atime_ns == _ATIME:
            found.append("the times of a standard library file of the host were changed")
        return found

    def mend(self) -> None:
        """Everything as it was before the attack."""
        sweep(self.mark)
        for path in self._marks():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        for name in set(os.listdir(self.folder)) - self._listing:
            with suppress(OSError):
                (self.folder / name).unlink()
        self._write("secret.txt", self.secrets["file"], 0o644)
        self._write("held.txt", self.secrets["held"], 0o600)
        self._restore()
        if self._victim.state():
            self._victim.close()
            self._victim = Victim(self.folder, self.folder / "held.txt", self.secrets)
        with suppress(PermissionError):
            status = os.stat(os.__file__)
            if status.st_atime_ns == _ATIME:
                os.utime(os.__file__, ns=(status.st_mtime_ns, status.st_mtime_ns))
        _remove_shared_memory(self._key)

    def _restore(self) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        (self.folder / "drop").chmod(0o777)
        for name in ("writable.txt", "reward.py", "ledger.txt"):
            self._write(name, _CONTENT, 0o666)

    def _write(self, name: str, content: str, mode: int) -> None:
        # Never through a link that an attack left, and never a new file where an old one is held open.
        path = self.folder / name
        if path.is_symlink():
            path.unlink()
        path.write_text(content)
        path.chmod(mode)

    def _write_spares(self) -> dict[str, Path]:
        """Secrets in the places that a backend is likely to share; those that cannot be written are left out."""
        found: dict[str, Path] = {}
        for role, folder in (("home", Path.home()), ("shm", Path("/dev/shm"))):
            path = folder / f".{owners.prefix('spare')}{randomness.token_hex(8)}"
            with suppress(OSError):
                path.write_text(self.secrets[role])
                path.chmod(0o644)
                found[role] = path
        return found

    def _marks(self) -> list[Path]:
        shared = {tempfile.gettempdir(), str(Path.home()), *_SHARED}
        dropped = sorted((self.folder / "drop").iterdir()) if (self.folder / "drop").is_dir() else []
        return dropped + [path for folder in sorted(shared) for path in Path(folder).glob(f"{self.mark}*")]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _remove_shared_memory(key: int) -> None:
    """The System V segment that an attack may have left."""
    known = numbers()
    if "shmget" not in known:
        return
    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    found = call(ctypes.c_long(known["shmget"]), ctypes.c_long(key), ctypes.c_long(0), ctypes.c_long(0))
    if found >= 0:
        call(ctypes.c_long(known["shmctl"]), ctypes.c_long(found), ctypes.c_long(0), None)
