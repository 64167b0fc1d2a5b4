"""Several retrievers as one, by reciprocal rank fusion: what any of them ranks high comes first.

A document's score is the sum of 1 / (60 + its rank) over the retrievers that found it (G. V. Cormack, C. L. A. Clarke
and S. Büttcher (2009), Reciprocal rank fusion outperforms Condorcet and individual rank learning methods, SIGIR). Only
ranks count, so scores need no common scale.

::

    Hybrid([Bm25(documents), Dense(documents)]).retrieve("red fox", k=3)

Not covered: weights, learned fusion, re-ranking.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from reachlab.errors import BadValue
from reachlab.tools.retrieval.records import Hit, Retriever, check_k, hits_of, texts_of

K = 60
"""The constant of the paper: how much less the first ranks differ than 1, 1/2, 1/3."""
DEPTH = 100
"""Hits asked of each retriever; what none of them ranks so high is not found."""


class Hybrid:
    """Fuses *retrievers* over one corpus; documents are the same where their ids are.

    Equal scores keep the order in which documents appear: the first retriever's, then what only later ones found.
    """

    def __init__(self, retrievers: Sequence[Retriever], constant: float = K, depth: int = DEPTH) -> None:
        if not retrievers:
            raise BadValue("retrievers", list(retrievers), "at least one")
        if not 0 <= constant < math.inf:
            raise BadValue("constant of the fusion", constant, "finite and >= 0; 60 in the literature")
        self._retrievers = tuple(retrievers)
        self._constant = float(constant)
        self._depth = check_k(depth)

    def retrieve(self, query: str, k: int) -> list[str]:
        return texts_of(self.hits(query, k))

    def hits(self, query: str, k: int) -> list[Hit]:
        depth = max(check_k(k), self._depth)
        return fuse([hits_of(retriever, query, depth) for retriever in self._retrievers], self._constant)[:k]


def fuse(rankings: Sequence[Sequence[Hit]], constant: float = K) -> list[Hit]:
    """One ranking of everything that stands in *rankings*, each best first."""
    found: dict[str, str] = {}
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, id_ in enumerate(dict.fromkeys(hit.id for hit in ranking), 1):  # a repeated document counts once
            scores[id_] = scores.get(id_, 0.0) + 1 / (constant + rank)
        for hit in ranking:
            found.setdefault(hit.id, hit.text)
    best = sorted(found, key=scores.__getitem__, reverse=True)  # stable, also in reverse
    return [Hit(id_, found[id_], scores[id_]) for id_ in best]
