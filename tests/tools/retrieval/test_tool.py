"""``corpus_search``: what a Spec can build, from any file, by any retriever, once."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import ToolException

from reachlab import ToolCall
from reachlab.errors import BadValue, ToolFault, UnknownName
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.retrieval import Bm25, Document, RetrievalServer, corpus_search, search_tool
from reachlab.tools.retrieval.builders import RETRIEVERS

FACTORY = "reachlab.tools.retrieval.tool:corpus_search"
LOCAL = [name for name in RETRIEVERS if name not in ("http", "dense", "hybrid")]
ROWS = ("the red fox", "the brown\nbear", "a red red bear")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(json.dumps({"text": row}) for row in ROWS))
    return path


def ask(tool: Any, query: str) -> str:
    return ToolExecutor([tool]).execute([ToolCall("search", {"query": query})])[0].text


def build(corpus: Path, **options: Any) -> Any:
    return Spec(FACTORY, {"path": str(corpus), "cache": str(corpus.parent / "cache"), **options}).build("tools")


class Listed:
    """Finds the first documents of the corpus, marked."""

    def __init__(self, documents: Sequence[Document], mark: str = "") -> None:
        self._texts = [mark + document.text for document in documents]

    def retrieve(self, query: str, k: int) -> list[str]:
        return self._texts[:k]


class Theirs(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[LangChainDocument]:
        return [LangChainDocument(f"theirs {i} {query}") for i in range(9)]


def theirs(documents: Sequence[Document]) -> BaseRetriever:
    return Theirs()


def in_process(arguments: tuple[str, str, str]) -> str:
    path, cache, retriever = arguments
    return ask(corpus_search(path, retriever, 1, cache=cache), "red fox")


@pytest.mark.parametrize("retriever", LOCAL)
def test_a_spec_builds_it_and_results_are_lines(corpus: Path, retriever: str) -> None:
    tool = build(corpus, retriever=retriever, k=2, description="Search here.")
    assert ask(tool, "brown bear") == "the brown bear\na red red bear"
    assert ask(tool, "zebra") == "No results."
    assert tool.description == "Search here." and prepare(tool).direct is not None


@pytest.mark.parametrize("retriever", LOCAL)
def test_it_is_made_once_and_again_when_the_corpus_changes(corpus: Path, retriever: str) -> None:
    first = build(corpus, retriever=retriever)
    assert build(corpus, retriever=retriever) is first
    corpus.write_text('{"text": "an entirely new newt"}')
    assert ask(build(corpus, retriever=retriever), "newt") == "an entirely new newt"
    assert ask(first, "newt") == "No results."


@pytest.mark.parametrize("retriever", LOCAL)
def test_a_broken_cache_is_made_again(corpus: Path, retriever: str) -> None:
    build(corpus, retriever=retriever)
    for file in (corpus.parent / "cache").rglob("*"):
        if file.is_file() and not file.name.endswith(".lock"):
            file.write_bytes(file.read_bytes()[:-3])
    assert ask(build(corpus, retriever=retriever, description="New."), "red fox").startswith("the red fox")


def test_a_hybrid_of_parts_with_options(corpus: Path) -> None:
    of = ["bm25", {"name": "fts5", "options": {"tokenize": "porter unicode61"}}]
    tool = build(corpus, retriever="hybrid", options={"of": of})
    assert ask(tool, "foxes") == "the red fox"


def test_any_retriever_by_its_path_ours_or_langchains(corpus: Path) -> None:
    here = __name__ if importlib.util.find_spec(__name__) else "tests.tools.retrieval.test_tool"
    tool = build(corpus, retriever=f"{here}:Listed", options={"mark": "!"}, k=2)
    assert ask(tool, "anything") == "!the red fox\n!the brown bear"
    assert ask(build(corpus, retriever=f"{here}:theirs", k=2), "q") == "theirs 0 q\ntheirs 1 q"
    with pytest.raises(BadValue, match="what .* returned"):
        build(corpus, retriever="builtins:list")


def test_the_server_of_the_retriever_http_is_a_url(corpus: Path) -> None:
    with RetrievalServer(Bm25(ROWS)) as server:
        built = Spec(FACTORY, {"url": server.url, "retriever": "http", "k": 1}).build("tools")
        assert ask(built, "fox") == "the red fox"
    with pytest.raises(BadValue, match=r"path of retriever 'http'.*the server's URL, e\.g\. http://127\.0\.0\.1:8000"):
        corpus_search(str(corpus), "http")
    wrong: list[dict[str, Any]] = [{}, {"url": "http://x"}, {"path": "p", "url": "http://x", "retriever": "http"}]
    for options in wrong:
        with pytest.raises(BadValue, match="a path; or for the retriever http a url"):
            corpus_search(**options)


def test_the_retriever_http_takes_an_address(corpus: Path) -> None:
    with RetrievalServer(Bm25(ROWS)) as server:
        tool = corpus_search(server.url, "http", k=1, options={"seconds": 5})
        assert ask(tool, "red fox") == "the red fox"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"retriever": "bm52"}, "Did you mean 'bm25'"), ({"options": {"words": "x"}}, "Did you mean 'word'"),
     ({"k": 0}, "k: got 0"), ({"k": "3"}, "k: got '3'"), ({"retriever": "hybrid", "options": {"of": [1]}}, "of: got"),
     ({"options": {"word": 5}}, "word: got 5"), ({"options": {"word": "["}}, "word: got '['"),
     ({"options": {"word": "(a)b"}}, "word: got"), ({"options": {"word": "a*"}}, "word: got"),
     ({"retreiver": "bm25"}, "Did you mean 'retriever'"),
     ({"retriever": "nowhere:at_all"}, "nowhere"), ({"text": "body"}, "no text in body; it has text")],
)  # fmt: skip
def test_wrong_options_are_named(corpus: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises((BadValue, UnknownName), match=re.escape(said)):
        build(corpus, **options)


@pytest.mark.smoke
@pytest.mark.parametrize("retriever", LOCAL)
def test_processes_that_start_together_share_one_index(corpus: Path, retriever: str) -> None:
    cache = corpus.parent / "cache"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert set(pool.map(in_process, [(str(corpus), str(cache), retriever)] * 3)) == {"the red fox"}
    assert len([p for p in cache.iterdir() if p.is_dir()]) == 1


def test_a_result_is_one_line_whatever_ends_it() -> None:
    tool = search_tool(Bm25(["a fox\n", "\r\na fox too"]), k=2, description="Search.")
    assert ask(tool, "fox") == "a fox\na fox too"
    with pytest.raises(BadValue, match="k: got 0"):
        search_tool(Bm25(["a fox"]), k=0, description="Search.")


class Failing:
    """A retriever of somebody's, whose failure looks like one that the policy caused."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def retrieve(self, query: str, k: int) -> list[str]:
        raise self._error


@pytest.mark.parametrize("error", [ToolException("no"), ValueError("no"), KeyError("no"), ToolFault("no")])
def test_a_retriever_that_fails_is_never_an_observation(error: Exception) -> None:
    tool = search_tool(Failing(error), k=1, description="Search.")
    with pytest.raises(ToolFault, match="no"):
        ask(tool, "fox")
