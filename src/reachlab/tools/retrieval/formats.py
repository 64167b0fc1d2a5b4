"""Records from files, one at a time: JSONL, parquet, folders of text.

A record that cannot be read is ``Unreadable`` and the next one follows; a file that cannot be read at all, or that has
the wanted field nowhere, is an error. Not covered: what is done with them (``corpus``).
"""

from __future__ import annotations

import difflib
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reachlab.errors import BadValue, UnknownName

TEXT_FIELDS = ("text", "contents")
TEXT_FILES = (".txt", ".md", ".rst")
JSON_FILES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
ROWS = 128
"""Rows of a parquet file that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Record:
    """One document as its file has it."""

    id: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is none, and why."""

    reason: str


@dataclass(frozen=True)
class Fields:
    """Names of the fields; ``text`` None takes the first of ``TEXT_FIELDS`` that is there."""

    text: str | None
    id: str
    title: str

    def record(self, row: Mapping[str, Any], place: int, where: str) -> Record | Unreadable:
        wanted = (self.text,) if self.text is not None else TEXT_FIELDS
        body = next((row[name] for name in wanted if row.get(name) is not None), None)
        if not isinstance(body, str):
            has = f"{body!r:.40} there" if body is not None else f"{', '.join(map(str, row)) or 'nothing'}"
            return Unreadable(f"{where}: no text in {' or '.join(wanted)}; it has {has}")
        id_, title = row.get(self.id), row.get(self.title)
        return Record(str(place) if id_ is None else str(id_), "" if title is None else str(title), body)


def records(path: Path, text: str | None, id: str, title: str) -> Iterator[Record | Unreadable]:
    """What stands at *path*, in order."""
    fields = Fields(text, id, title)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, beside, n=1)
        raise BadValue("corpus", str(path), "a file or folder that exists" + (f", as {close[0]!r}" if close else ""))
    if path.name.endswith(JSON_FILES):
        return _json_lines(path, fields)
    if path.suffix == ".parquet":
        return _parquet(path, fields)
    raise BadValue("corpus", str(path), f"a folder of text files, or a file {', '.join((*JSON_FILES, '.parquet'))}")


def how_many(path: Path) -> int | None:
    """About how many records stand at *path*, for a bar; None where that would take long to find out."""
    if path.is_dir():
        return sum(file.suffix.lower() in TEXT_FILES for file in path.rglob("*"))
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_metadata

        return int(read_metadata(path).num_rows)
    if path.suffix == ".gz":
        return None
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))


def _json_lines(path: Path, fields: Fields) -> Iterator[Record | Unreadable]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        place = 0
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json_record(line, place, f"line {number}", fields)
                    place += 1
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadValue("corpus", str(path), f"a whole gzip file ({error})") from error


def _json_record(line: bytes, place: int, where: str, fields: Fields) -> Record | Unreadable:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Unreadable(f"{where}: not JSON in UTF-8 ({error})")
    if not isinstance(row, dict):
        return Unreadable(f"{where}: a JSON {type(row).__name__}, not an object")
    return fields.record(row, place, where)


def _parquet(path: Path, fields: Fields) -> Iterator[Record | Unreadable]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            columns = _columns(file.schema_arrow.names, fields)
            place = 0
            for batch in file.iter_batches(ROWS, columns=columns):
                for row in _rows(batch):
                    yield Unreadable(f"row {place}: {row}") if isinstance(row, str) else (
                        fields.record(row, place, f"row {place}")
                    )
                    place += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise BadValue("corpus", str(path), f"a parquet file ({error})") from error


def _rows(batch: Any) -> Sequence[dict[str, Any] | str]:
    """The rows of a batch; for one that is no UTF-8 what is wrong with it."""
    try:
        rows: list[dict[str, Any] | str] = batch.to_pylist()
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [f"not UTF-8 ({error})"]
        rows = [row for place in range(batch.num_rows) for row in _rows(batch.slice(place, 1))]
    return rows


def _columns(there: list[str], fields: Fields) -> list[str]:
    wanted = [fields.text] if fields.text is not None else list(TEXT_FIELDS)
    if not set(wanted) & set(there):
        raise UnknownName("column of the text", " or ".join(wanted), there)
    return [name for name in dict.fromkeys((*wanted, fields.id, fields.title)) if name in there]


def _folder(path: Path) -> Iterator[Record | Unreadable]:
    """Every text file below *path*, by its path; hidden files and folders are left out."""
    for file in sorted(path.rglob("*"), key=lambda p: p.relative_to(path).as_posix()):
        name = file.relative_to(path)
        if file.suffix.lower() not in TEXT_FILES or not file.is_file() or any(part[0] == "." for part in name.parts):
            continue
        try:
            yield Record(name.as_posix(), "", file.read_bytes().decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            yield Unreadable(f"{name.as_posix()}: {error}")
