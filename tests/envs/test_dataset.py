"""Questions from files: what is read, refused, split, searched, and what the shuffled world may not show."""

import csv
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from gymnasium.utils.env_checker import check_env
from langchain_core.tools import StructuredTool

from reachlab import Message, Task, World
from reachlab.envs import Interaction, ReachEnv
from reachlab.envs.dataset import Dataset
from reachlab.errors import BadValue, ReachlabError, UnknownName
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.registry import Spec
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes

from .conftest import Saying

TOWNS = [f"{a}{b}" for a in ("bal", "dor", "kel", "mur", "nas", "pol") for b in ("ton", "wick", "ford", "by", "ham")]
ROWS = [
    {
        "question": f"What is the river of {town}?",
        "answer": f"the {town[::-1]}",
        "text": f"{town} lies on {town[::-1]}.",
    }
    for town in TOWNS
]
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows as JSON lines and returns the path."""

    def file(rows: Sequence[Any] = ROWS, name: str = "qa.jsonl") -> str:
        text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return file


def family(path: str, **options: Any) -> Dataset:
    columns = options.pop("columns", {"documents": "text"})
    return Dataset(path, columns, **{"test_share": 0.5, "top_k": 1, **options})


def everything(made: Dataset) -> dict[str, set[str]]:
    splits: tuple[Any, ...] = ("train", "test")
    return {s: {made.task(s, n).messages[0].content for n in range(made.size(s))} for s in splits}


def reads(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Searches if it may, then says the last word that it read."""
    if messages[-1].role == "tool":
        return messages[-1].content.split()[-1] if messages[-1].content else "no"
    return Hermes().render("search", {"query": messages[-1].content})


def success(made: Dataset, world: World) -> float:
    tasks = [made.task("test", seed) for seed in range(made.size("test"))]
    policy = ScriptedPolicy("reader", reads if world.offers_tools else (lambda messages, rng: words(messages)))
    episodes = rollout(policy, made, tasks, world, list(range(len(tasks))), imaginer=Saying("It lies on Thames."))
    assert not any(e.stop.is_fault for e in episodes)
    return float(np.mean([e.reward for e in episodes]))


def words(messages: Sequence[Message]) -> str:
    return messages[-1].content.partition("\n")[0].split()[-1]


def test_searching_pays_and_no_world_without_information_does(write: Write) -> None:
    made = family(write())
    assert success(made, World.LIVE) == 1.0 and success(made, World.ORACLE) == 1.0
    for world in (World.CLOSED, World.SILENT, World.IMAGINED, World.SHUFFLED):
        assert success(made, world) == 0.0, world


def test_the_scripted_solution_searches_with_the_question_and_earns_the_reward(write: Write) -> None:
    made = family(write())
    task = made.task("test", 2)
    episode = Interaction(made, task, World.LIVE)
    (result,) = episode.step(made.solution(task, [])).results
    assert result.text == task.evidence
    assert episode.step(made.solution(task, [result.text])).reward == 1.0


def test_shuffled_answers_about_the_donor_whatever_is_asked(write: Write) -> None:
    made = family(write())
    task = made.task("test", 1)
    donor = made.donor(task)
    episode = Interaction(made, task, World.SHUFFLED)
    (result,) = episode.step(Hermes().render("search", {"query": task.evidence})).results
    assert result.text == donor.evidence != task.evidence
    assert donor.id.endswith("~donor") and donor.split == task.split and made.donor(task) == donor


def test_a_donor_shares_no_document_and_shows_none_of_the_tasks(write: Write) -> None:
    rows = [{**row, "text": f"Page {n // 3} of the atlas."} for n, row in enumerate(ROWS)]
    made = family(write(rows))
    for seed in range(made.size("test")):
        task = made.task("test", seed)
        assert made.donor(task).evidence != task.evidence
    only = family(write([{**row, "text": "One page."} for row in ROWS], "one.jsonl"))
    task = only.task("test", 0)
    assert only.donor(task).messages != task.messages  # nothing else is left to choose


