"""SQLite FTS5: BM25 on disk, in the standard library. Documents can be added at any time, also while others search.

::

    index = Fts5("corpus.sqlite")
    index.add(stream_corpus("corpus.jsonl", counts))      # streams: the corpus never stands in memory
    index.retrieve("red fox", k=3)

A query is a bag of words, joined by OR: operators that a policy writes are words like any other. Readers in other
threads, forked children and other processes each have connections of their own. One process writes at a time; another
one waits for it up to ``BUSY_SECONDS``.

SQLite scores every document that shares a word with the query, so that words which stand in most documents make it slow
(20 to 30 queries a second over 50,000 documents where ``Bm25`` gives 2,000; without such words both give thousands).

Not covered: ranking that weighs fields, prefixes, phrases; folders on network file systems, whose locks SQLite cannot
trust.
"""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval.connections import Connections
from reachlab.tools.retrieval.progress import pulsing, watched
from reachlab.tools.retrieval.records import Document, Hit, check_k, texts_of
from reachlab.tools.retrieval.words import WORD, folded

BUSY_SECONDS = 30.0
BATCH = 1000
MOST_WORDS = 256
"""Different words of a query that are looked up; what a policy writes beyond is not."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5(text, content='documents', content_rowid='position', tokenize={tokenize});
"""
_SEARCH = """
SELECT documents.id, documents.text, found.score FROM
    (SELECT rowid AS position, rank AS score FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?) AS found
    JOIN documents ON documents.position = found.position ORDER BY found.score, found.position
"""


class Fts5:
    """An index in the file *path*, made where there is none."""

    def __init__(
        self, path: str | Path, tokenize: str = "unicode61 remove_diacritics 2", frozen: bool = False
    ) -> None:
        """*tokenize*: SQLite's, as in ``porter unicode61``. *frozen*: nobody writes to the file any more."""
        self.path = Path(path)
        self._frozen = frozen
        self._connections = Connections(self._connect)
        if not frozen:
            with self._using("creating the index") as connection:
                self._create(connection, tokenize)

    def add(self, documents: Iterable[str | Document]) -> int:
        """Append; all or nothing. A document that is there already is skipped. Returns how many were new.

        A text without an id is named by its position; ``BadValue`` for an id that stands for another text already.
        """
        if isinstance(documents, str):
            raise BadValue("documents", documents, "a list of texts or documents, not one text")
        if self._frozen:
            raise BadValue("adding to a frozen index", str(self.path), "an index opened without frozen=True")
        with self._using("adding documents") as connection, _transaction(connection):
            before = _count(connection)
            stream = watched(documents, "indexing (fts5)")
            position = before
            while batch := list(itertools.islice(stream, BATCH)):
                position = _append(connection, batch, position)
            return position - before

    def retrieve(self, query: str, k: int) -> list[str]:
        return texts_of(self.hits(query, k))

    def hits(self, query: str, k: int) -> list[Hit]:
        most, asked = min(check_k(k), 2**31), match_expression(query)  # SQLite's numbers end somewhere
        if not asked:
            return []
        with self._using("searching") as connection:
            found = connection.execute(_SEARCH, (asked, most)).fetchall()
        return [Hit(id_, text, -score) for id_, text, score in found]

    def __len__(self) -> int:
        with self._using("counting") as connection:
            return _count(connection)

    def optimize(self) -> None:
        """Merge what many additions have scattered."""
        with self._using("optimizing") as connection, pulsing("merging (fts5)"):
            connection.execute("INSERT INTO words(words) VALUES ('optimize')")

    def freeze(self) -> None:
        """Merge everything into the one file, so that it can be copied, and be opened with ``frozen=True``."""
        self.optimize()
        with self._using("closing the journal") as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        self.close()

    def close(self) -> None:
        """Close the connections of this process. Idempotent; a later call opens new ones."""
        self._connections.close()

    def _connect(self) -> sqlite3.Connection:
        mode = "mode=ro&immutable=1" if self._frozen else "mode=rwc"
        uri = f"{self.path.resolve().as_uri()}?{mode}"
        return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _create(self, connection: sqlite3.Connection, tokenize: str) -> None:
        quoted = "'" + tokenize.replace("'", "''") + "'"
        try:
            connection.execute("PRAGMA journal_mode=WAL")  # readers and a writer do not wait for each other
            connection.executescript(_SCHEMA.format(tokenize=quoted))
        except sqlite3.OperationalError as error:
            if "tokenize" not in str(error):
                raise
            allowed = "unicode61, ascii, trigram or porter, with SQLite's options"
            raise BadValue("tokenize", tokenize, allowed) from error
        there = str(connection.execute("SELECT sql FROM sqlite_master WHERE name = 'words'").fetchone()[0])
        if f"tokenize={quoted}" not in there:
            made_with = there.partition("tokenize=")[2].rstrip(")")
            raise BadValue("tokenize", tokenize, f"what {str(self.path)!r} was made with: {made_with}")

    @contextmanager
    def _using(self, doing: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._connections.one() as connection:
                yield connection
        except sqlite3.Error as error:
            raise ToolFault(f"SQLite failed while {doing} ({os.fspath(self.path)}): {error}") from error


def match_expression(query: str) -> str:
    """The query as FTS5 reads it: quoted words joined by OR, at most ``MOST_WORDS``; empty if it has no word."""
    words = dict.fromkeys(match[0] for match in re.finditer(WORD, folded(query)))
    return " OR ".join(f'"{word}"' for word in itertools.islice(words, MOST_WORDS))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(position), 0) FROM documents").fetchone()[0])


def _append(connection: sqlite3.Connection, batch: list[str | Document], position: int) -> int:
    """Writes the batch after *position*; returns the last position then."""
    for item in batch:
        document = item if isinstance(item, Document) else Document(str(position), item)
        text = _encodable(document.text)
        id_ = document.id.encode("utf-8", "backslashreplace").decode()  # ids stay different
        there = connection.execute("SELECT text FROM documents WHERE id = ?", (id_,)).fetchone()
        if there is None:
            position += 1
            connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (position, id_, text))
            connection.execute("INSERT INTO words(rowid, text) VALUES (?, ?)", (position, folded(text)))
        elif there[0] != text:
            raise BadValue("id of a document", document.id, "one that does not stand for another text already")
    return position


def _encodable(text: str) -> str:
    """Lone surrogates have no UTF-8; SQLite's text has no NUL."""
    return text.replace("\0", " ") if text.isascii() else text.encode("utf-8", "replace").decode().replace("\0", " ")
