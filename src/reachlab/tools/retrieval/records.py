"""What travels through retrieval, and the contract that every retriever keeps.

::

    class Mine:
        def retrieve(self, query: str, k: int) -> list[str]: ...      # a Retriever: all that a tool needs
        def hits(self, query: str, k: int) -> list[Hit]: ...          # a Ranked one: with ids and scores

The contract of both: at most *k* documents, best first; documents that score the same keep the order of the corpus; the
same query gives the same answer, from any thread; any text is a query, and one that nothing fits has no result. What
the policy wrote never makes a retriever raise; a retriever that cannot answer raises ``ToolFault``.

Not covered: filters, queries that are not text, deleting documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue


@dataclass(frozen=True, slots=True)
class Document:
    """What is indexed. Ids are unique in a corpus."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found. Scores of different retrievers cannot be compared; ``Hybrid`` fuses ranks."""

    id: str
    text: str
    score: float


class Retriever(Protocol):
    """Ranks documents for a query; the contract is in the module's docstring."""

    def retrieve(self, query: str, k: int) -> list[str]:
        """The texts of at most *k* documents, best first."""
        ...


@runtime_checkable
class Ranked(Retriever, Protocol):
    """A retriever that also says which documents it found, and how well they fit."""

    def hits(self, query: str, k: int) -> list[Hit]:
        """At most *k* hits, best first; scores never rise."""
        ...


def hits_of(retriever: Retriever, query: str, k: int) -> list[Hit]:
    """Hits of any retriever. One that only has texts: the text is the id, the reciprocal of the rank the score."""
    if isinstance(retriever, Ranked):
        return retriever.hits(query, k)
    return [Hit(text, text, 1 / rank) for rank, text in enumerate(retriever.retrieve(query, k), 1)]


def numbered(documents: Iterable[str | Document]) -> list[Document]:
    """Documents with ids: a text is named by its position. ``BadValue`` for no document and for an id twice."""
    if isinstance(documents, str):
        raise BadValue("documents", documents, "a list of texts or documents, not one text")
    found = [d if isinstance(d, Document) else Document(str(i), d) for i, d in enumerate(documents)]
    if not found:
        raise BadValue("corpus", "no documents", "at least one document")
    seen: set[str] = set()
    for document in found:
        if document.id in seen:
            raise BadValue("id of a document", document.id, "ids that are all different")
        seen.add(document.id)
    return found


def check_k(k: object) -> int:
    """*k* itself; ``BadValue`` unless it is a whole number of at least 1."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise BadValue("k", k, "a whole number, >= 1")
    return k


def clean(query: str) -> str:
    """*query* as other people's code bears it: with ``?`` for lone surrogates, which UTF-8 cannot hold."""
    return query.encode("utf-8", "replace").decode()


def top(scores: FloatArray, k: int, above: float = 0.0) -> IntArray:
    """Positions of the *k* highest scores over *above*, best first, ties in order; as a stable sort would give them."""
    found = np.flatnonzero(scores > above)
    if len(found) > k:
        among = scores[found]
        found = found[among >= np.partition(among, len(among) - k)[len(among) - k]]
    return found[(-scores[found]).argsort(kind="stable")[:k]]


def texts_of(hits: Sequence[Hit]) -> list[str]:
    return [hit.text for hit in hits]
