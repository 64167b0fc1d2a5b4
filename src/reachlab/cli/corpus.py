"""``serve-corpus``: a corpus of one's own behind the Search-R1 protocol, for other processes and machines.

Not covered: authentication and encryption; serve to networks that you trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import app, options_of


@app.command("serve-corpus")
def serve_corpus(
    corpus: Annotated[Path, typer.Argument(help="JSONL or parquet file, or a folder of texts.")],
    retriever: Annotated[str, typer.Option(help="bm25, fts5, dense, hybrid, or module:attribute.")] = "bm25",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the retriever, name=JSON. Repeatable.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    k: Annotated[int, typer.Option(min=1, help="Results where a request names no number.")] = 3,
) -> None:
    """Serve a corpus over HTTP, as Search-R1 has it: POST /retrieve.

    The body is {"queries": [...], "topk": 3, "return_scores": true}. In a
    study it is the tool corpus-search with retriever http, or any client of
    that protocol. The index is kept on disk and made anew when the corpus
    changes. Ctrl-C ends it.

    Example: reachlab serve-corpus docs.jsonl --retriever fts5 --port 8000
    """
    with console.explained("The server has ended."):
        from reachlab.tools.retrieval.builders import Source, build_retriever
        from reachlab.tools.retrieval.server import RetrievalServer

        source = Source(str(corpus))
        server = RetrievalServer(build_retriever(retriever, source, options_of(option)), host, port, k)
        console.say(f"{source.corpus.counts}")
        console.say(f"{retriever} at {server.url}")
        server.run()
