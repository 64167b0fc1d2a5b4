"""Retrievers by name, over a corpus of files, with their indices on disk.

::

    build_retriever("fts5", Source("wiki.jsonl"), {"tokenize": "porter unicode61"})

A ``module:attribute`` is called with the documents and the options and returns a retriever, ours or LangChain's. The
first process makes the index, later ones load it (``cache``). Not covered: an index of a hybrid's own; its parts have
theirs.
"""

from __future__ import annotations

import inspect
import json
import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langchain_core.retrievers import BaseRetriever

from reachlab.errors import BadValue, UnknownName
from reachlab.registry import resolve
from reachlab.tools.retrieval.bm25 import Bm25
from reachlab.tools.retrieval.cache import cache_folder, cached, key
from reachlab.tools.retrieval.client import HttpRetriever
from reachlab.tools.retrieval.corpus import LONGEST, Corpus, read_corpus
from reachlab.tools.retrieval.dense import Dense
from reachlab.tools.retrieval.encoders import load_encoder
from reachlab.tools.retrieval.fts5 import Fts5
from reachlab.tools.retrieval.hybrid import DEPTH, Hybrid, K
from reachlab.tools.retrieval.langchain import FromLangChain
from reachlab.tools.retrieval.records import Retriever
from reachlab.tools.retrieval.words import VERSION, WORD

FILE, VECTORS = "index.sqlite", "vectors.npy"


@dataclass(frozen=True)
class Source:
    """Where a corpus is and how it is read; the arguments of ``read_corpus``, and the folder of the cache."""

    path: str
    text: str | None = None
    id: str = "id"
    title: str = "title"
    longest: int = LONGEST
    cache: str | None = None

    @cached_property
    def corpus(self) -> Corpus:
        """The passages. A warning says what was lost; repeated and empty documents are no loss."""
        found = read_corpus(self.path, text=self.text, id=self.id, title=self.title, longest=self.longest)
        if found.counts.unreadable or found.counts.repeated_ids:
            warnings.warn(f"corpus {self.path}: {found.counts}", stacklevel=2)
        return found

    def place(self, kind: str, *parts: object) -> Path:
        """The entry of the cache for an index of this corpus that also follows from *parts*."""
        return cache_folder(self.cache) / f"{kind}-{key(self.corpus.digest, *parts)}"


def build_retriever(name: str, source: Source, options: Mapping[str, Any] | None = None) -> Retriever:
    """The retriever called *name* over *source*."""
    builder = RETRIEVERS.get(name) or (partial(_dotted, name) if ":" in name else None)
    if builder is None:
        raise UnknownName("retriever", name, RETRIEVERS, "module:attribute works too.")
    parameters = inspect.signature(builder).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for option in options or {}:
        if option not in known and ":" not in name:
            raise UnknownName(f"option of {name!r} (retriever)", option, known)
    try:
        return builder(source, **dict(options or {}))
    except TypeError as error:
        what = f"options of {name!r} (retriever)"
        raise BadValue(what, dict(options or {}), f"what it can be called with ({error})") from error


def state(path: Path) -> str:
    """What changes when files at *path* do: sizes and times."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path] if path.exists() else []
    return json.dumps([[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files])


def _bm25(source: Source, *, word: str = WORD) -> Retriever:
    documents = source.corpus.documents
    place = source.place("bm25", word, VERSION, version("bm25s"))
    return cached(
        place, lambda folder: Bm25(documents, word).save(folder), lambda folder: Bm25(documents, word, saved=folder)
    )


def _fts5(source: Source, *, tokenize: str = "unicode61 remove_diacritics 2") -> Retriever:
    def build(folder: Path) -> None:
        index = Fts5(folder / FILE, tokenize)
        index.add(source.corpus.documents)
        index.freeze()

    place = source.place("fts5", tokenize, VERSION, sqlite3.sqlite_version)
    return cached(place, build, lambda folder: Fts5(folder / FILE, frozen=True))


def _dense(source: Source, *, encoder: str = "minilm", device: str = "cpu", floor: float = 0.0) -> Retriever:
    documents, loaded = source.corpus.documents, load_encoder(encoder, device)
    return cached(
        source.place("dense", loaded.identity),
        lambda folder: Dense(documents, loaded).save(folder / VECTORS),
        lambda folder: Dense(documents, loaded, floor, folder / VECTORS),
    )


def _hybrid(
    source: Source,
    *,
    of: Sequence[str | Mapping[str, Any]] = ("bm25", "dense"),
    constant: float = K,
    depth: int = DEPTH,
) -> Retriever:
    """*of*: names, or ``{"name": ..., "options": {...}}``."""
    parts: list[Mapping[str, Any]] = [{"name": part} if isinstance(part, str) else part for part in of]
    if not all(isinstance(part, Mapping) and isinstance(part.get("name"), str) for part in parts):
        raise BadValue("of", of, 'names, or {"name": text, "options": {...}}')
    return Hybrid([build_retriever(p["name"], source, p.get("options")) for p in parts], constant, depth)


def _http(source: Source, *, seconds: float = 10.0, attempts: int = 3, pause: float = 0.1) -> Retriever:
    if not source.path.startswith(("http://", "https://")):
        raise BadValue("path of retriever 'http'", source.path, "the server's URL, e.g. http://127.0.0.1:8000")
    return HttpRetriever(source.path, seconds, attempts, pause)


def _dotted(name: str, source: Source, **options: Any) -> Retriever:
    made = resolve("tools", name)(source.corpus.documents, **options)
    if isinstance(made, BaseRetriever):
        return FromLangChain(made)
    if not callable(getattr(made, "retrieve", None)):
        raise BadValue(f"what {name!r} returned", made, "a retriever: retrieve(query, k), or a LangChain BaseRetriever")
    retriever: Retriever = made
    return retriever


RETRIEVERS: dict[str, Callable[..., Retriever]] = {
    "bm25": _bm25,
    "fts5": _fts5,
    "dense": _dense,
    "hybrid": _hybrid,
    "http": _http,
}
"""Builders by name."""
