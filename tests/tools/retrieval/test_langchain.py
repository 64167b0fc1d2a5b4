"""LangChain's own suite on every retriever of ours, and LangChain's retrievers as ours."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval import AsLangChain, FromLangChain, Hit, Ranked

SUITE = "langchain_tests.integration_tests.retrievers"

if importlib.util.find_spec("langchain_tests"):

    @pytest.mark.anyio  # its coroutines need a plug-in that runs them; httpx brings this one
    class TestStandard(importlib.import_module(SUITE).RetrieversIntegrationTests):  # type: ignore[misc]
        """LangChain's suite; each retriever in turn stands behind ``AsLangChain``."""

        @pytest.fixture(autouse=True)
        def _ours(self, each: Ranked) -> None:
            self.ours = each

        @pytest.fixture
        def anyio_backend(self) -> str:
            return "asyncio"

        @property
        def retriever_constructor(self) -> type[BaseRetriever]:
            return AsLangChain

        @property
        def retriever_constructor_params(self) -> dict[str, Any]:
            return {"retriever": self.ours, "k": 2}

        @property
        def retriever_query_example(self) -> str:
            return "the red bear here"

else:

    @pytest.mark.skip(reason="langchain-tests is not installed")
    def test_standard() -> None:
        """LangChain's suite on every retriever."""


class Theirs(BaseRetriever):
    """Finds the same three for every query; *k* means nothing to it."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[LangChainDocument]:
        if query == "bad":
            raise KeyError("theirs")
        return [
            LangChainDocument("one", id="1", metadata={"id": "other"}),
            LangChainDocument("two", metadata={"id": 2}),
            LangChainDocument("three"),
        ]


class TakesK(BaseRetriever):
    """Finds as many as it is asked for."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any, k: int = 4) -> list[LangChainDocument]:
        return [LangChainDocument(f"{query} {i}") for i in range(k)]


def test_theirs_keep_their_order_and_get_ids_and_scores() -> None:
    hits = FromLangChain(Theirs()).hits("q", 5)
    assert hits == [Hit("1", "one", 1.0), Hit("2", "two", 1 / 2), Hit("three", "three", 1 / 3)]
    assert FromLangChain(Theirs()).retrieve("q", 2) == ["one", "two"]


def test_k_is_handed_on_to_those_that_take_it() -> None:
    assert len(FromLangChain(TakesK()).hits("q", 9)) == 9 and len(FromLangChain(TakesK()).hits("q", 1)) == 1


def test_a_blank_query_never_reaches_theirs() -> None:
    class NoBlanks(Theirs):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[LangChainDocument]:
            query.encode()
            assert query.strip()
            return [LangChainDocument(query)]

    retriever = FromLangChain(NoBlanks())
    assert retriever.hits("", 1) == retriever.hits(" \n", 1) == [] and retriever.retrieve("\ud800 a", 1) == ["? a"]


def test_what_theirs_raise_is_a_fault() -> None:
    with pytest.raises(ToolFault, match="retriever Theirs failed: KeyError"):
        FromLangChain(Theirs()).retrieve("bad", 1)
    with pytest.raises(BadValue, match="a LangChain BaseRetriever"):
        FromLangChain(Path())  # type: ignore[arg-type]


def test_ours_carry_ids_and_scores(retriever: Ranked) -> None:
    documents = AsLangChain(retriever=retriever, k=2).invoke("red fox")
    hits = retriever.hits("red fox", 2)
    assert [(d.id, d.page_content, d.metadata["score"]) for d in documents] == [(h.id, h.text, h.score) for h in hits]
