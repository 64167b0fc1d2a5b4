"""Index time, queries per second and peak memory of each retriever, and what it finds in a dictionary.

Command: ``python benchmarks/retrieval.py [--documents 50000 | --large] [--wordnet FOLDER] [--retrievers bm25,fts5,...]
[--embed 2000] [--repeats 3] [--json]``. Each retriever has a process of its own in each repeat, and they take turns;
medians with the range over the repeats, and the ratio to bm25 within each repeat, since absolute numbers mean little
across machines. ``--large`` is 500,000 documents. No row asks for longer than 30 s: ``queries`` says how many it asked.
``hybrid`` is bm25 with fts5; ``http`` is bm25 behind a server in the same process.

``dense`` would embed for minutes or hours. It embeds ``--embed`` documents, evenly spaced (0: all), and runs once; its
index time is scaled up to all documents, its search is timed over as many vectors as there are documents (the same ones
again and again), and recall is left out: a smaller corpus is easier. What could not run is listed with the reason.

Without ``--wordnet`` the corpus is made: 20 words drawn from 20,000 by Zipf's law; queries are three words of a
document. With it (Debian's wordnet-base puts it in /usr/share/wordnet) the corpus is its glosses, each with its words;
queries are 1,000 of the words, and recall is against looking the word up: the share of the entries of that word, or of
the k asked for if there are more, that are among the first k. Not covered: relevance as people judge it, many clients.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import ExitStack, closing
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reachlab.errors import ReachlabError
from reachlab.seeding import generator
from reachlab.tools.retrieval import (
    Bm25,
    Dense,
    Document,
    Fts5,
    HttpRetriever,
    Hybrid,
    Ranked,
    RetrievalServer,
    hits_of,
    load_encoder,
    read_corpus,
)

K = 3
WARM_UP = 20
LONGEST = 30.0
"""Seconds that a row asks, and that it warms up, at most."""
Found = dict[str, float]
Skipped = dict[str, str]


class Workload(NamedTuple):
    """A corpus in a file, queries, and for each the ids that should be found, if that is known."""

    path: str
    queries: list[str]
    gold: list[list[str]]


def made(folder: Path, documents: int, queries: int) -> Workload:
    rng = generator(0, "retrieval-benchmark")
    odds = 1 / np.arange(1, 20_001)
    words_N_T = rng.choice(20_000, size=(documents, 20), p=odds / odds.sum())
    path = folder / "made.jsonl"
    with path.open("w") as file:
        for i, row in enumerate(words_N_T.tolist()):
            file.write(json.dumps({"id": i, "text": " ".join(f"w{word}" for word in row)}) + "\n")
    asked = words_N_T[rng.integers(documents, size=queries)]
    return Workload(str(path), [" ".join(f"w{w}" for w in rng.choice(row, 3)) for row in asked], [])


def synsets(folder: Path) -> Iterator[tuple[str, list[str], str]]:
    """Id, words and gloss of each entry of WordNet's data files (their format: wndb(5WN))."""
    for file in sorted(folder.glob("data.*")):
        for line in file.read_text("ascii").splitlines():
            if line[:1] != " ":
                head, _, gloss = line.partition(" | ")
                offset, _, kind, count, *rest = head.split(" ")
                words = [re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in rest[: 2 * int(count, 16) : 2]]
                yield f"{kind}{offset}", words, gloss.strip()


def wordnet(folder: Path, path: Path, queries: int) -> Workload:
    entries: dict[str, list[str]] = defaultdict(list)
    with path.open("w") as file:
        for id_, words, gloss in synsets(folder):
            file.write(json.dumps({"id": id_, "text": f"{', '.join(words)}: {gloss}"}) + "\n")
            for word in {w.lower() for w in words}:
                entries[word].append(id_)
    if not entries:
        raise SystemExit(f"no data.noun and its like in {folder}")
    plain = sorted(word for word in entries if word.isalpha())
    asked = generator(0, "wordnet").choice(plain, size=queries, replace=False).tolist()
    return Workload(str(path), asked, [entries[word] for word in asked])


def _fts5(documents: Sequence[Document], folder: Path) -> Fts5:
    index = Fts5(folder / "index.sqlite")
    index.add(documents)
    return index


def _http(documents: Sequence[Document], stack: ExitStack) -> HttpRetriever:
    server = stack.enter_context(RetrievalServer(Bm25(documents)))
    return stack.enter_context(closing(HttpRetriever(server.url)))


MAKERS: dict[str, Callable[[Sequence[Document], Path, ExitStack], Ranked]] = {
    "bm25": lambda documents, folder, stack: Bm25(documents),
    "fts5": lambda documents, folder, stack: _fts5(documents, folder),
    "hybrid": lambda documents, folder, stack: Hybrid([Bm25(documents), _fts5(documents, folder)]),
    "http": lambda documents, folder, stack: _http(documents, stack),
    "dense": lambda documents, folder, stack: Dense(documents),
}