def test_donors_are_drawn_without_regard_to_answers(write: Write) -> None:
    rows = [{**row, "answer": ("yes", "no")[n % 2]} for n, row in enumerate(ROWS)]
    made = family(write(rows), test_share=0.8)
    tasks = [made.task("test", seed) for seed in range(made.size("test"))]
    same = np.mean([made.donor(t).answers == t.answers for t in tasks])
    assert 0.2 < same < 0.8  # never 0: a donor that always differs gives a yes-no answer away


def test_a_donor_is_of_the_same_stratum(write: Write) -> None:
    rows = [{**row, "level": ("easy", "hard")[n % 2], "hops": n % 2 + 1} for n, row in enumerate(ROWS)]
    made = family(write(rows), columns={"documents": "text", "stratum": "level"})
    strata = {made.task("test", s).stratum for s in range(made.size("test"))}
    assert strata == {"level easy=0", "level hard=1"}
    for seed in range(made.size("test")):
        assert made.donor(made.task("test", seed)).stratum == made.task("test", seed).stratum
    numbered = family(write(rows), columns={"documents": "text", "stratum": "hops"})
    assert {numbered.task("test", s).stratum for s in range(numbered.size("test"))} == {"hops=1", "hops=2"}


def test_splits_are_disjoint_and_rows_keep_theirs_when_the_file_changes(write: Write) -> None:
    first, grown = family(write()), family(write([*ROWS[::-1], {"question": "New?", "answer": "1"}], "more.jsonl"))
    before, after = everything(first), everything(grown)
    assert len(before["train"]) + len(before["test"]) == len(ROWS) and not before["train"] & before["test"]
    assert before["train"] <= after["train"] and before["test"] <= after["test"]
    assert everything(family(write(), salt=1)) != before
    assert first.version != grown.version


