"""Published counts: what the table must look like, and readings of tables whose truth is known."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner, Result

from reachlab import Json, Thresholds
from reachlab.cli import app
from reachlab.errors import BadValue, ReachlabError, UnknownName
from reachlab.measure import Rung, clopper_pearson, judge
from reachlab.measure.frontier import kl
from reachlab.seeding import generator
from reachlab.studies.published import Published, load, parse, reading, study_counts
from reachlab.studies.published.located import missed_gain, missed_share

HEAD = "task,base_n,base_c,arm_n,arm_c"
PLAIN = f"{HEAD}\na,4,1,4,3\nb,4,0,4,2\n"
Row = Sequence[Any]


def table(rows: Iterable[Row], *optional: str) -> Published:
    lines = [",".join([HEAD, *optional])]
    lines += [",".join(map(str, (f"t{i}", *row))) for i, row in enumerate(rows)]
    return parse("\n".join(lines), "paper.csv")


def drawn(p0: float, p1: float, tasks: int, *more: Any, base: int = 64, arm: int = 64, seed: int = 0) -> list[Row]:
    """Rows of tasks of known success."""
    rng = generator(seed, "published", p0, p1)
    return [(base, rng.binomial(base, p0), arm, rng.binomial(arm, p1), *more) for _ in range(tasks)]


def steps(found: Json) -> dict[str, Json]:
    return {step["rung"]: step for step in found["ladder"]}


def tools() -> Published:
    """The flow of arXiv 2508.19201, figure 3, at 256 attempts; hits spread evenly, alike with and without tools."""
    rows = []
    for base, arm, tasks in ((True, True, 341), (False, True, 79), (True, False, 9), (False, False, 83)):
        hits = np.linspace(1, 256, tasks).astype(int).tolist()
        rows += [(256, base * h, 256, arm * h) for h in hits]
    return table(rows)


# ---------------------------------------------------------------------------------------------------------- the table


def test_a_table_is_read(tmp_path: Path) -> None:
    full = (
        "task,stratum,base_n,base_c,arm_n,arm_c,shuffled_n,shuffled_c,spent_nats,cost_ratio,url\n"
        '"a, b",hops=1,4,1,8,3,2,0,0.5,1,x\nc,hops=2,4,0,8,2,2,1,1e1,2.5,"y\nz"\n'
    )
    found = parse(full, "paper.csv")
    assert found.tasks == ("a, b", "c") and found.strata == ("hops=1", "hops=2")
    assert [v.tolist() for v in found.base] == [[4, 4], [1, 0]] and found.arm[0].tolist() == [8, 8]
    assert found.shuffled is not None and found.shuffled[1].tolist() == [0, 1]
    assert found.spent is not None and found.spent.tolist() == [0.5, 10.0]
    assert found.cost_ratio is not None and found.cost_ratio.tolist() == [1.0, 2.5]
    assert found.lacks == () and found.unread == ("url",)
    assert parse(PLAIN, "x").strata == ("all", "all") and len(parse(PLAIN, "x").lacks) == 5


@pytest.mark.parametrize(
    "written",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("\n", "\n\n,,,,\n").encode(),
        PLAIN.replace(",", " , ").rstrip().encode(),
        "".join(f"{line},\n" for line in PLAIN.split()).encode(),
    ],
    ids=["byte order mark", "CRLF", "CR", "blank lines", "spaces, no last newline", "comma at the end"],
)
def test_spreadsheets_write_it_in_other_ways(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(written)
    found = load(tmp_path / "x.csv")
    assert found.tasks == ("a", "b") and found.arm[1].tolist() == [3, 2] and found.unread == ()


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("", BadValue, "rows: got 0, allowed: a header and at least one task"),
        (HEAD + "\n", BadValue, "rows: got 1"),
        ("task,base_n,base-c,arm_n,arm_c\na,1,1,1,1", UnknownName, "column 'base_c'. Did you mean 'base-c'?"),
        ("task,base_n,base_c,arm_n\na,1,1,1", UnknownName, "The header must have task, base_n, base_c, arm_n, arm_c."),
        (PLAIN.replace(",", ";"), UnknownName, "Cells are separated by commas."),
        (PLAIN.replace(HEAD, HEAD + ",arm_c"), BadValue, "columns of one name: got 'arm_c'"),
        (f"{HEAD},shuffled_n\na,1,1,1,1,1", UnknownName, "'shuffled_c'. Did you mean 'shuffled_n'?"),
        (f"{HEAD},spend_nats\na,1,1,1,1,1", UnknownName, "'spend_nats'. Did you mean 'spent_nats'?"),
        (f"{HEAD},Stratum\na,1,1,1,1,x", UnknownName, "Did you mean 'stratum'?"),
        (f"{HEAD}\na,4,5,4,3", BadValue, "line 2: base_c: got 5, allowed: at most base_n, 4"),
        (f"{HEAD}\na,4,1,4,3\nb,4,1,4,3.0", BadValue, "line 3: arm_c: got '3.0', allowed: a whole number, at least 0"),
        (f"{HEAD}\na,4,-1,4,3", BadValue, "line 2: base_c: got '-1'"),
        (f"{HEAD}\na,4,1_0,4,3", BadValue, "got '1_0'"),
        (f"{HEAD}\na,4,٣,4,3", BadValue, "got '٣'"),
        (f"{HEAD}\na,4,,4,3", BadValue, "line 2: base_c: got ''"),
        (f"{HEAD}\na,{10**12},1,4,3", BadValue, "a whole number"),
        (f"{HEAD}\na,0,0,4,3", BadValue, "base_n: got '0', allowed: a whole number, at least 1; a task that"),
        (f"{HEAD}\na,4,1,4,3\na,4,1,4,3", BadValue, "line 3: task: got 'a', allowed: each task once; it stands in"),
        (f"{HEAD}\n,4,1,4,3", BadValue, "line 2: task: got ''"),
        (f"{HEAD}\na,4,1,4", BadValue, "line 2: cells: got 4, allowed: 5"),
        (f"{HEAD},spent_nats\na,1,1,1,1,nan", BadValue, "line 2: spent_nats: got 'nan', allowed: a finite number"),
        (f"{HEAD},spent_nats\na,1,1,1,1,-0.1", BadValue, "at least 0"),
        (f"{HEAD},spent_nats\na,1,1,1,1,", BadValue, "filled in every row or left out"),
        (f"{HEAD},cost_ratio\na,1,1,1,1,0.9", BadValue, "cost_ratio: got '0.9', allowed: a finite number, at least 1"),
        (f"{HEAD},cost_ratio\na,1,1,1,1,inf", BadValue, "got 'inf'"),
        (f"{HEAD},stratum\na,1,1,1,1,", BadValue, "line 2: stratum: got ''"),
        (f'{HEAD}\n"a,4,1,4,3\n', BadValue, "comma-separated values"),
        (f"{HEAD}\n\"a\nb\",4,1,4,3\nc,4,9,4,3", BadValue, "line 4: base_c"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_bad_tables_are_explained(text: str, kind: type[ReachlabError], said: str) -> None:
    with pytest.raises(kind) as caught:
        parse(text, "paper.csv")
    assert said in str(caught.value)


def test_other_encodings_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(PLAIN.encode("utf-16"))
    with pytest.raises(BadValue, match="encoding of x.csv"):
        load(tmp_path / "x.csv")


def test_hard_strata_must_be_there() -> None:
    found = table([(4, 1, 4, 1, "hops=1"), (4, 1, 4, 1, "hops=2"), (4, 1, 4, 1, "hops=3")], "stratum")
    assert study_counts(found, ("hops=3", "hops=2")).hard_strata == ("hops=2", "hops=3")
    assert study_counts(found, ("all",)).hard_strata == ("hops=1", "hops=2", "hops=3")
    with pytest.raises(UnknownName, match="'hop=3'. Did you mean 'hops=3'"):
        study_counts(found, ("hop=3",))
    with pytest.raises(UnknownName, match="has no column stratum"):
        study_counts(parse(PLAIN, "x"), ("hops=3",))
    assert study_counts(parse(PLAIN, "x"), ("all",)).hard_strata == ("all",)
    with pytest.raises(BadValue, match="rename stratum 'all'"):
        study_counts(table([(4, 1, 4, 1, "all"), (4, 1, 4, 1, "b")], "stratum"), ("all",))


# ------------------------------------------------------------------------------------------------------- where it lies


@pytest.mark.parametrize(("p0", "p1", "k"), [(0.3, 0.6, 2), (0.05, 0.9, 4), (0.9, 0.2, 1)])
def test_the_gain_at_missed_tasks_is_unbiased(p0: float, p1: float, k: int) -> None:
    """Mean over every possible pair of counts, against (1-p0)^k (p1-p0)."""
    n, m, mean, missed = 5, 3, 0.0, 0.0
    for c, d in itertools.product(range(n + 1), range(m + 1)):
        base, arm = (np.array([n]), np.array([c])), (np.array([m]), np.array([d]))
        weight = float(stats.binom.pmf(c, n, p0) * stats.binom.pmf(d, m, p1))
        mean += weight * missed_gain(base, arm, k, 0.025).value
        missed += weight * missed_share(base, k, 0.025).value
    assert mean == pytest.approx((1 - p0) ** k * (p1 - p0), abs=1e-12)
    assert missed == pytest.approx((1 - p0) ** k, abs=1e-12)


# ----------------------------------------------------------------------------------------------------- known readings


def test_no_gain_is_e0() -> None:
    """p0 of every kind, and an arm that is the base."""
    rng = generator(0, "published", "placebo")
    rates = rng.beta(0.5, 0.5, 400)
    found = reading(table((64, rng.binomial(64, p), 64, rng.binomial(64, p)) for p in rates))
    assert found["verdict"] == "E0" and steps(found)["E0"]["status"] == "holds"
    assert steps(found)["E1"]["status"] == steps(found)["E2"]["status"] == "excluded"
    assert abs(found["support"]["expanded"]["value"]) < 0.02 and found["support"]["mcnemar"] > 0.001


@pytest.mark.parametrize("attempts", [16, 64])
def test_a_gain_on_an_easy_stratum_is_e1(attempts: int) -> None:
    easy = drawn(0.4, 0.9, 60, "easy", base=attempts, arm=attempts)
    rows = [*easy, *drawn(0.0, 0.0, 150, "hard", base=attempts, arm=attempts)]
    found = reading(table(rows, "stratum"), ("hard",))
    assert found["verdict"] == "E1" and steps(found)["E1"]["why"].startswith("core reweighting, gain 0.")
    assert [steps(found)[r]["status"] for r in ("E0", "E2", "E4", "C1", "C2")] == ["excluded"] * 5
    assert "gain on the 150 hard tasks 0 " in steps(found)["C1"]["why"]
    assert reading(table(rows, "stratum"))["verdict"] == "E1"  # nothing named hard, nothing gained there


def test_a_gain_where_the_base_succeeds_now_and_then_is_e2() -> None:
    rows = [*drawn(0.02, 0.3, 80, "tail"), *drawn(0.9, 0.9, 80, "easy")]
    found = reading(table(rows, "stratum"))
    assert found["verdict"] == "E2" and steps(found)["E1"]["status"] == "excluded"


def test_a_gain_where_the_base_never_succeeds_is_no_tail_elicitation() -> None:
    """A stratum that nobody named hard and the base is not seen to solve is in no region of the decision table."""
    published = table([*drawn(0.0, 0.3, 80, "new"), *drawn(0.9, 0.9, 80, "easy")], "stratum")
    assert judge(study_counts(published)).verdict.rung == Rung.UNDECIDED
    found = reading(published)
    assert found["verdict"] == "UNDECIDED" and steps(found)["E2"]["status"] != "holds"
    assert {row["stratum"]: row["region"] for row in found["strata"]} == {"new": "unplaced", "easy": "core"}


def test_a_gain_on_named_hard_tasks_lists_what_is_missing() -> None:
    rows = drawn(0.0, 0.9, 100, "hops=3", base=256) + drawn(0.9, 0.9, 60, "hops=1")
    found = reading(table(rows, "stratum"), ("hops=3",))
    assert found["verdict"] == "UNDECIDED" and "the base was not evaluated in silent" in found["sentence"]
    c1 = steps(found)["C1"]
    assert c1["status"] == "not decidable"
    for missing in ("spent_nats", "cost_ratio", "shuffled_n", "the base in the silent, imagined and shuffled worlds"):
        assert missing in c1["why"]
    assert steps(found)["E1"]["status"] == steps(found)["E2"]["status"] == "excluded"
    assert "trained and evaluated closed" in steps(found)["E3"]["why"]
    assert [s["rung"] for s in found["ladder"]] == [str(r) for r in Rung if r != Rung.UNDECIDED]


def test_a_leak_is_not_creation() -> None:
    """The arm's policy gains .8 of its .9 from tools that answer about another task."""
    rng = generator(0, "published", "leak")
    rows = [(256, 0, 64, rng.binomial(64, 0.9), 64, rng.binomial(64, 0.8), "hard") for _ in range(100)]
    found = reading(table(rows, "shuffled_n", "shuffled_c", "stratum"), ("hard",))
    assert found["verdict"] == "E4" and "rl·live→shuffled reproduces" in found["sentence"]
    assert found["estimates_hard"]["leak"]["ci"][0] > 0.5
    assert steps(found)["C1"]["status"] == steps(found)["C3"]["status"] == "excluded"
    assert "needs the base silent and imagined" in steps(found)["INVALID"]["why"]
    third = [(*row[:4], 64, rng.binomial(64, 0.3), row[6]) for row in rows]
    found = reading(table(third, "shuffled_n", "shuffled_c", "stratum"), ("hard",))
    assert found["verdict"] == "UNDECIDED" and steps(found)["C1"]["status"] == "excluded"


