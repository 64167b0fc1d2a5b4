"""Retrieval: ranking, determinism, and corpora that cannot be searched."""

import pytest

from reachlab import ToolCall
from reachlab.errors import BadValue
from reachlab.tools import Bm25, ToolExecutor, search_tool
from reachlab.tools.search import search_documents

CORPUS = ["the red fox", "the brown bear", "a red red bear"]


def test_the_best_document_comes_first_and_k_is_kept() -> None:
    index = Bm25(CORPUS)
    assert index.retrieve("red fox", 1) == ["the red fox"]
    assert index.retrieve("BEAR", 5) == ["the brown bear", "a red red bear"]


def test_no_shared_word_is_no_result() -> None:
    searcher = search_tool(Bm25(CORPUS), k=2, description="Search.")
    for query in ("zebra", "", "!?"):
        assert ToolExecutor([searcher]).execute([ToolCall("search", {"query": query})])[0].text == "No results."


@pytest.mark.parametrize("empty", ["", "  ", "!?"])
def test_an_empty_document_is_named(empty: str) -> None:
    with pytest.raises(BadValue, match="document 1 of the corpus: got"):
        Bm25(["one", empty, "two"])


def test_an_empty_corpus_is_an_error() -> None:
    with pytest.raises(BadValue, match="at least one document"):
        Bm25([])


@pytest.mark.parametrize(("documents", "k"), [("one text", 1), (["one", 2], 1), (["one"], 0), (["one"], "1")])
def test_a_corpus_of_a_spec_is_checked(documents: list[str], k: int) -> None:
    with pytest.raises(BadValue, match="got"):
        search_documents(documents, k)