def test_rows_of_one_group_share_a_split(write: Write) -> None:
    made = family(
        write([{**row, "page": n // 3} for n, row in enumerate(ROWS)]), columns={"group": "page", "documents": "text"}
    )
    pages = {q.split("of ")[1].split("?")[0]: s for s, qs in everything(made).items() for q in qs}
    for n in range(0, len(TOWNS), 3):
        assert len({pages[town] for town in TOWNS[n : n + 3]}) == 1


def test_a_given_split_is_kept_and_other_splits_are_left_out(write: Write) -> None:
    rows = [{**row, "part": ("train", "dev", "spare")[n % 3]} for n, row in enumerate(ROWS)]
    columns = {"documents": "text", "split": "part"}
    made = family(write(rows), columns=columns, split_names={"train": "train", "test": "dev"})
    assert (made.size("train"), made.size("test")) == (10, 10)
    assert made.report.kept == 20 and len(made.report.problems["of another split"]) == 10
    with pytest.raises(BadValue, match="holds dev, spare, train"):
        family(write(rows), columns=columns)


def test_a_test_question_is_asked_once_and_training_goes_round(write: Write) -> None:
    made = family(write())
    size = made.size("test")
    with pytest.raises(BadValue, match=f"below {size}"):
        made.task("test", size)
    assert made.task("train", 0).messages == made.task("train", made.size("train")).messages
    block = [made.task("test", 1_000_000 + n).messages for n in range(size)]  # another study's seeds
    assert set(block) == {made.task("test", n).messages for n in range(size)}
    assert block != [made.task("test", n).messages for n in range(size)]


def test_bad_rows_are_refused_by_number_or_left_out_and_logged(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    bad = [
        {"question": "", "answer": "x"},
        {"question": "Who?", "answer": []},
        {"question": "Where?", "answer": "the"},
        {"answer": "x"},
        ROWS[0],
        {**ROWS[1], "answer": "elsewhere"},
    ]
    path = write([*ROWS, *bad])
    with pytest.raises(BadValue) as raised:
        family(path)
    for part in (
        "2 without a question (rows 31, 34)",
        "1 without an answer (row 32)",
        "1 for which Normalised accepts the empty text (row 33)",
        "1 that repeat a question (row 35)",
        "1 that repeat a question with other answers (row 36)",
    ):
        assert part in str(raised.value)
    with caplog.at_level(logging.WARNING, "reachlab"):
        made = family(path, bad="drop")
    assert made.report.kept == len(ROWS) and "30 of 36 rows kept" in caplog.text


def test_questions_that_differ_in_a_sign_are_different_and_in_capitals_or_blanks_are_not(write: Write) -> None:
    sums = [{"question": f"What is {n} {sign} 2?", "answer": f"{n}{sign}2"} for n in range(20) for sign in "+-*/"]
    assert family(write(sums), columns={}, verifier="exact", affordances=["python"]).report.kept == 80
    for again in ("WHAT IS 3 + 2", "what  is 3 +\u00a02 ?"):
        with pytest.raises(BadValue, match="repeat a question with other answers"):
            family(write([*sums, {"question": again, "answer": "5"}]), columns={}, affordances=["python"])


def test_a_question_may_not_stand_in_both_splits(write: Write) -> None:
    rows = [{**row, "part": ("train", "test")[n % 2]} for n, row in enumerate(ROWS)]
    rows.append({**rows[0], "part": "test"})
    with pytest.raises(BadValue, match=r"in the other split \(row 31\)"):
        family(write(rows), columns={"documents": "text", "split": "part"})


def test_numbers_without_documents_come_with_a_tool_by_name(write: Write) -> None:
    rows = [{"question": f"What is {n} times {n}?", "answer": n * n} for n in range(40)]
    made = family(write(rows), columns={}, verifier="numeric", affordances=["python"])
    task = made.task("test", 0)
    assert task.verify(f"So it is {task.answers[0]}.0") == 1.0 and not task.verifier.exact
    assert made.solution(task, []) == Hermes().render("python", {"code": f"print({task.answers[0]!r})"})
    with pytest.raises(BadValue, match="no document to search"):
        family(write(rows), columns={})
    with pytest.raises(BadValue, match="own answer Numeric does not accept"):
        family(write([*rows, {"question": "Why?", "answer": "because"}]), columns={}, verifier="numeric")


@pytest.mark.parametrize(("kind", "exact"), [("exact", True), ("normalised", False), ("token-f1", False)])
def test_verifiers_are_chosen_by_name(write: Write, kind: str, exact: bool) -> None:
    task = family(write(), verifier=kind).task("test", 0)
    assert task.verifier.exact is exact and task.verify(task.answers[0]) == 1.0


def test_several_answers_and_nested_columns(write: Write) -> None:
    rows = [{"q": r["question"], "answers": {"text": [r["answer"], "water"], "answer_start": [0, 1]}} for r in ROWS]
    columns = {"question": "q", "answer": "answers.text"}
    for answer in ("answers.text", "answers"):
        made = family(write(rows), columns={**columns, "answer": answer}, affordances=["python"])
        assert made.task("test", 0).answers[1] == "water" and made.task("test", 0).verify("Water!") == 1.0


def test_coverage_says_what_the_documents_hold_and_what_a_search_finds(write: Write) -> None:
    half = [{**row, "text": row["text"] if n % 2 else "Nothing here."} for n, row in enumerate(ROWS)]
    made = family(write(half), test_share=0.8)
    found = made.coverage("test")
    assert 0.3 < found.results <= found.corpus < 0.7 and found.questions == made.size("test")
    assert made.optimum(made.task("test", 0)) == 1.0  # a policy may know what no document says


def test_a_corpus_of_its_own_and_options_of_the_search(write: Write) -> None:
    corpus = write([{"passage": row["text"]} for row in ROWS], "corpus.jsonl")
    plain = [{"question": row["question"], "answer": row["answer"]} for row in ROWS]
    options = {"corpus": corpus, "columns": {"corpus": "passage"}}
    made = family(write(plain), affordances=[{"name": "search", "options": {"k": 2, "word": "[a-z]"}}], **options)
    assert made.coverage("test").corpus == 1.0
    episode = Interaction(made, made.task("test", 0), World.LIVE)
    assert len(episode.step(made.solution(made.task("test", 0), [])).results[0].text.splitlines()) == 2
    with pytest.raises(UnknownName, match="Did you mean 'passage'"):
        family(write(plain), corpus=corpus, columns={"corpus": "pasage"})


def saved(folder: Path, rows: Sequence[Any], *, stream: bool = True) -> None:
    """What ``Dataset.save_to_disk`` writes, in two files."""
    folder.mkdir(parents=True)
    names = []
    for part in (0, 1):
        table = arrow.Table.from_pylist(list(rows[part::2]))
        names.append(f"data-0000{part}-of-00002.arrow")
        new = arrow.ipc.new_stream if stream else arrow.ipc.new_file
        with new(str(folder / names[-1]), table.schema) as sink:
            sink.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))


def test_every_format_gives_the_same_questions(write: Write, tmp_path: Path) -> None:
    wanted = everything(family(write()))
    parquet.write_table(arrow.Table.from_pylist(ROWS), tmp_path / "qa.parquet")
    saved(tmp_path / "stream", ROWS)
    saved(tmp_path / "file", ROWS, stream=False)
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        with (tmp_path / f"qa{suffix}").open("w", newline="", encoding="utf-8-sig") as file:  # as spreadsheets write it
            sheet = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter)
            sheet.writeheader()
            sheet.writerows(ROWS)
    for name in ("qa.parquet", "qa.csv", "qa.tsv", "stream", "file"):
        assert everything(family(str(tmp_path / name))) == wanted
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    saved(tmp_path / "both" / "train", ROWS[:20])
    saved(tmp_path / "both" / "test", ROWS[20:])
    made = family(str(tmp_path / "both"))
    assert (made.size("train"), made.size("test")) == (20, 10)


@pytest.mark.parametrize("world", list(World))
def test_gymnasium_accepts_every_world(write: Write, world: World) -> None:
    check_env(gymnasium.make("reachlab/Lexicon-v0", family=family(write()), world=world.value).unwrapped)


def test_it_is_built_from_plain_data_and_restored_from_a_snapshot(write: Write) -> None:
    spec = Spec(f"{Dataset.__module__}:Dataset", {"path": write(), "columns": {"documents": "text"}, "test_share": 0.5})
    for world in (World.LIVE, World.SHUFFLED):
        env, again = ReachEnv(spec, world), ReachEnv(spec, world)
        env.reset(seed=3)
        observation = env.step(env.family.solution(env.episode.task, []))[0]
        assert observation and again.restore(json.loads(json.dumps(env.snapshot())))[0] == observation


def test_the_guesser_draws_from_training_answers(write: Write) -> None:
    made = family(write())
    train = {made.task("train", n).answers[0] for n in range(made.size("train"))}
    rng = np.random.default_rng(0)
    assert {made.guess(made.task("test", 0), rng) for _ in range(200)} == train


def test_a_changed_file_is_read_again(write: Write) -> None:
    before = family(write())
    assert family(write(ROWS[:20])).version != before.version


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        (ROWS, {"columns": {"answer": "anwser"}}, "Did you mean 'answer'"),
        (ROWS, {"columns": {"documents": "txt"}}, "unknown documents column 'txt'. Did you mean 'text'"),
        (ROWS, {"columns": {"documnets": "text"}}, "Did you mean 'documents'"),
        (ROWS, {"columns": {"documents": 3}}, "the name of a column"),
        (ROWS, {"verifier": "normalized"}, "Did you mean 'normalised'"),
        (ROWS, {"affordances": ["serach"]}, "Did you mean 'search'"),
        (ROWS, {"affordances": [7]}, "a name of the registry"),
        (ROWS, {"script": {"name": "find", "arguments": {}}}, "unknown tool of the script 'find'"),
        (ROWS, {"script": {"name": "search"}}, "arguments"),
        (ROWS, {"script": {"name": "search", "arguments": {"query": "{quesiton}"}}}, "Did you mean 'question'"),
        (ROWS, {"script": {"name": "search", "arguments": {"query": 7}}}, '"arguments":{"query":"{question}"}'),
        (ROWS, {"script": {"name": "search", "arguments": {"query": "x", "qurey": "y"}}}, "Did you mean 'query'"),
        (ROWS, {"script": {"name": "search", "arguments": {}}}, "query: Field required"),
        (ROWS, {"test_share": 1.0}, "between 0 and 1"),
        (ROWS, {"top_k": 0}, "top_k: got 0"),
        (ROWS, {"bad": "ignore"}, "'refuse' or 'drop'"),
        (ROWS, {"split_names": {"test": "dev"}}, "split_names"),
        (ROWS[:1], {}, ">= 2"),
        (ROWS[:3], {"test_share": 0.01}, "test_share=0.01"),
        (["{", "x"], {}, "line 1 of qa.jsonl"),
        (["[1]"], {}, "a JSON object"),
        ([], {}, "at least one row"),
    ],
)
def test_bad_input_says_what_is_allowed(write: Write, rows: Sequence[Any], options: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError) as raised:
        family(write(rows), **options)
    assert isinstance(raised.value, BadValue | UnknownName) and says in str(raised.value)


