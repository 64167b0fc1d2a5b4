"""``serve-corpus`` and ``coverage``: a corpus of one's own behind the Search-R1 protocol, and what it can answer.

Not covered: authentication and encryption; serve to networks that you trust.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachlab import Json
from reachlab.cli import console
from reachlab.cli.commands import JsonOption, app, options_of
from reachlab.errors import BadValue

if TYPE_CHECKING:
    from rich.table import Table

CorpusArgument = Annotated[Path, typer.Argument(help="JSONL or parquet file, or a folder of texts.")]
RetrieverOption = Annotated[str, typer.Option(help="bm25, fts5, dense, hybrid, or module:attribute.")]
OptionOption = Annotated[
    list[str] | None, typer.Option("--option", help="Option of the retriever, name=JSON. Repeatable.")
]
NAMED = 5
"""Questions without an answer that are named; JSON has them all."""
ALPHA = 0.025
"""One-sided error of each limit: together a 95 % interval."""


@app.command("serve-corpus")
def serve_corpus(
    corpus: CorpusArgument,
    retriever: RetrieverOption = "bm25",
    option: OptionOption = None,
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
        from reachlab.tools.retrieval.server import RetrievalServer, check_free

        check_free(host, port)  # said before the corpus is indexed, not after
        source = Source(str(corpus))
        server = RetrievalServer(build_retriever(retriever, source, options_of(option)), host, port, k)
        console.say(f"{source.corpus.counts}")
        console.say(f"{retriever} at {server.url}")
        tool = {"name": "corpus-search", "options": {"path": server.url, "retriever": "http", "k": k}}
        console.say(f"--dial 'affordances={json.dumps([tool])}'", label="in a study:")
        server.run()


@app.command()
def coverage(
    corpus: CorpusArgument,
    questions: Annotated[Path, typer.Argument(help="JSONL or parquet file of questions and accepted answers.")],
    retriever: RetrieverOption = "bm25",
    option: OptionOption = None,
    k: Annotated[str, typer.Option(help="How many results a search gives, with commas between.")] = "1,3,5,20",
    question: Annotated[str, typer.Option(help="Column of the question.")] = "question",
    answer: Annotated[str, typer.Option(help="Column of the answer, or of several; a.b reaches inside.")] = "answer",
    as_json: JsonOption = False,
) -> None:
    """How often a corpus holds the answer, and a retriever finds it.

    The first line is the ceiling: the share of questions whose answer stands
    in the corpus at all. What a policy answers beyond it, it knew or guessed.
    The other lines: the share whose answer is among the first k results, when
    the question itself is the query. A gap between them is the retriever's.
    An answer counts where its words stand side by side, whatever their case.
    Intervals are exact (Clopper-Pearson, 95 %): the questions are taken for a
    sample of all that could be asked.

    Example: reachlab coverage docs.jsonl qa.jsonl --retriever fts5 --k 1,5
    """
    with console.explained():
        found = _covered(corpus, _asked(questions, question, answer), retriever, options_of(option), _numbers(k))
        if as_json:
            console.print_json(found)
            return
        console.say(found["passages"])
        console.out.print(_table(found))
        for what in ("nowhere", "not_found"):
            if found[what]:
                console.say(_named(found[what]), label=_LABELS[what], style="yellow")


_LABELS = {"nowhere": "nowhere in the corpus:", "not_found": "in the corpus, and not found:"}


def _covered(corpus: Path, asked: list[tuple[str, str, list[str]]], name: str, options: Json, ks: list[int]) -> Json:
    from reachlab.tools.retrieval.builders import Source, build_retriever
    from reachlab.tools.retrieval.coverage import answer_ranks, answerable

    if name == "http":
        raise BadValue("retriever", name, "one that searches this corpus; a server may hold another")
    source = Source(str(corpus))
    places, texts, answers = zip(*asked, strict=True)
    there = answerable([document.text for document in source.corpus.documents], answers)
    ranks = answer_ranks(build_retriever(name, source, options), texts, answers, max(ks))
    return {
        "schema": "reachlab.coverage/1",
        "corpus": str(corpus), "passages": str(source.corpus.counts), "counts": asdict(source.corpus.counts),
        "retriever": {"name": name, "options": options}, "questions": len(asked),
        "anywhere": _share(sum(there), len(asked)),
        "within": [{"k": k, **_share(sum(r is not None and r <= k for r in ranks), len(asked))} for k in ks],
        "nowhere": [place for place, held in zip(places, there, strict=True) if not held],
        "not_found": [p for p, held, r in zip(places, there, ranks, strict=True) if held and r is None],
    }  # fmt: skip


def _share(found: int, questions: int) -> Json:
    from reachlab.measure import clopper_pearson

    limits = clopper_pearson(found, questions, ALPHA)
    return {"found": found, "share": limits.value, "low": limits.low, "high": limits.high}


def _asked(path: Path, question: str, answer: str) -> list[tuple[str, str, list[str]]]:
    """Place, question and accepted answers of each row. ``BadValue`` names the rows that lack one."""
    from reachlab.envs.dataset.questions import texts
    from reachlab.envs.dataset.tables import check_columns, read, value

    rows = read(path)
    check_columns(rows, {"question": question, "answer": answer})
    asked, wrong = [], []
    for row in rows:
        text, accepted = value(row, question), [a for a in texts(value(row, answer)) if a.strip()]
        if not isinstance(text, str) or not text.strip() or not accepted:
            wrong.append(row.place)
        else:
            asked.append((row.place, text, accepted))
    if wrong:
        raise BadValue(f"questions {str(path)!r}", _named(wrong), "a question and an answer in every row")
    return asked


def _numbers(said: str) -> list[int]:
    parts = [part.strip() for part in said.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= 10**6 for part in parts):
        raise BadValue("--k", said, "whole numbers from 1 to a million, with commas between, as in 1,3,5,20")
    return sorted({int(part) for part in parts})


def _table(found: Json) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heads = ("the answer is", "questions", "share", "95 % interval")
    table = Table(*heads, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    rows: list[tuple[str, Any]] = [("in the corpus at all", found["anywhere"])]
    name = found["retriever"]["name"]
    rows += [(f"among the first {row['k']} by {name}", row) for row in found["within"]]
    for what, row in rows:
        limits = f"[{row['low']:.3f}, {row['high']:.3f}]"
        cells = (what, f"{row['found']}/{found['questions']}", f"{row['share']:.3f}", limits)
        table.add_row(*map(Text, cells))
    return table


def _named(places: Sequence[str]) -> str:
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"lines or rows {', '.join(places[:NAMED])}{more}"
