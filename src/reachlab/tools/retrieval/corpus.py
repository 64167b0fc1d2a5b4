"""Corpora from files: JSONL (also gzipped), parquet, or a folder of text files.

::

    corpus = read_corpus("wiki.jsonl")                      # fields: text or contents, id, title
    corpus = read_corpus("wiki.parquet", text="body", id="key")
    print(corpus.counts)                                    # what was kept, split and dropped, and why

Order is the file's; in a folder that of the paths. A document without an id is named by its place among the records, a
file by its path. A title becomes the first line, as Search-R1 has it. Documents longer than ``longest`` characters are
split at white space into passages ``id#0``, ``id#1``, ... without overlap, each under the title. Dropped and counted:
documents without a word, texts and ids that came before, records that cannot be read. A corpus that has no usable
document is an error, as is one that has the field of the text nowhere.

Not covered: PDF and HTML, languages without white space (they are split within words).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from reachlab.errors import BadValue
from reachlab.tools.retrieval.formats import Record, Unreadable, how_many, records
from reachlab.tools.retrieval.passages import passages
from reachlab.tools.retrieval.progress import watched
from reachlab.tools.retrieval.records import Document

LONGEST = 1200
"""Characters of a passage: three of them fit into the default cap on a tool result."""


@dataclass
class Counts:
    """What became of the records; filled while a corpus is streamed."""

    records: int = 0
    passages: int = 0
    split: int = 0
    """Documents that were longer than ``longest``."""
    empty: int = 0
    repeated: int = 0
    """Texts that came before, whatever their id."""
    repeated_ids: int = 0
    """Ids that came before, with another text."""
    unreadable: int = 0
    first: dict[str, str] = field(default_factory=dict)
    """The first case of each kind of dropped record: where it stands and why."""

    @property
    def dropped(self) -> int:
        return self.empty + self.repeated + self.repeated_ids + self.unreadable

    def drop(self, kind: str, where: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.first.setdefault(kind, where)

    def __str__(self) -> str:
        kinds = ("empty", "repeated", "repeated_ids", "unreadable")
        said = [f"{getattr(self, k)} {k.replace('_', ' ')} (first: {self.first[k]})" for k in kinds if k in self.first]
        lost = f"; dropped {', '.join(said)}" if said else ""
        return f"{self.passages} passages of {self.records} records, {self.split} of them split{lost}"


@dataclass(frozen=True)
class Corpus:
    """Passages in memory, in order; ids are unique."""

    documents: tuple[Document, ...]
    counts: Counts

    @cached_property
    def digest(self) -> str:
        """Hash of the ids and texts in their order: what an index follows from."""
        digest = hashlib.blake2b(digest_size=16)
        for document in self.documents:
            for part in (document.id, document.text):
                encoded = part.encode("utf-8", "surrogatepass")
                digest.update(len(encoded).to_bytes(8, "little") + encoded)
        return digest.hexdigest()


def read_corpus(
    path: str | Path, *, text: str | None = None, id: str = "id", title: str = "title", longest: int = LONGEST
) -> Corpus:
    """The corpus at *path*; *text*, *id* and *title* name fields. *text* None: ``text``, else ``contents``."""
    counts, where = Counts(), Path(path)
    found = watched(records(where, text, id, title), "reading the corpus", count=lambda: how_many(where))
    return Corpus(tuple(_kept(found, where, counts, longest)), counts)


def stream_corpus(
    path: str | Path,
    counts: Counts,
    *,
    text: str | None = None,
    id: str = "id",
    title: str = "title",
    longest: int = LONGEST,
) -> Iterator[Document]:
    """Passages one by one; *counts* is filled on the way. Two hashes a document stay, to know what came before."""
    where = Path(path)
    return _kept(records(where, text, id, title), where, counts, longest)


def _kept(found: Iterable[Record | Unreadable], where: Path, counts: Counts, longest: int) -> Iterator[Document]:
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 1:
        raise BadValue("longest", longest, "a whole number of characters, >= 1")
    seen: set[bytes] = set()
    for record in found:
        counts.records += 1
        if isinstance(record, Unreadable):
            counts.drop("unreadable", record.reason)
            continue
        pieces = passages(record, longest)
        problem = _problem(record, pieces, seen)
        if problem:
            counts.drop(problem, record.id)
            continue
        counts.split += len(pieces) > 1
        counts.passages += len(pieces)
        yield from pieces
    if not counts.passages:
        raise BadValue(f"corpus {str(where)!r}", str(counts), "at least one document with a word in it")


def _problem(record: Record, pieces: list[Document], seen: set[bytes]) -> str:
    """Why the record is dropped, or the empty string; *seen* then holds its text and the ids of its passages."""
    if not pieces:
        return "empty"
    text = _hash("text", " ".join(f"{record.title} {record.body}".split()))
    ids = {_hash("id", piece.id) for piece in pieces}
    if text in seen:
        return "repeated"
    if not ids.isdisjoint(seen):
        return "repeated_ids"
    seen.add(text)
    seen.update(ids)
    return ""


def _hash(kind: str, text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=kind.encode()).digest()