def test_files_that_cannot_be_read_are_named(write: Write, tmp_path: Path) -> None:
    write()
    with pytest.raises(UnknownName, match="Did you mean 'qa.jsonl'"):
        family(str(tmp_path / "qa.json"))
    (tmp_path / "qa.txt").write_text("question,answer\n")
    (tmp_path / "latin.csv").write_bytes(b"question,answer\ncaf\xe9,x\n")
    (tmp_path / "quotes.csv").write_text('question,answer\n"open,x\n')
    (tmp_path / "broken.parquet").write_text("no parquet")
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}\n')
    for name in ("qa.txt", "broken.parquet", "empty", "latin.jsonl", "latin.csv", "quotes.csv"):
        with pytest.raises(BadValue, match=".tsv or .parquet"):
            family(str(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a header and at least one row"),
        ("question,answer\n", "at least one row"),
        ("question,question\na,b\n", "all different"),
        ("question,answer\na,b\nc\n", "row 2 of qa.csv: got '1 cells', allowed: 2"),
        ("question,answer\na,b,c\n", "row 1 of qa.csv"),
        ("question;answer\na;b\n", "separated by ';'"),
        ("question,anwser\na,b\n", "Did you mean 'anwser'"),
    ],
)
def test_a_table_that_is_not_one_is_named_by_its_row(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "qa.csv").write_text(text)
    with pytest.raises(ReachlabError, match=says):
        Dataset(str(tmp_path / "qa.csv"), affordances=["python"])


