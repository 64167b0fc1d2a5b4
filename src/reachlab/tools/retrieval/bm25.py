"""BM25 in memory, by bm25s: NumPy only, the default. Its index can be saved, so that the next process only loads it.

::

    Bm25(["the red fox", "the brown bear"]).retrieve("red", k=1)

Not covered: stemming, stop words (``word`` says what counts as a word), adding documents (``Fts5`` can).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import bm25s

from reachlab.errors import BadValue
from reachlab.tools.retrieval.progress import pulsing, watched
from reachlab.tools.retrieval.records import Document, Hit, check_k, numbered, texts_of, top
from reachlab.tools.retrieval.words import WORD, folded, word_pattern

LONGEST_CACHED = 1000
"""Characters of the longest query whose answer is kept: longer ones never repeat, and would fill the memory."""


class Bm25:
    """BM25 over *documents*, split into words by the pattern *word*. Equal scores keep corpus order."""

    def __init__(
        self, documents: Iterable[str | Document], word: str = WORD, saved: Path | None = None
    ) -> None:
        """*saved*: a folder that ``save`` wrote for the same documents and words; loaded instead of indexing."""
        self._word = word_pattern(word)
        self._documents = numbered(documents)
        for position, document in enumerate(self._documents):
            if not self._word.search(document.text):
                raise BadValue(f"document {position} of the corpus", document.text, "text with at least one word")
        self.documents = tuple(document.text for document in self._documents)
        self._index = bm25s.BM25.load(saved, show_progress=False) if saved else self._built()
        self._cached = lru_cache(maxsize=4096)(self._search)

    def retrieve(self, query: str, k: int) -> list[str]:
        return texts_of(self._found(query, k))

    def hits(self, query: str, k: int) -> list[Hit]:
        return list(self._found(query, k))

    def save(self, folder: Path) -> None:
        """The index without the documents, in bm25s's own files."""
        self._index.save(folder, show_progress=False)

    def _built(self) -> bm25s.BM25:
        vocabulary: dict[str, int] = {}
        number = vocabulary.setdefault
        ids = [
            [number(word, len(vocabulary)) for word in self._words(text)]
            for text in watched(self.documents, "indexing (bm25)")
        ]
        index = bm25s.BM25()
        with pulsing("scoring (bm25)"):
            index.index((ids, vocabulary), show_progress=False)
        return index

    def _words(self, text: str) -> list[str]:
        return self._word.findall(folded(text))

    def _found(self, query: str, k: int) -> tuple[Hit, ...]:
        check_k(k)
        return self._cached(query, k) if len(query) <= LONGEST_CACHED else self._search(query, k)

    def _search(self, query: str, k: int) -> tuple[Hit, ...]:
        known = [w for w in self._words(query) if w in self._index.vocab_dict]
        if not known:
            return ()
        scores = self._index.get_scores(known)
        best = ((self._documents[i], float(scores[i])) for i in top(scores, k))
        return tuple(Hit(document.id, document.text, score) for document, score in best)