def test_flow_of_published_totals() -> None:
    """P 341, E 79, S 9, O 83: the counts come back, and the gain is not read as reweighting of what was solved."""
    found = reading(tools())
    assert found["support"]["flow"] == {"preserved": 341, "expanded": 79, "shrunk": 9, "out": 83}
    assert found["support"]["nscr"]["value"] == pytest.approx(70 / 429)
    assert found["support"]["mcnemar"] == pytest.approx(2 * sum(math.comb(88, i) for i in range(10)) / 2**88)
    assert found["pass_at_k"][-1]["k"] == 256 and found["pass_at_k"][-1]["base"]["value"] == pytest.approx(350 / 512)
    assert found["verdict"] == "UNDECIDED" and steps(found)["E0"]["status"] == "excluded"
    assert steps(found)["E1"] == {
        "rung": "E1",
        "status": "excluded",
        "why": "more than 10 % of the gain is at tasks that 255 attempts of the base miss",
    }
    reach = found["base_reach"]
    assert (reach["unsolved"], reach["inaccessible_one_by_one"]) == (162, 0)
    upper = clopper_pearson(0, 256, 0.025).high
    assert reach["unsolved_upper"] == pytest.approx(upper)
    assert reach["unsolved_certified_k"] == math.floor(math.log(0.5) / math.log(1 - upper)) == 48


