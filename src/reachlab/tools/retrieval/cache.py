"""Indices on disk, made once: by the content they follow from, published whole or not at all.

An entry is a folder with a list of its files' hashes. It is built beside its place and renamed into it, so that a kill
leaves nothing that could be taken for an index; one process builds, the others wait for it. An entry whose files are
not what the list says is built again.

Not covered: a limit on what the cache holds (delete the folder; nothing in it is precious).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from reachlab.errors import BadValue
from reachlab.tools.retrieval.progress import watched

T = TypeVar("T")
LIST = "files.json"
FORMAT = 2
"""Part of every key: a change of what entries hold must change it."""
PATIENCE = 600.0
"""Seconds to wait for another process that builds the same entry; then this one builds it too."""
STALE = 24 * 3600.0
"""Seconds after which a half-built folder belongs to nobody."""


def cache_folder(given: str | Path | None = None) -> Path:
    """*given*, or ``reachlab/retrieval`` in the user's cache (``XDG_CACHE_HOME``). Made if it is not there."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(given) if given is not None else Path(home) / "reachlab" / "retrieval"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadValue("cache", str(folder), f"a folder that can be written ({error.strerror})") from error
    return folder


def key(*parts: object) -> str:
    """A name for the entry that follows from *parts*, which are what JSON has."""
    said = json.dumps([FORMAT, *parts], sort_keys=True)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def cached(place: Path, build: Callable[[Path], None], load: Callable[[Path], T], patience: float = PATIENCE) -> T:
    """What *load* reads from the entry *place*, which *build* fills if it is not there or broken."""
    if not whole(place):
        with _alone(place, patience):
            if not whole(place):
                _publish(place, build)
    return load(place)


def whole(place: Path) -> bool:
    """Whether every file of the entry is as it was written."""
    try:
        listed: dict[str, str] = json.loads((place / LIST).read_bytes())
        return all(_hash(place / name) == digest for name, digest in listed.items())
    except (OSError, ValueError, AttributeError):
        return False


def _publish(place: Path, build: Callable[[Path], None]) -> None:
    _sweep(place)
    building = Path(tempfile.mkdtemp(prefix=f"{place.name}.building-", dir=place.parent))
    try:
        build(building)
        names = sorted(p.relative_to(building).as_posix() for p in building.rglob("*") if p.is_file())
        _write(building / LIST, json.dumps({name: _hash(building / name, flush=True) for name in names}))
        _swap(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _swap(building: Path, place: Path) -> None:
    """Rename into place; what stands there is broken, or another process's that was as fast."""
    while True:
        try:
            building.rename(place)
        except OSError:
            if not place.exists():
                raise
            if whole(place):
                return
            broken = Path(tempfile.mkdtemp(prefix=f"{place.name}.building-", dir=place.parent))
            with suppress(FileNotFoundError):
                place.rename(broken / "broken")
            shutil.rmtree(broken, ignore_errors=True)
        else:
            return


def _write(path: Path, content: str) -> None:
    with path.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _hash(path: Path, flush: bool = False) -> str:
    with path.open("rb") as file:
        if flush:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _sweep(place: Path) -> None:
    """Remove what killed processes left half-built."""
    for left in place.parent.glob(f"{place.name}.building-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _alone(place: Path, patience: float) -> Iterator[None]:
    """Keeps other builders of *place* out while the block runs; the kernel lets go when this process dies."""
    with (place.parent / f"{place.name}.lock").open("w") as file:
        for _ in watched(_pauses(patience), "waiting for another process that indexes the same", every=1):
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        yield


def _pauses(patience: float) -> Iterator[None]:
    """Moments to look; they end when the patience does: publishing is atomic, two builders waste time, nothing else."""
    until = time.monotonic() + patience
    while True:
        yield
        if time.monotonic() > until:
            return
        time.sleep(0.05)
