"""Rows from files: JSON lines, CSV, Parquet, or a Hugging Face data set saved on disk. pyarrow reads the last two.

``datasets`` is not needed: what ``save_to_disk`` writes is Arrow files beside a list of them (``state.json``), and for
several splits a folder each (``dataset_dict.json``). A row knows its place in its file, which errors name.

CSV has a header and no types: every cell is a text, an empty one is missing.

Not covered: files larger than memory, remote paths, images and audio.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reachlab.errors import BadValue, UnknownName

SPLIT_FOLDER = "__split__"
"""The column that a folder of splits adds to its rows."""
ALLOWED = "a .jsonl, .csv, .tsv or .parquet file, or a folder written by Dataset.save_to_disk"

ENCODING = "utf-8-sig"
"""UTF-8; the mark that some programs put before it is no part of the first line."""


@dataclass(frozen=True)
class Row:
    """One record, and where it stands: its line in JSON lines, else its number from 1."""

    place: str
    values: Mapping[str, Any]


def read(path: str | Path) -> list[Row]:
    """All rows of *path*, in order."""
    found = Path(path).expanduser()
    if not found.exists():
        near = [p.name for p in found.parent.iterdir()] if found.parent.is_dir() else []
        relative = "" if found.is_absolute() else f"A relative path starts at the current folder, {Path.cwd()}."
        raise UnknownName(f"file in {found.parent}", found.name, near, relative)
    reader = _reader(found)
    try:
        rows = reader(found)
    except BadValue:
        raise
    except Exception as error:  # pyarrow and the file system raise many kinds
        raise BadValue("path", str(path), f"{ALLOWED} that can be read ({type(error).__name__}: {error})") from error
    if not rows:
        raise BadValue("path", str(path), "a file with at least one row")
    return rows


def value(row: Row, column: str) -> Any:
    """What stands in *column*; ``answers.text`` reaches into a nested record. None where it is missing."""
    found: Any = row.values
    for part in [column] if column in row.values else column.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def check_columns(rows: Iterable[Row], wanted: Mapping[str, str | None]) -> None:
    """Refuse a column that no row has, with the nearest one that exists. *wanted*: the role of each column."""
    known = column_names(rows)
    for role, column in wanted.items():
        if column is not None and column not in known:
            raise UnknownName(f"{role} column", column, [name for name in known if name != SPLIT_FOLDER])


def column_names(rows: Iterable[Row]) -> dict[str, None]:
    """Every column of any row, and what nested records hold as ``answers.text``."""
    known: dict[str, None] = {}
    for row in rows:
        for name, held in row.values.items():
            known[name] = None
            known.update(dict.fromkeys(f"{name}.{inner}" for inner in held) if isinstance(held, Mapping) else {})
    return known


def _reader(path: Path) -> Callable[[Path], list[Row]]:
    if path.is_dir():
        return _folder
    readers: dict[str, Callable[[Path], list[Row]]] = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".csv": partial(_csv, delimiter=","),
        ".tsv": partial(_csv, delimiter="\t"),
        ".parquet": _parquet,
    }
    if path.suffix not in readers:
        raise BadValue("path", str(path), ALLOWED)
    return readers[path.suffix]


def _json_lines(path: Path) -> list[Row]:
    rows = []
    with path.open(encoding=ENCODING) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                held = json.loads(line)
            except ValueError as error:
                raise BadValue(f"line {number} of {path.name}", line[:80], f"a JSON object ({error})") from error
            if not isinstance(held, dict):
                raise BadValue(f"line {number} of {path.name}", line[:80], "a JSON object")
            rows.append(Row(str(number), held))
    return rows


def _csv(path: Path, *, delimiter: str) -> list[Row]:
    usual = csv.field_size_limit(2**31 - 1)  # documents are longer than the module expects of a cell
    try:
        with path.open(encoding=ENCODING, newline="") as file:
            header, *records = csv.reader(file, delimiter=delimiter, strict=True)
    except ValueError as error:
        if isinstance(error, UnicodeError):
            raise
        raise BadValue("path", str(path), "a header and at least one row") from error  # nothing to unpack
    finally:
        csv.field_size_limit(usual)
    if len(header) == 1 and (other := next((mark for mark in ";\t," if mark in header[0]), "")):
        wanted = f"columns separated by {delimiter!r}: are these separated by {other!r}?"
        raise BadValue(f"header of {path.name}", header[0], wanted)
    if len(set(header)) < len(header):
        raise BadValue(f"header of {path.name}", header, "a name for each column, all different")
    rows = [(number, record) for number, record in enumerate(records, 1) if record]  # blank lines are no rows
    for number, record in rows:
        if len(record) != len(header):
            raise BadValue(f"row {number} of {path.name}", f"{len(record)} cells", f"{len(header)}, as the header has")
    return [Row(str(number), dict(zip(header, record, strict=True))) for number, record in rows]


def _parquet(path: Path) -> list[Row]:
    import pyarrow.parquet as parquet

    return _numbered(parquet.read_table(path).to_pylist())


def _folder(path: Path) -> list[Row]:
    if (path / "dataset_dict.json").exists():
        splits = json.loads((path / "dataset_dict.json").read_text())["splits"]
        parts = {split: _arrow(path / split) for split in splits}
        return [
            Row(f"{split} {row.place}", {**row.values, SPLIT_FOLDER: split}) for split in parts for row in parts[split]
        ]
    return _arrow(path)


def _arrow(path: Path) -> list[Row]:
    if not (path / "state.json").exists():
        raise BadValue("path", str(path), ALLOWED)
    state = json.loads((path / "state.json").read_text())
    files = [path / held["filename"] for held in state["_data_files"]]
    return _numbered([record for file in files for record in _records(file)])


def _records(file: Path) -> list[dict[str, Any]]:
    import pyarrow as arrow

    with arrow.memory_map(str(file)) as source:
        try:
            table = arrow.ipc.open_stream(source).read_all()
        except arrow.ArrowInvalid:  # older versions of the library wrote the file format
            table = arrow.ipc.open_file(source).read_all()
        found: list[dict[str, Any]] = table.to_pylist()
    return found


def _numbered(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    return [Row(str(number), record) for number, record in enumerate(records, 1)]