def test_without_strata_a_gain_within_reach_is_e1_and_a_mixed_one_is_not() -> None:
    assert reading(table(drawn(0.5, 0.9, 150)))["verdict"] == "E1"
    mixed = [*drawn(0.5, 0.5, 75), *drawn(0.0, 0.8, 75)]
    assert judge(study_counts(table(mixed))).verdict.rung == Rung.E1  # by the mean of the whole set
    found = reading(table(mixed))
    assert found["verdict"] == "UNDECIDED" and steps(found)["E1"]["status"] == "excluded"
    edge = reading(table(drawn(0.12, 0.5, 100)))  # eight attempts miss a third of the tasks
    assert edge["verdict"] == "UNDECIDED" and "E1 is not established: without strata" in edge["sentence"]
    assert steps(edge)["E1"]["status"] == "not decidable"


def test_the_reading_rarely_places_a_gain_where_it_is_not() -> None:
    """Mixed sets of which a third of the gain or more is beyond reach, without strata: E1 in at most a few of 60."""
    wrong = 0
    for seed in range(60):
        rows = [*drawn(0.6, 0.8, 60, seed=seed), *drawn(0.0, 0.12, 60, seed=seed)]
        wrong += reading(table(rows))["verdict"] == "E1"
    assert wrong <= 3