def test_cells_are_texts_whatever_they_look_like_and_as_long_as_they_are(tmp_path: Path) -> None:
    with (tmp_path / "qa.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["question", "answer", "text"], *([f"Code {n},\nplease?", f"00{n}", "x" * 200_000] for n in range(30))]
        )
    made = family(str(tmp_path / "qa.csv"), verifier="exact")
    assert all(made.task("test", n).answers[0].startswith("00") for n in range(made.size("test")))


def test_answers_of_mixed_types_are_read_as_texts(write: Write, tmp_path: Path) -> None:
    kinds: list[Any] = ["text", 7, 7.0, 2.5, True, ["c", 1], {"text": ["b"]}]
    rows = [{"question": f"Which is {n}?", "answer": kinds[n % len(kinds)]} for n in range(70)]
    made = family(write(rows), columns={}, affordances=["python"])
    found = {made.task("test", n).answers for n in range(made.size("test"))}
    assert found == {("text",), ("7",), ("2.5",), ("True",), ("c", "1"), ("b",)}
    unusable = [b"bytes", None]
    parquet.write_table(
        arrow.table({"question": ["Who?", "Where?"], "answer": arrow.array(unusable, arrow.binary())}),
        tmp_path / "bytes.parquet",
    )
    with pytest.raises(BadValue, match="2 without an answer"):
        family(str(tmp_path / "bytes.parquet"), columns={}, affordances=["python"])


