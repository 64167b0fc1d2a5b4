"""Dense retrieval: embeddings, cosine similarity, exact search in one NumPy matrix.

::

    Dense(documents).retrieve("an animal that hunts at night", k=3)      # needs: pip install 'reachlab[dense]'

Every document has some similarity to every query, so that ``No results.`` is rare: a query without a word, or nothing
above ``floor``. Similarities are rounded to six digits before they are ranked, since the last ones depend on how texts
were batched. Not covered: approximate search (above a few million documents), GPUs for the search itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval.bm25 import LONGEST_CACHED
from reachlab.tools.retrieval.encoders import Encoder, load_encoder
from reachlab.tools.retrieval.records import Document, Hit, check_k, numbered, texts_of, top
from reachlab.tools.retrieval.words import WORD

DIGITS = 6
ALIKE = 0.999
"""Least cosine of a saved vector with the same text's vector of today: batches and libraries change the last digits."""
_WORD = re.compile(WORD)
Matrix = np.ndarray[Any, np.dtype[np.float32]]


class Dense:
    """Cosine similarity over *documents*."""

    def __init__(
        self,
        documents: Iterable[str | Document],
        encoder: Encoder | str = "minilm",
        floor: float = 0.0,
        saved: Path | None = None,
    ) -> None:
        """*floor*: only what is more similar is found. *saved*: a file that ``save`` wrote for the same documents."""
        if not -1 <= floor <= 1:
            raise BadValue("floor", floor, "a cosine, -1 to 1")
        self._documents = numbered(documents)
        self._encoder = load_encoder(encoder) if isinstance(encoder, str) else encoder
        self._floor = floor
        if saved is None:
            self._matrix_N_D = _normal(self._encoder.encode([d.text for d in self._documents]))
        else:
            self._matrix_N_D = np.load(saved, mmap_mode="r")
        if len(self._matrix_N_D) != len(self._documents):
            raise BadValue("vectors", len(self._matrix_N_D), f"one for each of {len(self._documents)} documents")
        self._to_check = saved is not None
        self._cached = lru_cache(maxsize=4096)(self._search)

    def retrieve(self, query: str, k: int) -> list[str]:
        return texts_of(self.hits(query, k))

    def hits(self, query: str, k: int) -> list[Hit]:
        check_k(k)
        if not _WORD.search(query):
            return []
        return list(self._cached(query, k) if len(query) <= LONGEST_CACHED else self._search(query, k))

    def save(self, file: Path) -> None:
        """The vectors without the documents, as a ``.npy`` file."""
        with file.open("wb") as opened:
            np.save(opened, self._matrix_N_D)

    def _search(self, query: str, k: int) -> tuple[Hit, ...]:
        if self._to_check:
            self._check()
        query_D = _normal(self._encoder.encode([query]))[0]
        scores = np.round(self._matrix_N_D @ query_D, DIGITS).astype(np.float64)
        best = ((self._documents[i], float(scores[i])) for i in top(scores, k, self._floor))
        return tuple(Hit(document.id, document.text, score) for document, score in best)


    def _check(self) -> None:
        """A model that changed under the same name would rank by chance; it is loaded with the first query."""
        now_D = _normal(self._encoder.encode([self._documents[0].text]))[0]
        saved_D = self._matrix_N_D[0]
        if now_D.shape != saved_D.shape or (saved_D.any() and float(now_D @ saved_D) < ALIKE):
            what = f"the saved vectors are of another encoder than {self._encoder.identity!r} is now"
            raise ToolFault(f"{what}: delete them, and they are made again")
        self._to_check = False


def _normal(vectors_N_D: Matrix) -> Matrix:
    """Rows of length 1; a row of zeros (no known word) stays, and is similar to nothing."""
    if not np.isfinite(vectors_N_D).all():
        raise ToolFault("the encoder gave vectors that are not finite")
    lengths_N_1 = np.linalg.norm(vectors_N_D, axis=1, keepdims=True)
    return (vectors_N_D / np.where(lengths_N_1 == 0, 1, lengths_N_1)).astype(np.float32, copy=False)