def test_tasks_named_hard_that_are_not_are_said_to_be_so() -> None:
    found = reading(tools(), ("all",))
    assert found["verdict"] == "UNDECIDED" and any("not hard for the base" in note for note in found["notes"])
    assert steps(found)["E1"]["status"] == "not decidable" and found["estimates_hard"] == found["estimates"]


def test_too_few_attempts_decide_nothing() -> None:
    found = reading(table(drawn(0.1, 0.9, 100, arm=8)))
    assert {step["status"] for step in found["ladder"]} == {"not decidable"}
    assert "16 are the least" in found["sentence"]


# ---------------------------------------------------------------------------------------------------------- estimates


def test_estimates_are_those_of_closed_form() -> None:
    """Base 0 of 25,600 on 100 hard tasks, arm .75 exactly, 1.5 nats, 3 times the cost."""
    rows = [(256, 0, 64, 48, 1.5, 3, "hard")] * 100 + [(256, 192, 64, 48, 0.1, 3, "easy")] * 40
    found = reading(table(rows, "spent_nats", "cost_ratio", "stratum"), ("hard",))
    hard, upper = found["estimates_hard"], clopper_pearson(0, 25_600, 0.025).high
    assert found["base_reach"]["upper"] == hard["base_upper"]["value"] == pytest.approx(upper)
    assert found["base_reach"]["accessible_at_most"] == pytest.approx(upper / Thresholds().t)
    assert found["base_reach"]["certified_k"] == math.floor(math.log(0.5) / math.log(1 - upper))
    assert found["base_reach"]["attempts_without_a_hit"] == math.ceil(math.log(0.0005) / math.log(1 - Thresholds().t))
    assert (hard["base_success"]["value"], hard["arm_success"]["value"], hard["gain"]["value"]) == (0.0, 0.75, 0.75)
    shared = clopper_pearson(0, 25_600, 0.0125).high  # success and base share the error
    assert hard["required_nats"]["value"] == pytest.approx(float(kl(0.75, shared)))
    assert hard["equivalent_k"]["value"] == pytest.approx(math.log(0.25) / math.log(1 - shared))
    assert hard["spent_nats"]["value"] == pytest.approx(1.5) and hard["cost_ratio"]["value"] == pytest.approx(3)
    third = clopper_pearson(0, 25_600, 0.025 / 3).high
    assert hard["surplus_nats"]["value"] == pytest.approx(float(kl(0.75, third)) - 1.5)
    assert hard["best_of_k"]["value"] == pytest.approx(1 - (1 - upper) ** hard["cost_ratio"]["ci"][1])
    assert hard["above_best_of_k"]["value"] == pytest.approx(0.75 - (1 - (1 - shared) ** 3))
    assert hard["newly_within_reach"]["kind"] == "bound" and 0.4 < hard["newly_within_reach"]["value"] < 0.75
    assert hard["leak"] == {"value": None, "reason": "needs the column shuffled_c"}
    assert [(s["stratum"], s["region"], s["gain"]["value"]) for s in found["strata"]] == [
        ("hard", "hard", 0.75),
        ("easy", "core", 0.0),
    ]


