"""Search a corpus of your own: fifty thousand documents read, indexed, asked, measured and served in ten lines.

Command: ``python examples/search_your_corpus.py``. It writes a corpus to have one; yours is JSONL with ``text`` (or
``contents``), and if there are ``id`` and ``title``, or parquet, or a folder of text files. The ten lines are those of
``main``.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path

from reachlab import ToolCall
from reachlab.registry import Spec
from reachlab.seeding import generator
from reachlab.tools import ToolExecutor
from reachlab.tools.retrieval import HttpRetriever, RetrievalServer, Source, build_retriever, coverage

DOCUMENTS = 50_000
SEAS = ("North Sea", "Adriatic Sea", "Mediterranean Sea", "Black Sea")


def main(path: Path, questions: list[str], answers: list[str]) -> None:
    source = Source(str(path), cache=str(path.parent / "cache"))  # without cache: in the user's, for the next process
    print("corpus:", source.corpus.counts)
    hybrid = build_retriever("hybrid", source, {"of": ["bm25", "fts5"]})
    print("found:", hybrid.retrieve(questions[0], k=2))
    print("the answer is the first result:", coverage(hybrid, questions, answers, k=1))
    with RetrievalServer(hybrid) as server, closing(HttpRetriever(server.url)) as remote:
        print("over HTTP:", remote.retrieve(questions[1], k=1))
    options = {"path": source.path, "retriever": "fts5", "k": 1, "cache": source.cache}  # plain JSON, for studies
    tool = Spec("corpus-search", options).build("tools")
    print("as a tool:", ToolExecutor([tool]).execute([ToolCall("search", {"query": questions[2]})])[0].text)


def written(path: Path) -> tuple[list[str], list[str]]:
    """The corpus, with a repeated and an empty document; and questions that it answers, with the answers."""
    ends = generator(0, "rivers").integers(len(SEAS), size=DOCUMENTS)
    rows = [{"id": str(i), "text": f"River R{i} flows into the {SEAS[end]}."} for i, end in enumerate(ends)]
    path.write_text("\n".join(json.dumps(row) for row in [*rows, rows[0], {"text": " "}]), encoding="utf-8")
    asked = range(0, DOCUMENTS, DOCUMENTS // 20)
    return [f"Where does R{i} end?" for i in asked], [SEAS[ends[i]] for i in asked]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "rivers.jsonl"
        main(corpus, *written(corpus))