def sampled(documents: Sequence[Document], folder: Path, embed: int) -> tuple[Dense, Found]:
    """Dense over all *documents* with the vectors of *embed* of them, repeated; and what indexing would have taken."""
    began = time.perf_counter()
    encoder = load_encoder("minilm")
    encoder.encode(["the first text loads the model"])
    loaded = time.perf_counter()
    part = Dense([documents[i] for i in np.linspace(0, len(documents) - 1, embed).astype(int)], encoder)
    took = (time.perf_counter() - loaded) * len(documents) / embed + loaded - began
    part.save(folder / "part.npy")
    vectors_M_D = np.load(folder / "part.npy")
    np.save(folder / "all.npy", np.resize(vectors_M_D, (len(documents), vectors_M_D.shape[1])))
    return Dense(documents, encoder, saved=folder / "all.npy"), {"documents embedded": float(embed), "index, s": took}


def peak_mb() -> float:
    """The most memory this process has held since it started its program."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]  # Linux always says


def one(name: str, work: Workload, embed: int) -> Found:
    """Index, warm up, ask; in a process of its own."""
    documents = read_corpus(work.path).documents
    before = peak_mb()
    part = name == "dense" and 0 < embed < len(documents)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        retriever: Ranked
        began = time.perf_counter()
        if part:
            retriever, found = sampled(documents, Path(folder), embed)
        else:
            retriever = MAKERS[name](documents, Path(folder), stack)
            found = {"index, s": time.perf_counter() - began}
        asked(retriever, [f"{query} x" for query in work.queries[:WARM_UP]])  # the same words, other entries of caches
        began = time.perf_counter()
        hits = asked(retriever, work.queries)
        found["queries/s"] = len(hits) / (time.perf_counter() - began)
        found["memory over the corpus, MB"] = peak_mb() - before
    if work.gold and not part:
        found[f"recall@{K}"] = statistics.fmean(map(recall, hits, work.gold))
    return {"documents": float(len(documents)), "queries": float(len(hits)), **found}


def asked(retriever: Ranked, queries: Sequence[str]) -> list[list[str]]:
    """Ids of what each query finds, until the time is over."""
    until, found = time.perf_counter() + LONGEST, []
    for query in queries:
        found.append([hit.id for hit in hits_of(retriever, query, K)])
        if time.perf_counter() > until:
            break
    return found


def recall(found: Sequence[str], gold: Sequence[str]) -> float:
    return len(set(found) & set(gold)) / min(K, len(gold))


def measure(work: Workload, names: Sequence[str], repeats: int, embed: int) -> tuple[list[dict[str, Found]], Skipped]:
    """What each repeat found, by retriever, and why some are missing."""
    rounds: list[dict[str, Found]] = [{} for _ in range(repeats)]
    skipped: Skipped = {}
    for repeat, found in enumerate(rounds):
        for name in names:
            if name in skipped or (name == "dense" and repeat):
                continue
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                try:
                    found[name] = pool.submit(one, name, work, embed).result()
                except ReachlabError as error:
                    skipped[name] = str(error)
                except BrokenExecutor:
                    skipped[name] = "its process was killed, most often because the memory ran out"
    return rounds, skipped


def table(rounds: Sequence[dict[str, Found]]) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in rounds[0]:
        mine = [r for r in rounds if name in r]
        rows = {what: summary([r[name][what] for r in mine]) for what in mine[0][name]}
        for what in ("index, s", "queries/s"):
            ratios = [r[name][what] / r["bm25"][what] for r in mine if "bm25" in r]
            rows |= {f"{what} / bm25's": summary(ratios)} if ratios else {}
        found[name] = rows
    return found


def summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "repeats": len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--wordnet", type=Path)
    parser.add_argument("--retrievers", default="bm25,fts5,hybrid,http,dense")
    parser.add_argument("--embed", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = arguments.retrievers.split(",")
    if min(arguments.documents, arguments.repeats) < 1 or arguments.embed < 0:
        parser.error("--documents and --repeats from 1, --embed from 0")
    if unknown := set(names) - set(MAKERS):
        parser.error(f"no retriever {', '.join(sorted(unknown))}: {', '.join(MAKERS)}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.wordnet:
            work = wordnet(arguments.wordnet, Path(folder) / "wordnet.jsonl", 1000)
        else:
            work = made(Path(folder), 500_000 if arguments.large else arguments.documents, 300)
        rounds, skipped = measure(work, names, arguments.repeats, arguments.embed)
    if arguments.json:
        print(json.dumps({"found": table(rounds), "skipped": skipped}, indent=1))
        return
    for name, rows in table(rounds).items():
        for what, row in rows.items():
            spread = f"range {row['low']:.4g} to {row['high']:.4g}, n={row['repeats']:.0f}"
            print(f"{name:7} {what:28} median {row['median']:10.4g}   {spread}")
    for name, why in skipped.items():
        print(f"{name:7} skipped: {why}")


if __name__ == "__main__":
    main()
