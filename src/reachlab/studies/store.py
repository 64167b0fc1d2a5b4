"""The run directory: everything a study makes, published by atomic rename so that a killed run can go on.

::

    RUN/spec.json                      what was asked for
    RUN/base.json                      what the base is
    RUN/p0/<split>.json                exact closed-book p0 of the base
    RUN/policies/<treatment>-<world>-<seed>/   trained weights, metrics.jsonl, status.json
    RUN/episodes/<arm>/<seed>-<chunk>.parquet  episodes, append-only
    RUN/result.json, report.md, *.png, tasks.parquet, metrics.jsonl

Not covered: locking; two runs must not share a directory.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from reachlab import (
    Arm,
    Cost,
    Episode,
    Json,
    Message,
    Scores,
    Split,
    StopReason,
    ToolCall,
    Transcript,
    Treatment,
    World,
)
from reachlab.errors import CorruptRun

TEXT, NUMBER, WHOLE = pa.string(), pa.float64(), pa.int64()
SCHEMA = pa.schema(
    [("task", TEXT), ("task_seed", WHOLE), ("split", TEXT), ("stratum", TEXT), ("world", TEXT), ("seed", WHOLE)]
    + [("messages", pa.list_(pa.struct([("role", TEXT), ("content", TEXT)]))), ("calls", TEXT)]
    + [("reward", NUMBER), ("stop", TEXT), ("detail", TEXT), ("seconds", NUMBER)]
    + [(f"cost_{f.name}", WHOLE) for f in fields(Cost)]
    + [("ids", pa.list_(pa.int32())), ("kinds", pa.list_(pa.uint8())), ("logprobs", pa.list_(pa.float32()))]
    + [(f.name, NUMBER) for f in fields(Scores)]
)


WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
"""Where a trained policy's weights are: whole, or an adapter's alone."""


@dataclass(frozen=True, slots=True)
class RunStore:
    """Paths and files of one run directory."""

    root: Path

    def episodes(self, arm: Arm, seed: int, chunk: int) -> Path:
        moved = f"{arm.treatment}-{arm.trained or 'untrained'}-{arm.evaluated}-{arm.split}"
        return self.root / "episodes" / moved / f"{seed}-{chunk:04d}.parquet"

    def policy(self, treatment: Treatment, world: World, seed: int) -> Path:
        return self.root / "policies" / f"{treatment}-{world}-{seed}"

    @property
    def base(self) -> Path:
        return self.root / "base.json"

    def p0(self, split: Split) -> Path:
        return self.root / "p0" / f"{split}.json"

    def status(self, treatment: Treatment, world: World, seed: int) -> dict[str, Any]:
        """What became of a training: ``{"signal": bool, "reason": str, ...}``."""
        status: dict[str, Any] = read_json(self.policy(treatment, world, seed) / "status.json")
        return status

    def broken(self) -> list[Path]:
        """Published files and folders that cannot be read."""
        found = [p for p in sorted(self.root.glob("episodes/*/*.parquet")) if not _reads(read_table, p)]
        tables = [self.base, *sorted(self.root.glob("p0/*.json"))]
        found += [p for p in tables if p.exists() and not _reads(read_json, p)]
        trained = [p.parent for name in WEIGHTS for p in sorted(self.root.glob(f"policies/*/{name}"))]
        return found + [p for p in trained if not p.name.endswith(".corrupt") and not _reads(_read_policy, p)]


def _reads(reader: Callable[[Path], object], path: Path) -> bool:
    try:
        return reader(path) is not None
    except CorruptRun:
        return False


def _read_policy(folder: Path) -> dict[str, Any]:
    """The status of a trained policy whose files are whole. An unfinished one has only a checkpoint, not weights."""
    try:
        with safe_open(next(p for name in WEIGHTS if (p := folder / name).exists()), framework="np") as weights:
            weights.keys()
    except (OSError, SafetensorError) as error:
        raise CorruptRun(f"{folder} holds no whole weights ({error})") from error
    read_lines(folder / "metrics.jsonl")
    status: dict[str, Any] = read_json(folder / "status.json")
    return status


def write_episodes(path: Path, episodes: Sequence[Episode]) -> None:
    """Publish one chunk of episodes."""
    table = pa.Table.from_pylist([_row(e) for e in episodes], schema=SCHEMA)
    with published(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_episodes(path: Path) -> list[Episode]:
    """The episodes of one chunk. Raises CorruptRun if it cannot be read."""
    return [_episode(row) for row in read_table(path).to_pylist()]


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns), partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise CorruptRun(f"{path} cannot be read ({error}); delete it and run again with --resume") from error


def claim(out: Path, spec: Json, resume: bool, what: str) -> bool:
    """Make *out* the folder of *spec*, a *what*; True if it was that already and is to go on.

    Raises CorruptRun rather than touch a folder that holds something else, or this without *resume*.
    """
    path, wanted = out / "spec.json", json.loads(json.dumps(spec))
    if path.exists():
        if read_json(path) != wanted:
            raise CorruptRun(f"{out} holds another {what} (its spec.json differs); choose another --out")
        if not resume:
            raise CorruptRun(f"{out} holds this {what} already; add --resume to go on, or choose another --out")
        return True
    if out.exists() and any(out.iterdir()):
        raise CorruptRun(f"{out} is not empty and holds no spec.json; choose another --out")
    write_json(path, wanted)
    return False


def write_json(path: Path, content: Any) -> None:
    with published(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CorruptRun(f"{path} cannot be read ({error})") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise CorruptRun(f"{path} cannot be read ({error})") from error


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """A temporary file beside *path* that takes its name when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder and give it the name *path*; an older folder of that name goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    old = temporary.with_name(f"{temporary.name}.old")
    temporary.mkdir()
    try:
        fill(temporary)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _row(episode: Episode) -> dict[str, Any]:
    plain = ("task", "task_seed", "split", "stratum", "world", "seed", "reward", "stop", "detail", "seconds")
    scores = asdict(episode.scores) if episode.scores else {}
    return {
        **{name: getattr(episode, name) for name in plain},
        "messages": [m._asdict() for m in episode.messages],
        # ASCII: a policy may write a lone surrogate, which no UTF-8 file can hold.
        "calls": json.dumps([[c.name, dict(c.arguments), c.problem] for c in episode.calls]),
        **{f"cost_{name}": value for name, value in asdict(episode.cost).items()},
        "ids": episode.transcript.ids,
        "kinds": episode.transcript.kinds,
        "logprobs": episode.transcript.logprobs,
        **scores,
    }


def _episode(row: dict[str, Any]) -> Episode:
    plain = ("task", "task_seed", "split", "stratum", "seed", "reward", "detail", "seconds")
    scored = row["spent"] is not None
    return Episode(
        **{name: row[name] for name in plain},
        world=World(row["world"]),
        stop=StopReason(row["stop"]),
        messages=tuple(Message(m["role"], m["content"]) for m in row["messages"]),
        calls=tuple(ToolCall(*call) for call in json.loads(row["calls"])),
        cost=Cost(**{f.name: row[f"cost_{f.name}"] for f in fields(Cost)}),
        transcript=Transcript(
            np.array(row["ids"], dtype=np.int64),
            np.array(row["kinds"], dtype=np.uint8),
            np.array(row["logprobs"], dtype=np.float64),
        ),
        scores=Scores(**{f.name: row[f.name] for f in fields(Scores)}) if scored else None,
    )
