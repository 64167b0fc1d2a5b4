"""SQLite FTS5: adding, other processes, and what a file cannot be."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval import Document, Fts5
from reachlab.tools.retrieval.fts5 import MOST_WORDS, match_expression


def test_what_is_added_is_found_at_once_and_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "i.sqlite"
    index = Fts5(path)
    assert index.retrieve("fox", 1) == [] and len(index) == 0
    assert index.add(["a fox", "a bear"]) == 2 and index.retrieve("fox", 1) == ["a fox"]
    assert index.add([Document("x", "a newt")]) == 1 and index.retrieve("newt", 1) == ["a newt"]
    code = f"from reachlab.tools.retrieval import Fts5; print(Fts5({str(path)!r}).retrieve('newt', 1))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "['a newt']\n"
    index.close()


def test_adding_again_changes_nothing_and_another_text_is_refused_whole(tmp_path: Path) -> None:
    index = Fts5(tmp_path / "i.sqlite")
    documents = [Document("a", "one fox"), Document("b", "two")]
    assert index.add(documents) == 2 and index.add([*documents, Document("c", "three")]) == 1
    with pytest.raises(BadValue, match="id of a document: got 'a'"):
        index.add([Document("d", "four"), Document("a", "another")])
    assert len(index) == 3 and index.retrieve("four", 1) == [] and index.retrieve("fox", 2) == ["one fox"]
    index.close()


def test_readers_go_on_while_a_writer_writes(tmp_path: Path) -> None:
    index = Fts5(tmp_path / "i.sqlite")
    index.add(["a fox"])
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                assert index.retrieve("fox", 1) == ["a fox"]
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for thread in readers:
        thread.start()
    for start in range(0, 5000, 1000):
        index.add(Document(f"n{i}", f"number {i} of many") for i in range(start, start + 1000))
    done.set()
    for thread in readers:
        thread.join()
    assert failures == [] and len(index) == 5001
    index.close()


def write(arguments: tuple[str, int]) -> int:
    path, number = arguments
    index = Fts5(path)
    added = sum(index.add([Document(f"{number}-{i}", f"writer {number} text {i}")]) for i in range(20))
    index.close()
    return added


@pytest.mark.smoke
def test_processes_that_write_at_once_wait_for_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "i.sqlite")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(write, [(path, number) for number in range(8)], chunksize=1) == [20] * 8
    index = Fts5(path)
    assert len(index) == 160 and index.retrieve("3 19", 1) == ["writer 3 text 19"]
    index.close()


def test_a_stream_that_breaks_adds_nothing(tmp_path: Path) -> None:
    index = Fts5(tmp_path / "i.sqlite")
    with pytest.raises(ZeroDivisionError):
        index.add(str(1 // (1500 - i)) for i in range(3000))
    assert len(index) == 0 and index.add(["fine"]) == 1
    index.close()


def test_a_query_is_words_only() -> None:
    assert match_expression('NEAR(fox, "bear") OR *') == '"near" OR "fox" OR "bear" OR "or"'
    assert match_expression("") == match_expression("?!\"'") == ""
    assert match_expression(" ".join(map(str, range(9999)))).count(" OR ") == MOST_WORDS - 1


def test_the_tokenizer_can_be_chosen(tmp_path: Path) -> None:
    stemmed = Fts5(tmp_path / "s.sqlite", tokenize="porter unicode61")
    stemmed.add(["foxes were running"])
    assert stemmed.retrieve("fox run", 1) == ["foxes were running"]
    stemmed.close()
    with pytest.raises(BadValue, match="was made with: 'porter unicode61'"):
        Fts5(tmp_path / "s.sqlite")
    for wrong in ("klingon", "unicode61 '", "'); DROP TABLE documents; --"):
        with pytest.raises(BadValue, match="tokenize: got"):
            Fts5(tmp_path / "w.sqlite", tokenize=wrong)


def test_files_that_are_no_index_are_faults(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    with pytest.raises(ToolFault, match="not a database"):
        Fts5(tmp_path / "junk")
    with pytest.raises(ToolFault, match="unable to open"):
        Fts5(tmp_path / "none" / "i.sqlite")
    sqlite3.connect(tmp_path / "empty.sqlite").close()
    with pytest.raises(ToolFault, match="no such table"):
        Fts5(tmp_path / "empty.sqlite", frozen=True).retrieve("fox", 1)


def test_a_frozen_index_is_one_file_and_takes_nothing(tmp_path: Path) -> None:
    index = Fts5(tmp_path / "i.sqlite")
    index.add(["a fox"])
    index.freeze()
    assert [p.name for p in tmp_path.iterdir()] == ["i.sqlite"]
    frozen = Fts5(tmp_path / "i.sqlite", frozen=True)
    with pytest.raises(BadValue, match="frozen"):
        frozen.add(["a bear"])
    assert frozen.retrieve("fox", 1) == ["a fox"] and [p.name for p in tmp_path.iterdir()] == ["i.sqlite"]
    frozen.close()


def test_ids_that_utf8_cannot_hold_and_a_k_that_sqlite_cannot_are_no_trouble(tmp_path: Path) -> None:
    index = Fts5(tmp_path / "i.sqlite")
    assert index.add([Document("\ud800", "a fox"), Document("\ud801", "a newt")]) == 2
    assert [hit.text for hit in index.hits("fox", 10**30)] == ["a fox"]
    index.close()


def test_text_is_found_in_whatever_form_its_letters_are_written(tmp_path: Path) -> None:
    index = Fts5(tmp_path / "i.sqlite")
    index.add(["Zu\u0308rich", "Straße"])
    assert index.retrieve("Zürich", 1) == index.retrieve("Zu\u0308rich", 1) == ["Zu\u0308rich"]
    assert index.retrieve("STRASSE", 1) == ["Straße"]
    index.close()