def test_unequal_attempts_are_compared_at_a_common_k() -> None:
    found = reading(table(drawn(0.3, 0.6, 80, base=64, arm=24)))
    assert found["support"]["flow"] is None and found["support"]["corrected_k"] == 24
    assert found["support"]["srr"]["reason"].startswith("needs as many attempts")
    assert [p["k"] for p in found["pass_at_k"]] == [1, 2, 4, 8, 16]
    assert found["support"]["expanded"]["value"] is not None and found["support"]["placebo"]["value"] is not None
    alone = reading(table(drawn(0.3, 0.6, 80, base=1, arm=24)))
    assert alone["support"]["placebo"]["reason"] == "needs two attempts of the base at each task"


@pytest.mark.parametrize("rows", [[(1, 0, 1, 0)], [(1, 1, 1, 1)], [(16, 16, 16, 0)] * 3, [(2, 0, 10**11, 5)] * 2])
@pytest.mark.parametrize("hard", [(), ("all",)])
def test_the_smallest_and_oddest_tables_are_read(rows: list[Row], hard: tuple[str, ...]) -> None:
    found = reading(table(rows), hard)
    json.dumps(found, allow_nan=False)
    assert len(found["ladder"]) == 10


def test_tables_beyond_memory_are_refused() -> None:
    with pytest.raises(BadValue, match="at most 10,000,000"):
        reading(table([(10**10, 1, 10**10, 1)]))


