"""The ``search`` tool over any retriever.

::

    search_tool(Bm25(documents), k=3, description="Search the documents.")
    Spec("search", {"documents": ["...", "..."], "k": 1})                # a corpus that stands in the spec
    Spec("corpus-search", {"path": "wiki.jsonl", "retriever": "fts5", "k": 3})      # a corpus of files

Not covered: arguments beside the query; results with ids or scores, which a policy has no use for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import Field

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval.bm25 import Bm25
from reachlab.tools.retrieval.builders import Source, build_retriever, state
from reachlab.tools.retrieval.corpus import LONGEST
from reachlab.tools.retrieval.records import Retriever, check_k
from reachlab.tools.retrieval.words import WORD

NO_RESULTS = "No results."
DESCRIPTION = "Search the documents."


def search_tool(retriever: Retriever, *, k: int, description: str) -> BaseTool:
    """``search(query)``: the *k* best documents, one a line, or ``No results.``."""

    check_k(k)

    def search(query: Annotated[str, Field(description="What to look for.")]) -> str:
        try:
            found = retriever.retrieve(query, k)
        except ToolFault:
            raise
        except Exception as error:  # also a ToolException: the contract is that no query makes a retriever raise
            raise ToolFault(f"the retriever failed: {type(error).__name__}: {error}") from error
        return "\n".join(map(one_line, found)) or NO_RESULTS

    return StructuredTool.from_function(search, name="search", description=description)


def one_line(text: str) -> str:
    """*text* without line ends, so that a result is a line."""
    return text if text.splitlines() == [text] else " ".join(text.split())


def search_documents(
    documents: Sequence[str], k: int = 1, description: str = DESCRIPTION, word: str = WORD
) -> BaseTool:
    """The tool over a corpus that stands in a ``Spec``: ``Spec("search", {"documents": [...], "k": 1})``."""
    if isinstance(documents, str) or not all(isinstance(document, str) for document in documents):
        raise BadValue("documents", documents, "a list of texts")
    return search_tool(Bm25(documents, word), k=k, description=description)


def corpus_search(
    path: str | None = None,
    retriever: str = "bm25",
    k: int = 3,
    *,
    url: str | None = None,
    description: str = DESCRIPTION,
    text: str | None = None,
    id: str = "id",
    title: str = "title",
    longest: int = LONGEST,
    cache: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> BaseTool:
    """The tool over the corpus at *path* (``read_corpus``), or over the server at *url* for the retriever ``http``.

    *retriever*: a name of ``builders.RETRIEVERS`` or ``module:attribute``, built with *options*. *cache*: where indices
    are kept. Made once a process for the same arguments and the same files, so that an episode pays nothing.
    """
    if (url is not None and retriever != "http") or (path is None) == (url is None):
        given = {"path": path, "url": url, "retriever": retriever}
        raise BadValue("corpus-search", given, "a path; or for the retriever http a url, e.g. http://127.0.0.1:8000")
    path = str(url or path)
    source = Source(path, text, id, title, longest, cache)
    said = json.dumps(dict(options or {}), sort_keys=True)
    place = path if retriever == "http" else state(Path(path))
    return _made(source, retriever, said, check_k(k), description, place)


@lru_cache(maxsize=32)
def _made(source: Source, retriever: str, options: str, k: int, description: str, state: str) -> BaseTool:
    """*state* is part of the key alone: other files under the same path are another corpus."""
    # A copy: what was read only to index it must not live as long as this cache's key.
    made = build_retriever(retriever, replace(source), json.loads(options))
    return search_tool(made, k=k, description=description)
