"""Comparison of two runs: a planted difference is found, paired by task and not by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from reachlab import Json, Thresholds, record_to_json
from reachlab.errors import CorruptRun
from reachlab.studies.compare import compare, comparison

TASKS, EPISODES = 40, 16
HARDNESS = np.tile([0.05, 0.95], TASKS // 2)
"""Success differs far more between tasks than between runs: only pairing can see the small planted difference."""


def write_run(folder: Path, rates: dict[str, np.ndarray], first: int = 0, runs: int = 1, order: int | None = None,
              **changes: Any) -> Path:  # fmt: skip
    folder.mkdir()
    rows = [
        {"arm": name, "task": f"t{first + i}", "split": "test", "seed": s, "hard": i % 2 == 0, "episodes": EPISODES,
         "successes": round(EPISODES * rate)}
        for name, each in rates.items() for s in range(runs) for i, rate in enumerate(each.tolist())
    ]  # fmt: skip
    if order is not None:
        rows = [rows[i] for i in np.random.default_rng(order).permutation(len(rows))]
    pq.write_table(pa.Table.from_pylist(rows), folder / "tasks.parquet")
    arms = [
        {"name": name, "split": "test", "success": {"value": float(each.mean()), "ci": [0.0, 1.0], "kind": "sampled"}}
        for name, each in rates.items()
    ]
    result: Json = {
        "family": {"name": "toy", "version": "0", "mechanism": "retrieval"},
        "base": {"policy": "tiny"},
        "thresholds": record_to_json(Thresholds()),
        "verdicts": [{"verdict": "C2", "sentence": f"the sentence of {folder.name} [0, 1]"}],
        "arms": arms,
        **changes,
    }
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def ends(estimate: Json) -> tuple[float, float]:
    return estimate["ci"][0], estimate["ci"][1]


def test_planted_difference_is_found_by_task_even_if_rows_are_shuffled(tmp_path: Path) -> None:
    better = np.clip(HARDNESS + np.where(HARDNESS < 0.5, 0.25, 0.0), 0, 1)
    a = write_run(tmp_path / "a", {"rl·live": HARDNESS}, order=1)
    b = write_run(tmp_path / "b", {"rl·live": better}, order=2)
    found = compare(a, b)
    arm = found["arms"][0]
    assert found["paired"] and arm["paired"] and arm["tasks"] == TASKS
    planted = np.mean(np.round(16 * better) - np.round(16 * HARDNESS)) / 16
    assert arm["difference"]["value"] == pytest.approx(planted)
    low, high = ends(arm["difference"])
    assert 0 < low < planted < high < 0.3
    # On hard tasks, the even ones, all of the gain: twice as much.
    assert arm["difference_hard"]["value"] == pytest.approx(2 * planted)
    back = compare(b, a)["arms"][0]["difference"]
    assert back["value"] == pytest.approx(-planted) and ends(back) == pytest.approx((-high, -low))


def test_runs_without_common_tasks_are_compared_unpaired_and_say_so(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"rl·live": HARDNESS})
    b = write_run(tmp_path / "b", {"rl·live": HARDNESS}, first=1000)
    same, unpaired = compare(a, a)["arms"][0]["difference"], compare(a, b)
    assert not unpaired["paired"] and "unpaired" in unpaired["note"]
    low, high = ends(unpaired["arms"][0]["difference"])
    assert low < 0 < high
    # Nothing is known about single tasks, so the interval is far wider than that of the paired comparison.
    assert high - low > 2 * (ends(same)[1] - ends(same)[0])


def test_other_family_is_not_paired_by_its_ids(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"rl·live": HARDNESS})
    other = {"name": "lock", "version": "0", "mechanism": "probing"}
    b = write_run(tmp_path / "b", {"rl·live": HARDNESS}, family=other)
    found = compare(a, b)
    assert not found["paired"] and "families differ" in found["note"]


def test_common_tasks_only_arms_apart_and_unequal_numbers_of_runs(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"rl·live": HARDNESS, "base·live": HARDNESS}, runs=2)
    b = write_run(tmp_path / "b", {"rl·live": HARDNESS, "base·oracle": HARDNESS}, first=10, base={"policy": "other"})
    found = compare(a, b)
    assert [arm["name"] for arm in found["arms"]] == ["rl·live"] and found["arms"][0]["tasks"] == TASKS - 10
    assert (found["only_first"], found["only_second"]) == (["base·live"], ["base·oracle"])
    assert found["differs"] == ["base"]
    assert found["arms"][0]["difference"]["value"] == pytest.approx(0.0)


def test_arm_without_signal_has_no_difference(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"rl·live": HARDNESS})
    b = write_run(tmp_path / "b", {"rl·live": HARDNESS})
    result = json.loads((b / "result.json").read_text())
    result["arms"][0]["success"] = {"value": None, "reason": "no signal: no reward"}
    (b / "result.json").write_text(json.dumps(result))
    arm = compare(a, b)["arms"][0]
    assert arm["difference"] == {"value": None, "reason": "no signal: no reward"} == arm["difference_hard"]


def test_comparison_prints_both_verdicts_and_every_arm(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"rl·live": HARDNESS, "base·live": HARDNESS})
    b = write_run(tmp_path / "b", {"rl·live": HARDNESS, "base·live": HARDNESS})
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(comparison(compare(a, b)))
    text = capture.get()
    for part in ("the sentence of a [0, 1]", "the sentence of b [0, 1]", "rl·live", "base·live", "paired on common"):
        assert part in text


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [("result.json", None, "no result.json"), ("tasks.parquet", None, "reachlab report"), ("result.json", "{", "read"),
     ("result.json", "{}", "not the result of a study"), ("tasks.parquet", "x", "cannot be read")],
)  # fmt: skip
def test_folders_without_a_finished_run_are_named(file: str, content: str | None, said: str, tmp_path: Path) -> None:
    good = write_run(tmp_path / "good", {"rl·live": HARDNESS})
    bad = write_run(tmp_path / "bad", {"rl·live": HARDNESS})
    (bad / file).unlink()
    if content is not None:
        (bad / file).write_text(content)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(CorruptRun, match=said) as caught:
            compare(*pair)
        assert "bad" in str(caught.value)
