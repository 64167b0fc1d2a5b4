"""The JSON of Search-R1's ``/retrieve``: what client and server agree on.

Request: ``{"queries": ["..."], "topk": 3, "return_scores": true}``. Response: ``{"result": [[...], ...]}``, one list a
query, of ``{"document": {"id": "...", "contents": "title\\ntext"}, "score": 1.5}`` or, without scores, of the documents
alone. Both sides read what other implementations leave out: ids, scores, ``text`` and ``title`` in place of
``contents``.

Not covered: the routes for re-ranking.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reachlab import Json
from reachlab.errors import BadValue
from reachlab.tools.retrieval.records import Hit

ROUTE = "/retrieve"
MOST_QUERIES, MOST_K = 1024, 1000


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    queries: tuple[str, ...]
    topk: int | None = None
    return_scores: bool = False

    def to_json(self) -> Json:
        return {"queries": list(self.queries), "topk": self.topk, "return_scores": self.return_scores}

    @classmethod
    def from_json(cls, said: Any) -> Request:
        """``BadValue`` says which field is wrong, and how."""
        if not isinstance(said, dict):
            raise BadValue("body", type(said).__name__, "a JSON object")
        queries, topk, scores = said.get("queries"), said.get("topk"), said.get("return_scores", False)
        if not isinstance(queries, list) or not all(isinstance(query, str) for query in queries):
            raise BadValue("queries", _short(queries), "a list of texts")
        if len(queries) > MOST_QUERIES:
            raise BadValue("queries", len(queries), f"at most {MOST_QUERIES} in one request")
        if topk is not None and (type(topk) is not int or not 1 <= topk <= MOST_K):
            raise BadValue("topk", _short(topk), f"null or a whole number, 1 to {MOST_K}")
        if not isinstance(scores, bool):
            raise BadValue("return_scores", _short(scores), "true or false")
        return cls(tuple(queries), topk, scores)


def response(found: Sequence[Sequence[Hit]], scores: bool) -> Json:
    return {"result": [[_said(hit, scores) for hit in hits] for hits in found]}


def results(said: Any, queries: int, k: int) -> list[list[Hit]]:
    """The hits in a response. ``ValueError`` says what is wrong with it."""
    found = said.get("result") if isinstance(said, dict) else None
    if not isinstance(found, list) or len(found) != queries:
        raise ValueError(f"no list 'result' of {queries} in {_short(said)}")
    if not all(isinstance(items, list) for items in found):
        raise ValueError(f"'result' holds something other than lists: {_short(found)}")
    return [[_hit(item, rank) for rank, item in enumerate(items[:k], 1)] for items in found]


def _said(hit: Hit, scores: bool) -> Json:
    document = {"id": hit.id, "contents": hit.text}
    return {"document": document, "score": hit.score} if scores else document


def _hit(item: Any, rank: int) -> Hit:
    document = item.get("document", item) if isinstance(item, dict) else item
    text = document if isinstance(document, str) else _text(document)
    score = item.get("score") if isinstance(item, dict) else None
    if score is None:
        score = 1 / rank
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise ValueError(f"a score that is no number: {_short(score)}")
    id_ = document.get("id") if isinstance(document, Mapping) else None
    return Hit(text if id_ is None else str(id_), text, float(score))


def _text(document: Any) -> str:
    fields = document if isinstance(document, Mapping) else {}
    if isinstance(fields.get("contents"), str):
        return str(fields["contents"])
    if isinstance(fields.get("text"), str):
        return f"{fields['title']}\n{fields['text']}" if fields.get("title") else str(fields["text"])
    raise ValueError(f"a document without contents or text: {_short(document)}")


def _short(value: Any) -> str:
    said = json.dumps(value, default=repr)
    return said if len(said) <= 80 else said[:79] + "…"