def test_tasks_are_equal_when_asked_for_again(write: Write) -> None:
    made, again = family(write()), family(write())
    tasks: list[Task] = [made.task("test", n) for n in range(5)]
    assert tasks == [again.task("test", n) for n in range(5)]


def two(first: str, second: str) -> str:
    """Take two texts."""
    return first + second


TWO = StructuredTool.from_function(two)


def test_a_tool_of_two_arguments_needs_a_script(write: Write) -> None:
    affordances = [f"{__name__}:TWO"]
    with pytest.raises(BadValue, match="script"):
        family(write(), affordances=affordances)
    arguments = {"first": "{question}", "second": "{answer} {{braces}}"}
    made = family(write(), affordances=affordances, script={"name": "two", "arguments": arguments})
    task = made.task("test", 0)
    asked, gold = task.messages[0].content.partition("\n")[0], task.answers[0]
    call = Hermes().render("two", {"first": asked, "second": f"{gold} {{braces}}"})
    assert made.solution(task, []) == call
    (result,) = Interaction(made, task, World.SHUFFLED).step(call).results
    assert result.text.startswith(made.donor(task).messages[0].content.partition("\n")[0])


def test_a_script_that_is_missing_is_shown_as_it_can_be_pasted(write: Write) -> None:
    with pytest.raises(BadValue) as raised:
        family(write(), affordances=[f"{__name__}:TWO"])
    pasted = str(raised.value).partition("--dial 'script=")[2].partition("'")[0]
    assert json.loads(pasted) == {"name": "two", "arguments": {"first": "{question}", "second": "{question}"}}
    family(write(), affordances=[f"{__name__}:TWO"], script=json.loads(pasted))


def populace(country: str, year: int) -> str:
    """People of a country."""
    return f"{country} had {year} people" if country in TOWNS else "unknown"


POPULACE = StructuredTool.from_function(populace)


def test_a_script_takes_columns_of_its_row_and_numbers_stay_numbers(write: Write) -> None:
    rows = [{**row, "where": {"land": town}, "year": n} for n, (row, town) in enumerate(zip(ROWS, TOWNS, strict=True))]
    script = {"name": "populace", "arguments": {"country": "{where.land}", "year": "{year}"}}
    options: dict[str, Any] = {"affordances": [f"{__name__}:POPULACE"], "script": script}
    made = family(write(rows), **options)
    told = set()
    for seed in range(made.size("test")):
        task = made.task("test", seed)
        episode = Interaction(made, task, World.LIVE)
        call = made.solution(task, [])
        (result,) = episode.step(call).results
        (parsed,) = Hermes().parse(call)
        assert parsed.arguments["country"] in task.messages[0].content and isinstance(parsed.arguments["year"], int)
        told.add(result.text)
    assert len(told) == made.size("test")
    with pytest.raises(BadValue, match=r"1 without a plain 'year', which the script needs \(row 31\)"):
        family(write([*rows, {**rows[0], "question": "New?", "year": None}]), **options)
    with pytest.raises(UnknownName, match="Did you mean 'year'"):
        family(write(rows), **{**options, "script": {**script, "arguments": {"country": "{yaer}", "year": 1}}})


def test_braces_of_code_stay(write: Write) -> None:
    script = {"name": "python", "arguments": {"code": "print({1, 2}, {'a': '{answer}'}, f'{{x}}')"}}
    made = family(write(), affordances=["python"], script=script)
    task = made.task("test", 0)
    (call,) = Hermes().parse(made.solution(task, []))
    assert call.arguments["code"] == f"print({{1, 2}}, {{'a': '{task.answers[0]}'}}, f'{{x}}')"


@pytest.mark.parametrize("given", [TWO, two])
def test_a_tool_itself_is_refused_and_told_to_be_named(write: Write, given: object) -> None:
    with pytest.raises(BadValue, match="got 'two', allowed: plain data: name the tool, \"module:attribute\""):
        family(write(), affordances=[given])


def test_a_relative_path_that_is_not_there_says_where_it_starts() -> None:
    with pytest.raises(UnknownName, match="current folder"):
        Dataset("no_such.csv")
