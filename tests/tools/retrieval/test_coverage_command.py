"""``reachlab coverage``: the ceiling, what a retriever reaches of it, and what is said about bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.stats import beta
from typer.testing import CliRunner, Result

from reachlab.cli import app


def jsonl(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Twenty codes in the corpus; of the questions every fifth asks for one that is not there."""
    corpus: list[dict[str, object]] = [{"text": f"the code of name{i} is Code-{i}."} for i in range(20)]
    corpus += [{"text": "name3 name3 is a name"}, {"text": "the unasked word is hidden"}]
    asked: list[dict[str, object]] = [
        {"question": f"code of name{i}?", "answer": f"code {i}" if i % 5 else "nowhere at all"} for i in range(20)
    ]
    asked += [{"question": "zebra?", "answer": ["absent", "hidden"]}]
    return [jsonl(tmp_path / "docs.jsonl", corpus), jsonl(tmp_path / "qa.jsonl", asked)]


def call(files: list[str], *more: str) -> Result:
    return CliRunner().invoke(app, ["coverage", *files, *more], env={"XDG_CACHE_HOME": str(Path(files[0]).parent)})


def test_the_ceiling_and_what_is_found_of_it(files: list[str]) -> None:
    done = call(files, "--json", "--k", "5, 1,1")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    limits = {"share": 17 / 21, "low": beta.ppf(0.025, 17, 5), "high": beta.ppf(0.975, 18, 4)}
    assert found["anywhere"] == {"found": 17, **{name: pytest.approx(value) for name, value in limits.items()}}
    assert [(row["k"], row["found"]) for row in found["within"]] == [(1, 15), (5, 16)]  # name3 comes second
    assert found["nowhere"] == ["1", "6", "11", "16"] and found["not_found"] == ["21"]
    assert found["schema"] == "reachlab.coverage/1" and found["counts"]["passages"] == 22


def test_what_is_printed_names_retriever_k_interval_and_questions(files: list[str]) -> None:
    said = call(files, "--retriever", "fts5", "--option", "tokenize=porter unicode61", "--k", "3").stdout
    for part in ("in the corpus at all", "17/21", "0.810", "[0.581, 0.946]", "among the first 3 by fts5", "16/21"):
        assert part in said
    assert "nowhere in the corpus: lines or rows 1, 6, 11, 16" in said and "not found: lines or rows 21" in said


def test_columns_can_be_named_and_reach_inside(files: list[str], tmp_path: Path) -> None:
    path = jsonl(tmp_path / "squad.jsonl", [{"q": "code of name1?", "answers": {"text": ["x", "code 1"]}}])
    found = json.loads(call([files[0], path], "--question", "q", "--answer", "answers.text", "--json").stdout)
    assert found["questions"] == found["anywhere"]["found"] == found["within"][0]["found"] == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [(("--k", "1,x"), "--k: got '1,x'"), (("--k", "0"), "--k: got '0'"), (("--k", ""), "--k: got ''"),
     (("--retriever", "bm52"), "Did you mean 'bm25'"), (("--retriever", "http"), "one that searches this corpus"),
     (("--question", "qestion"), "Did you mean 'question'"), (("--option", "word=["), "word: got '['")],
)  # fmt: skip
def test_bad_options_are_explained(files: list[str], more: tuple[str, ...], said: str) -> None:
    done = call(files, *more)
    assert done.exit_code == 2 and said in done.stderr


def test_bad_files_are_explained(files: list[str], tmp_path: Path) -> None:
    holes = jsonl(tmp_path / "holes.jsonl", [{"question": "q", "answer": "a"}, {"question": "q"}, {"answer": "a"}])
    for given, said in (([files[0], holes], "lines or rows 2, 3"), ([files[0], "nowhere.jsonl"], "nowhere.jsonl"),
                        (["nowhere.jsonl", files[1]], "nowhere.jsonl")):  # fmt: skip
        done = call(given)
        assert done.exit_code == 2 and said in done.stderr
