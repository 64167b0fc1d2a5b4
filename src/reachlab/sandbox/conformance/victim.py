"""A process of the harness that an attack may try to read, stop, trace or kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_CODE = """
import sys
file = open(sys.argv[1])
memory = sys.stdin.readline()
print(file.fileno(), flush=True)
sys.stdin.read()
"""


class Victim:
    """Holds one secret in its arguments, environment, memory, an open file and its working directory.

    It ends when the harness does: its standard input is then at its end.
    """

    def __init__(self, folder: Path, held: Path, secrets: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, str(held), secrets["arguments"]], cwd=folder, bufsize=0,
            env={"VICTIM": secrets["neighbour"]}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(secrets["heap"].encode() + b"\n")
        self.descriptor = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def state(self) -> str:
        """Empty while it is well."""
        if self._process.poll() is not None:
            return "the victim process was killed"
        letter = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "the victim process was stopped" if letter in "Tt" else ""

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe and pipe.close()
        self._process.wait()
