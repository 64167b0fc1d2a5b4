"""The worker as one message: its sources, and the few lines that a bare interpreter needs to load them.

Any image with Python 3.11 or newer can run it, and nothing has to lie in the image. Not covered: compiled modules.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

_PARTS = ("reachlab.sandbox.jail.inside", "reachlab.sandbox.docker.inside")
_SIZE = struct.Struct(">I")

BOOT = """
import importlib.abc, importlib.machinery, json, os, sys
def take(size):
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            os._exit(0)
        data += more
    return data
message = json.loads(take(int.from_bytes(take(4), "big")))
class Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in message["sources"]:
            package = message["sources"][name] is None or name in message["packages"]
            return importlib.machinery.ModuleSpec(name, self, is_package=package)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(message["sources"][module.__name__] or "", module.__name__, "exec"), module.__dict__)
finder = Sources()
sys.meta_path.insert(0, finder)
from reachlab.sandbox.docker.inside.worker import main
sys.meta_path.remove(finder)
main(message["preimport"])
"""


def message(preimport: Sequence[str]) -> bytes:
    """What ``BOOT`` reads from its standard input: length, then JSON."""
    body = json.dumps({"sources": _sources(), "packages": _PARTS, "preimport": list(preimport)}).encode()
    return _SIZE.pack(len(body)) + body


@lru_cache(maxsize=1)
def _sources() -> dict[str, str | None]:
    """By module name; None for a package that only has to be there."""
    root = Path(__file__).resolve().parents[2]
    found: dict[str, str | None] = {}
    for part in _PARTS:
        names = part.split(".")
        for depth in range(1, len(names)):
            found[".".join(names[:depth])] = None
        folder = root.joinpath(*names[1:])
        for path in sorted(folder.glob("*.py")):
            name = part if path.stem == "__init__" else f"{part}.{path.stem}"
            found[name] = path.read_text(encoding="utf-8")
    return found