def test_k_acc_must_be_beyond_easy_reach() -> None:
    assert reading(tools(), thresholds=Thresholds(k_acc=100))["hard"]["k_acc"] == 100
    with pytest.raises(BadValue, match="k_acc: got 8, allowed: above 8"):
        reading(tools(), thresholds=Thresholds(k_acc=8))


# --------------------------------------------------------------------------------------------------- the command line


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verdict", *arguments], env={"COLUMNS": "100"})


@pytest.fixture
def counts(tmp_path: Path) -> str:
    rows = [*drawn(0.0, 0.9, 40, "[/x]"), *drawn(0.5, 0.9, 40, "easy")]
    lines = [f"{HEAD},stratum", *(",".join(map(str, (f"t{i}", *row))) for i, row in enumerate(rows))]
    path = tmp_path / "a [b].csv"
    path.write_text("\n".join(lines))
    return str(path)


def test_the_command_prints_the_ladder(counts: str) -> None:
    result = call(counts, "--hard", "[/x]")
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0 and "the arm on a [b].csv is UNDECIDED" in text
    for word in ("not decidable", "excluded", "needs the column spent_nats", "base reach", "McNemar p", "[/x]"):
        assert word in text


def test_json_is_for_programs(counts: str) -> None:
    result = call(counts, "--hard", "[/x]", "--k-acc", "100", "--json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(result.stdout, parse_constant=refuse)
    assert result.exit_code == 0 and found["schema"] == "reachlab.reading/1"
    assert found["thresholds"]["k_acc"] == 100 and found["hard"] == {"tasks": 40, "strata": ["[/x]"], "k_acc": 100}
    for key, estimate in found["estimates"].items():
        assert {"value", "ci", "kind"} <= estimate.keys() or estimate.keys() == {"value", "reason"}, key


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.csv",), "No such file or directory: nowhere.csv"),
        (("/",), "Is a directory"),
        (("COUNTS", "--hard", "esy"), "Did you mean 'easy'?"),
        (("COUNTS", "--k-acc", "3"), "k_acc: got 3"),
    ],
)
def test_bad_input_exits_with_2(arguments: tuple[str, ...], said: str, counts: str) -> None:
    result = call(*(counts if a == "COUNTS" else a for a in arguments))
    assert result.exit_code == 2 and said in " ".join(result.stderr.split()) and "Traceback" not in result.output


def test_an_invalid_reading_has_its_exit_code(counts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import reachlab.studies.published

    real = reading(load(counts))
    monkeypatch.setattr(reachlab.studies.published, "reading", lambda *_: {**real, "verdict": "INVALID"})
    assert call(counts).exit_code == 3


@pytest.mark.parametrize("hard", ["h", "all"])
def test_one_hard_task_is_read_without_a_crash(tmp_path: Path, hard: str) -> None:
    path = tmp_path / "one.csv"
    rows = "a,64,0,64,60,1.5,h\nb,64,30,64,60,1.5,e\nc,64,30,64,60,1.5,e\n"
    path.write_text("task,base_n,base_c,arm_n,arm_c,spent_nats,stratum\n" + rows)
    result = call(str(path), "--hard", hard)
    assert result.exit_code == 0, result.output


def test_help_teaches() -> None:
    result = call("--help")
    assert result.exit_code == 0 and "Example: reachlab verdict" in result.output


def test_no_model_library_is_loaded(counts: str) -> None:
    code = f"import sys; from reachlab.cli import app; app(['verdict', {counts!r}, '--json'], standalone_mode=False)"
    code += "; print({'torch', 'transformers'} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()" and json.loads(done.stdout)["verdict"] == "UNDECIDED"
