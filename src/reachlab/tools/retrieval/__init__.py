"""Retrieval: rankings of documents behind one contract, from files to a ``search`` tool.

records     the contract: ``Retriever``, ``Ranked``, ``Document``, ``Hit``
words       what counts as a word, and when two are the same
bm25, fts5, dense, hybrid    retrievers: in memory, on disk, by embeddings, several fused
client, server, protocol     retrieval over HTTP, as Search-R1 has it
langchain   LangChain's retrievers as ours, and ours as LangChain's
corpus, formats, passages    corpora from JSONL, parquet and folders
cache, builders              indices made once, retrievers by name
tool        the ``search`` tool, for a ``Spec`` too
coverage    how often the answer is found, and is there to be found

Not covered: crawling, re-ranking, approximate search.
"""

from reachlab.tools.retrieval.bm25 import Bm25
from reachlab.tools.retrieval.builders import Source, build_retriever
from reachlab.tools.retrieval.client import HttpRetriever
from reachlab.tools.retrieval.corpus import Corpus, Counts, read_corpus, stream_corpus
from reachlab.tools.retrieval.coverage import Coverage, answer_ranks, answerable, coverage
from reachlab.tools.retrieval.dense import Dense
from reachlab.tools.retrieval.encoders import Encoder, load_encoder
from reachlab.tools.retrieval.fts5 import Fts5
from reachlab.tools.retrieval.hybrid import Hybrid, fuse
from reachlab.tools.retrieval.langchain import AsLangChain, FromLangChain
from reachlab.tools.retrieval.records import Document, Hit, Ranked, Retriever, hits_of
from reachlab.tools.retrieval.server import RetrievalServer, serve
from reachlab.tools.retrieval.tool import NO_RESULTS, corpus_search, search_documents, search_tool

__all__ = [
    "NO_RESULTS",
    "AsLangChain",
    "Bm25",
    "Corpus",
    "Counts",
    "Coverage",
    "Dense",
    "Document",
    "Encoder",
    "FromLangChain",
    "Fts5",
    "Hit",
    "HttpRetriever",
    "Hybrid",
    "Ranked",
    "RetrievalServer",
    "Retriever",
    "Source",
    "answer_ranks",
    "answerable",
    "build_retriever",
    "corpus_search",
    "coverage",
    "fuse",
    "hits_of",
    "load_encoder",
    "read_corpus",
    "search_documents",
    "search_tool",
    "serve",
    "stream_corpus",
]
