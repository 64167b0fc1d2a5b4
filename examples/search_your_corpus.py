"""Search a corpus of your own: read it, index it, ask it, measure what it can answer, serve it, give it to a policy.

Command: ``python examples/search_your_corpus.py [CORPUS.jsonl]``. Without an argument it writes a small corpus. Fields:
``text`` or ``contents``, and if there are ``id`` and ``title``; parquet and folders of text files work too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from reachlab import ToolCall
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor
from reachlab.tools.retrieval import Bm25, Fts5, HttpRetriever, Hybrid, RetrievalServer, coverage, read_corpus

RIVERS = {"Elbe": "North Sea", "Po": "Adriatic Sea", "Rhône": "Mediterranean Sea", "Danube": "Black Sea"}


def written(folder: Path) -> Path:
    """A corpus with a repeated and an empty document."""
    rows = [{"title": name, "text": f"The river {name} flows into the {sea}."} for name, sea in RIVERS.items()]
    path = folder / "rivers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [*rows, rows[0], {"text": " "}]), encoding="utf-8")
    return path


def main(folder: Path) -> None:
    path = Path(sys.argv[1]) if sys.argv[1:] else written(folder)
    corpus = read_corpus(path)
    print("corpus:", corpus.counts)

    bm25, fts5 = Bm25(corpus.documents), Fts5(folder / "index.sqlite")
    fts5.add(corpus.documents)
    for hit in Hybrid([bm25, fts5]).hits("where does the Danube end", 2):
        print(f"hybrid: {hit.score:.4f} {hit.id}: {hit.text!r}")

    questions, answers = [f"Where does the {name} end?" for name in RIVERS], list(RIVERS.values())
    print("the answer is among the first 1:", coverage(bm25, questions, answers, k=1))

    with RetrievalServer(fts5) as server, closing(HttpRetriever(server.url)) as remote:
        print("over HTTP:", remote.retrieve("rhone", 1))
    fts5.close()

    # What a study's configuration holds: plain JSON. The index is kept in the cache for the next process.
    options = {"path": str(path), "retriever": "fts5", "k": 1, "cache": str(folder / "cache")}
    tool = Spec("reachlab.tools.retrieval.tool:corpus_search", options).build("tools")
    print("as a tool:", [r.text for r in ToolExecutor([tool]).execute([ToolCall("search", {"query": "river Po"})])])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
