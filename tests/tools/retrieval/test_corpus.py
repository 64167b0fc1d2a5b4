"""Corpora from files: what is read, in which order, what is dropped, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from reachlab.errors import BadValue, UnknownName
from reachlab.tools.retrieval import Counts, Document, Source, read_corpus, stream_corpus
from reachlab.tools.retrieval.passages import split


def jsonl(path: Path, *rows: Mapping[str, Any] | str | bytes) -> Path:
    lines = [r if isinstance(r, bytes) else (r if isinstance(r, str) else json.dumps(r)).encode() for r in rows]
    path.write_bytes(b"\n".join(lines))
    return path


ROWS = ({"id": "a", "text": "one"}, {"id": 7, "contents": "two", "title": "T"}, {"text": "three", "title": None})
READ = (Document("a", "one"), Document("7", "T\ntwo"), Document("2", "three"))


def test_jsonl_is_read_in_order_with_ids_and_titles(tmp_path: Path) -> None:
    assert read_corpus(jsonl(tmp_path / "c.jsonl", *ROWS)).documents == READ


def test_gzip_and_parquet_say_the_same(tmp_path: Path) -> None:
    plain = jsonl(tmp_path / "c.jsonl", *ROWS)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    fields = ("text", "contents", "title")
    rows = [{"id": str(r["id"]) if "id" in r else None, **{name: r.get(name) for name in fields}} for r in ROWS]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    expected = read_corpus(plain)
    for name in ("c.jsonl.gz", "c.parquet"):
        corpus = read_corpus(tmp_path / name)
        assert (corpus.documents, corpus.digest) == (expected.documents, expected.digest)


def test_a_folder_is_read_by_path(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    files = {"b/2.txt": "two", "a.md": "one", ".hidden.txt": "no", "c.bin": "no", "z.txt": "\ufeffthree"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    expected = (Document("a.md", "one"), Document("b/2.txt", "two"), Document("z.txt", "three"))
    assert read_corpus(tmp_path).documents == expected


def test_names_of_fields_can_be_given(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", {"key": "k", "body": "words", "head": "H", "text": "not this", "id": "not"})
    assert read_corpus(path, text="body", id="key", title="head").documents == (Document("k", "H\nwords"),)


def test_what_is_dropped_is_counted_and_the_first_is_named(tmp_path: Path) -> None:
    rows: list[Mapping[str, Any] | str | bytes] = [
        {"id": "a", "text": "good"}, {"id": "b", "text": " GOOD"}, {"id": "c", "text": "good "},
        {"id": "d", "text": ""}, {"id": "e", "text": "!?"}, {"id": "a", "text": "other"}, "{broken",
        b'{"text": "\xff"}', "[1]", {"txt": "x"},
        {"id": "f", "text": 5}, "", {"id": "g", "text": "last"}, "[" * 100_000,
    ]  # fmt: skip
    corpus = read_corpus(jsonl(tmp_path / "c.jsonl", *rows))
    assert [d.id for d in corpus.documents] == ["a", "b", "g"]
    counts = corpus.counts
    assert (counts.records, counts.empty, counts.repeated, counts.repeated_ids, counts.unreadable) == (13, 2, 1, 1, 6)
    assert (counts.dropped, counts.passages, counts.split) == (10, 3, 0)
    assert {k: v for k, v in counts.first.items() if k != "unreadable"} == {
        "repeated": "c", "empty": "d", "repeated_ids": "a"}  # fmt: skip
    assert "line 7: not JSON" in str(counts) and "1 repeated ids (first: a)" in str(counts)


def test_a_megabyte_is_split_without_losing_a_word(tmp_path: Path) -> None:
    text = " ".join(f"word{i}" for i in range(120_000))
    assert len(text) > 2**20
    corpus = read_corpus(jsonl(tmp_path / "c.jsonl", {"id": "big", "title": "T", "text": text}, {"text": "small"}))
    *parts, small = corpus.documents
    assert (corpus.counts.split, corpus.counts.passages) == (1, len(corpus.documents))
    assert [d.id for d in parts] == [f"big#{i}" for i in range(len(parts))] and small == Document("1", "small")
    bodies = [d.text.removeprefix("T\n") for d in parts]
    assert max(map(len, bodies)) <= 1200 and " ".join(bodies) == text


def test_ids_of_passages_do_not_meet_ids_of_documents(tmp_path: Path) -> None:
    rows = [{"id": "a#0", "text": "first"}, {"id": "a", "text": "long " * 400}, {"id": "a#b", "text": "third"}]
    corpus = read_corpus(jsonl(tmp_path / "c.jsonl", *rows))
    assert [d.id for d in corpus.documents] == ["a#0", "a#b"] and corpus.counts.repeated_ids == 1


def test_text_without_spaces_is_cut_within_words() -> None:
    assert split("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
    assert split("ab cd  efgh ij", 5) == ["ab cd", "efgh", "ij"]
    assert split("abc", 3) == ["abc"] and split("", 3) == []


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": ""}', "nothing\nhere", '{"other": "x"}'])
def test_a_corpus_without_a_usable_document_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(content)
    with pytest.raises(BadValue, match="at least one document with a word"):
        read_corpus(path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="0 passages of 0 records"):
        read_corpus(tmp_path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "wiki.jsonl").write_text('{"text": "x"}')
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    (tmp_path / "bad.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n' * 99)[:-9])
    (tmp_path / "x.csv").write_text("text")
    parquet_and_gzip = {"bad.parquet": "a parquet file", "bad.jsonl.gz": "gzip"}
    for name, said in {"wikis.jsonl": "as 'wiki.jsonl'", "x.csv": ".jsonl", **parquet_and_gzip}.items():
        with pytest.raises(BadValue, match=said):
            read_corpus(tmp_path / name)


def test_a_column_that_is_not_there_names_its_nearest(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"texts": ["x"]}), tmp_path / "c.parquet")
    with pytest.raises(UnknownName, match="Did you mean 'texts'"):
        read_corpus(tmp_path / "c.parquet", text="text")


def test_longest_is_checked_and_streaming_holds_nothing_back(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", *({"text": f"word {i}"} for i in range(3)))
    with pytest.raises(BadValue, match="longest"):
        read_corpus(path, longest=0)
    counts = Counts()
    stream = stream_corpus(path, counts)
    assert next(stream) == Document("0", "word 0") and counts.records == 1


@pytest.mark.parametrize("place", [20, -200])  # what zlib sees, and what only the sum at the end shows
def test_a_damaged_gzip_file_is_named(tmp_path: Path, place: int) -> None:
    packed = bytearray(gzip.compress(b"".join(b'{"text": "x%d"}\n' % (i * i) for i in range(5000))))
    packed[place] ^= 0xFF
    (tmp_path / "bad.jsonl.gz").write_bytes(packed)
    with pytest.raises(BadValue, match="gzip"):
        read_corpus(tmp_path / "bad.jsonl.gz")


def test_a_parquet_file_cut_or_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    parquet.write_table(pyarrow.table({"text": [f"text {i}" for i in range(5000)]}), path, use_dictionary=False)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[100:200] = b"\xff" * 100
    for content in (whole[:-500], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(BadValue, match="a parquet file"):
            read_corpus(path)


def test_a_parquet_row_that_is_no_utf8_is_dropped_alone(tmp_path: Path) -> None:
    kinds = pyarrow.array([b"one", b"\xff\xfe", b"three"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": kinds, "id": ["a", "b", "c"]}), tmp_path / "c.parquet")
    corpus = read_corpus(tmp_path / "c.parquet")
    assert [d.id for d in corpus.documents] == ["a", "c"] and corpus.counts.unreadable == 1
    assert "row 1" in corpus.counts.first["unreadable"]


def test_a_title_is_never_lost_and_never_multiplied(tmp_path: Path) -> None:
    words = " ".join(f"word{i}" for i in range(2000))
    short, long, wordless = ("Only a title", ""), (words, "the body " * 300), ("?", "")
    rows = [{"title": title, "text": text} for title, text in (short, long, wordless)]
    corpus = read_corpus(jsonl(tmp_path / "c.jsonl", *rows))
    first, *parts = corpus.documents
    assert first == Document("0", "Only a title") and corpus.counts.empty == 1
    assert max(len(d.text) for d in parts) <= 1200 and sum(d.text.count("word1999") for d in parts) == 1


def test_what_is_lost_is_said_when_nobody_asks_for_the_counts(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", {"id": "a", "text": "one"}, {"id": "a", "text": "another"}, "{broken")
    with pytest.warns(UserWarning, match="1 repeated ids .first: a., 1 unreadable"):
        assert len(Source(str(path)).corpus.documents) == 1
    whole = jsonl(tmp_path / "w.jsonl", {"text": "one"}, {"text": "one"}, {"text": ""})
    assert len(Source(str(whole)).corpus.documents) == 1  # repeated and empty: nothing is lost, nothing is said
