"""Every retriever over one corpus, and an encoder that needs no weights."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reachlab.tools.retrieval import (
    AsLangChain,
    Bm25,
    Dense,
    Document,
    FromLangChain,
    Fts5,
    HttpRetriever,
    Hybrid,
    Ranked,
    RetrievalServer,
)

TEXTS = (
    "the red fox hunts at night",
    "a brown bear eats honey",
    "the red sea is salty",
    "Zürich lies by a lake",
    "same words here",
    "here same words",
    "東京 は 日本 の 首都",
    "a line\nand another line about volcanoes",
)
DOCUMENTS = tuple(Document(f"d{i}", text) for i, text in enumerate(TEXTS))


class Bags:
    """Counts of words, hashed into 512 places: documents that share no word are at right angles."""

    identity = "bags"

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        found = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in text.lower().encode("utf-8", "replace").split():
                row[zlib.crc32(word) % 512] += 1
        return found


def _loaded(folder: Path) -> Bm25:
    Bm25(DOCUMENTS).save(folder)
    return Bm25(DOCUMENTS, saved=folder)


def _fts5(folder: Path, frozen: bool = False) -> Fts5:
    index = Fts5(folder / "index.sqlite")
    index.add(DOCUMENTS)
    if frozen:
        index.freeze()
    return Fts5(folder / "index.sqlite", frozen=frozen)


def _dense(folder: Path) -> Dense:
    Dense(DOCUMENTS, Bags()).save(folder / "vectors.npy")
    return Dense(DOCUMENTS, Bags(), saved=folder / "vectors.npy")


def _http(stack: ExitStack) -> HttpRetriever:
    server = stack.enter_context(RetrievalServer(Bm25(DOCUMENTS)))
    return stack.enter_context(closing(HttpRetriever(server.url)))


MAKERS: dict[str, Callable[[Path, ExitStack], Ranked]] = {
    "bm25": lambda folder, stack: Bm25(DOCUMENTS),
    "bm25-saved": lambda folder, stack: _loaded(folder),
    "fts5": lambda folder, stack: stack.enter_context(closing(_fts5(folder))),
    "fts5-frozen": lambda folder, stack: stack.enter_context(closing(_fts5(folder, frozen=True))),
    "dense": lambda folder, stack: Dense(DOCUMENTS, Bags()),
    "dense-saved": lambda folder, stack: _dense(folder),
    "hybrid": lambda folder, stack: Hybrid([Bm25(DOCUMENTS), Dense(DOCUMENTS, Bags())]),
    "http": lambda folder, stack: _http(stack),
    "langchain": lambda folder, stack: FromLangChain(AsLangChain(retriever=Bm25(DOCUMENTS))),
}


@pytest.fixture(params=MAKERS)
def each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ranked]:
    """Each retriever over ``DOCUMENTS``."""
    with ExitStack() as stack:
        yield MAKERS[request.param](tmp_path, stack)


@pytest.fixture
def retriever(each: Ranked) -> Ranked:
    """The same under the name that reads best; LangChain's suite has a fixture of its own under it."""
    return each
