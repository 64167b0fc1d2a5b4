"""LangChain retrievers as ours, and ours as LangChain retrievers.

::

    FromLangChain(store.as_retriever()).retrieve("red fox", k=3)
    AsLangChain(retriever=Bm25(documents), k=3).invoke("red fox")

Not covered: retrievers that are only asynchronous and need an event loop of their own; stopping one that hangs.
"""

from __future__ import annotations

import inspect
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval.records import Hit, check_k, clean, hits_of, texts_of


class FromLangChain:
    """Any ``BaseRetriever``. It ranks as it will; its scores mean nothing across libraries, so ours follow its ranks.

    *k* is handed on to retrievers that take it; others find as many as they were made for, cut at *k*.
    """

    def __init__(self, base: BaseRetriever) -> None:
        if not isinstance(base, BaseRetriever):
            raise BadValue("retriever", base, "a LangChain BaseRetriever")
        self._base = base
        parameters = inspect.signature(base._get_relevant_documents).parameters
        self._takes_k = "k" in parameters or hasattr(base, "vectorstore")

    def retrieve(self, query: str, k: int) -> list[str]:
        return texts_of(self.hits(query, k))

    def hits(self, query: str, k: int) -> list[Hit]:
        check_k(k)
        if not query.strip():  # many embedders refuse it, and what a policy writes is no fault
            return []
        try:
            found = self._base.invoke(clean(query), None, **({"k": k} if self._takes_k else {}))
        except Exception as error:  # whatever a third party's retriever raises, the policy did not cause it
            raise ToolFault(f"retriever {type(self._base).__name__} failed: {type(error).__name__}: {error}") from error
        return [Hit(_id(document), document.page_content, 1 / rank) for rank, document in enumerate(found[:k], 1)]


class AsLangChain(BaseRetriever):
    """Our retriever as LangChain's: documents with their ids, and the score as metadata."""

    retriever: Any
    k: int = 3

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[LangChainDocument]:
        found = hits_of(self.retriever, query, check_k(self.k if k is None else k))
        return [LangChainDocument(page_content=h.text, id=h.id, metadata={"score": h.score}) for h in found]


def _id(document: LangChainDocument) -> str:
    named = document.id if document.id is not None else document.metadata.get("id")
    return document.page_content if named is None else str(named)
