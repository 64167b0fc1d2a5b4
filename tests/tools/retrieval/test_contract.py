"""What every retriever promises; ``conftest`` says which ones are held to it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from reachlab.errors import BadValue
from reachlab.tools.retrieval import Dense, Ranked, hits_of, search_tool

from .conftest import DOCUMENTS, TEXTS

ODD = (
    "", " ", "!?", '"', "'", "*", "fox*", "text:fox", "-fox", "NEAR(fox bear)", "fox AND", "(fox", 'a" OR "b', "^fox",
    "{fox}", "fox\0bear", "\ud800", "fox \udfff", "\U0001f98a", "é" * 3, "_", "²", "%s {0}",
    "'; DROP TABLE documents; --", "AND OR NOT", "+", "\n\t", "fox:bear:sea", "\x1b[31m",
    "a" * 100_000, "fox " * 50_000,
)  # fmt: skip


OBVIOUS = [("red fox", 0), ("brown BEAR", 1), ("salty sea", 2), ("東京", 6), ("volcanoes", 7)]


@pytest.mark.parametrize(("query", "best"), OBVIOUS)
def test_the_best_document_comes_first(retriever: Ranked, query: str, best: int) -> None:
    hits = retriever.hits(query, 3)
    assert (hits[0].id, hits[0].text) == (f"d{best}", TEXTS[best])


def test_k_is_kept_and_a_smaller_k_gives_the_first_of_a_larger_one(retriever: Ranked) -> None:
    five = retriever.hits("the red bear here", 5)
    assert len(five) == 5
    assert [retriever.hits("the red bear here", k) for k in (1, 2, 3)] == [five[:1], five[:2], five[:3]]
    assert len(retriever.hits("the red bear here", 100)) <= len(TEXTS)


def test_scores_never_rise_and_ids_are_different(retriever: Ranked) -> None:
    hits = retriever.hits("the red bear here same words", 100)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert len({h.id for h in hits}) == len(hits) >= 4
    assert {(h.id, h.text) for h in hits} <= {(d.id, d.text) for d in DOCUMENTS}


def test_equal_documents_keep_the_order_of_the_corpus(retriever: Ranked) -> None:
    assert [h.id for h in retriever.hits("same words", 2)] == ["d4", "d5"]
    assert retriever.hits("same words", 1)[0].id == "d4"


def test_texts_are_those_of_the_hits(retriever: Ranked) -> None:
    assert retriever.retrieve("red fox", 2) == [h.text for h in retriever.hits("red fox", 2)]
    assert hits_of(retriever, "red fox", 2) == retriever.hits("red fox", 2)


@pytest.mark.parametrize("query", ["zebra", "", "!?", "\ud800"])
def test_what_nothing_fits_has_no_result(retriever: Ranked, query: str) -> None:
    tool = search_tool(retriever, k=3, description="Search.")
    assert tool.invoke({"query": query}) == "No results."


def test_any_text_is_a_query(retriever: Ranked) -> None:
    for query in ODD:
        hits = retriever.hits(query, 2)
        assert len(hits) <= 2 and {h.id for h in hits} <= {d.id for d in DOCUMENTS}, query[:50]


def test_a_result_is_one_line_each(retriever: Ranked) -> None:
    tool = search_tool(retriever, k=1, description="Search.")
    assert tool.invoke({"query": "volcanoes"}) == "a line and another line about volcanoes"


def test_threads_see_what_one_thread_sees(retriever: Ranked) -> None:
    queries = [f"{a} {b}" for a in ("red", "bear", "the", "same") for b in ("fox", "sea", "words", "lake")] * 4
    alone = [retriever.hits(query, 3) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: retriever.hits(query, 3), queries)) == alone


def test_a_k_that_is_none_is_refused(retriever: Ranked) -> None:
    for k in (0, -1):
        for query in ("red fox", "zebra", ""):
            with pytest.raises(BadValue, match="k: got"):
                retriever.hits(query, k)
    assert 0 < len(retriever.hits("red fox", 1000)) <= len(TEXTS)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the test's own server
def test_a_forked_child_finds_the_same(retriever: Ranked) -> None:
    expected = retriever.retrieve("red fox", 2)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # no pytest in the child, whatever happens
        try:
            os.write(write, b"same" if retriever.retrieve("red  fox", 2) == expected else b"other")
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        assert told.read() == b"same"
    os.waitpid(child, 0)
    assert retriever.retrieve("red fox ", 2) == expected


@pytest.mark.parametrize(("query", "best"), [("Zu\u0308rich", 3), ("ＲＥＤ ＦＯＸ", 0), ("ZÜRICH", 3)])
def test_the_same_letters_in_another_form_are_the_same_words(retriever: Ranked, query: str, best: int) -> None:
    if not isinstance(retriever, Dense):  # what an encoder takes for the same is its own affair
        assert retriever.retrieve(query, 1) == [TEXTS[best]]
