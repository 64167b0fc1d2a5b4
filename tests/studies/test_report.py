"""The report says what result.json says: no other number, no number where there is no signal, the same files twice."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console, RenderableType

from reachlab import Arm, Json, Thresholds, Treatment, World, record_to_json
from reachlab.measure import ArmCounts, StudyCounts, TaskSet, analyse, pass_curve
from reachlab.studies.curves import arm_curve
from reachlab.studies.markdown import markdown
from reachlab.studies.report import terminal, write_report

TASKS, EPISODES = 24, 16
PICTURES = ("reach.png", "passk.png", "training.png")
LIVE = World.LIVE
ARMS: dict[Arm, float | None] = {
    Arm(Treatment.BASE, None, World.CLOSED): None,
    Arm(Treatment.BASE, None, World.SILENT): None,
    Arm(Treatment.BASE, None, World.IMAGINED): None,
    Arm(Treatment.BASE, None, World.SHUFFLED): None,
    Arm(Treatment.BASE, None, LIVE): 0.3,
    Arm(Treatment.RL, LIVE, LIVE): 0.87,
    Arm(Treatment.RL, World.CLOSED, World.CLOSED): None,
    Arm(Treatment.RL, LIVE, World.SHUFFLED): None,
    Arm(Treatment.RL, World.CLOSED, World.CLOSED, "train"): 0.15,
}
"""True success; None is that of the closed base."""


def study(exact: bool = True, silent: bool = False, p0: float = 1e-5) -> StudyCounts:
    rng = np.random.default_rng(3)
    truth = np.where(np.arange(TASKS) % 3 == 0, 0.1, p0)
    strata = tuple("far" if i % 3 else "near" for i in range(TASKS))
    sets = {
        split: TaskSet(tuple(f"{split}-{i}" for i in range(TASKS)), strata, truth if exact else None)
        for split in ("test", "train")
    }
    arms = []
    for arm, rate in ARMS.items():
        n = np.full((1, TASKS), EPISODES)
        spent = np.full((1, TASKS), 0.0 if arm.trained is None else 1.23) * rng.uniform(0.9, 1.1, TASKS)
        quiet = "no verified sample" if silent and arm.trained else ""
        hits = rng.binomial(n, truth if rate is None else rate)
        arms.append(ArmCounts(arm, hits, n, spent=spent, tokens=np.full((1, TASKS), 31.0), no_signal=quiet,
                              bits=np.full((1, TASKS), 12.5), training_tokens=np.array([9000.0])))  # fmt: skip
    named = () if exact else ("far",)
    return StudyCounts("Toy", "retrieval", sets["test"], tuple(arms), "rl·live", 20.0, sets["train"], named)


def result_of(counts: StudyCounts) -> Json:
    spec = {"family": {"name": "toy", "options": {}}, "seed": 0}
    budget = {"turns": 2, "tokens": 32, "calls": 1}
    made: Json = {
        "schema": "reachlab.result/1",
        "version": "0.1.0",
        "command": "",
        "spec": spec,
        "seeds": {"study": 0, "training_runs": 1},
        "family": {"name": "toy", "version": "0", "mechanism": "retrieval"},
        "base": {"policy": "tiny", "parameters": 568832},
        "decoder": {"temperature": 1.0, "top_k": None, "top_p": None},
        "verifier": {"name": "Exact", "exact": True},
        "budget": {"live": budget, "closed": {"turns": 1, "tokens": 56, "calls": 0}},
        **analyse(counts, Thresholds()).to_json(),
        "cost": {"episodes": 3456, "tokens": 71234, "tool_calls": 12, "verifier_calls": 3400, "flops": 1.5e12,
                 "rollout_seconds": 3.25, "training_tokens": {"rl·live": [9000.0]}},
    }  # fmt: skip
    out: Json = json.loads(json.dumps(made, allow_nan=False))
    return out


def rows_of(counts: StudyCounts, result: Json) -> list[Json]:
    hard = [] if result["hard"]["tasks"] == 0 else [i for i in range(TASKS) if i % 3]
    return [
        {"arm": c.arm.name, "task": f"{c.arm.split}-{i}", "split": c.arm.split, "seed": s, "episodes": EPISODES,
         "hard": i in hard if c.arm.split == "test" else None, "successes": int(c.successes[s, i]),
         "p0": None if counts.test.p0 is None else float(counts.test.p0[i])}
        for c in counts.arms for s, i in np.ndindex(c.successes.shape)
    ]  # fmt: skip


def run_directory(out: Path, counts: StudyCounts) -> Json:
    result = result_of(counts)
    pq.write_table(pa.Table.from_pylist(rows_of(counts, result)), out / "tasks.parquet")
    lines = [{"treatment": "rl", "trained": "live", "seed": 0, "step": i, "reward": i / 5, "kl": 0.1 * i, "calls": 1.0,
              "entropy": 2.0 - i / 5} for i in range(5)]  # fmt: skip
    (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return result


def printed(what: RenderableType, width: int = 200) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: SIM115
    console.print(what)
    text = console.export_text()
    console.file.close()
    return text


@pytest.fixture(scope="module")
def result() -> Json:
    return result_of(study())


def leaves(node: Any) -> list[float]:
    if isinstance(node, dict):
        return [x for value in node.values() for x in leaves(value)]
    if isinstance(node, list):
        return [x for value in node for x in leaves(value)]
    if isinstance(node, str):
        return [float(token.replace(",", "")) for token in NUMBER.findall(node)]
    return [float(node)] if isinstance(node, int | float) and not isinstance(node, bool) else []


NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?(?![\w])")


def ulp(token: str) -> float:
    """Half the last significant place of a printed number (zeros that end an integer may be rounding)."""
    digits, _, power = token.replace(",", "").partition("e")
    scale = 10.0 ** int(power or 0)
    if "." in digits:
        return 0.5 * scale * 10.0 ** -len(digits.partition(".")[2])
    zeros = len(digits) - len(digits.rstrip("0")) if len(digits) > 3 else 0
    return 0.5 * scale * 10.0**zeros


def strangers(text: str, result: Json) -> list[str]:
    statuses = [check["status"] for check in result["checks"]]
    counts = [float(statuses.count(status)) for status in ("holds", "violated", "not testable")]
    known = np.array([*leaves(result), *counts, 100 * (1 - result["thresholds"]["alpha_report"])])
    found = [(token, float(token.replace(",", ""))) for token in NUMBER.findall(text)]
    return [t for t, v in found if np.min(np.abs(known - v)) > ulp(t) + 1e-9 * abs(v)]


def test_every_number_of_the_markdown_is_in_the_result(result: Json) -> None:
    text = markdown(result)
    assert len(NUMBER.findall(text)) > 150
    assert strangers(text, result) == []
    assert strangers(text + " 0.123456", result) == ["0.123456"]  # the test itself can fail


def test_a_changed_estimate_changes_the_markdown(result: Json) -> None:
    other = copy.deepcopy(result)
    arm = next(a for a in other["arms"] if a["name"] == "rl·live")
    arm["success"] = {"value": 0.4321, "ci": [0.3219, 0.5432], "kind": "sampled"}
    assert "| 0.432<br>[0.322, 0.543] |" in markdown(other)
    assert "0.432" not in markdown(result)


def test_terminal_shows_verdict_arms_claim_and_fits(result: Json) -> None:
    for width in (80, 200):
        text = printed(terminal(result), width)
        assert max(len(line) for line in text.splitlines()) <= width
        assert all(arm["name"].removesuffix(" (train)") in text for arm in result["arms"])
    sentence = " ".join(result["verdicts"][0]["sentence"].split()[:6])
    assert sentence in text
    for name in ("base policy", "decoder", "verifier", "budget", "568,832"):
        assert name in text
    assert "16 hard ones" in text and "95 % intervals" in text


def test_missing_numbers_are_dashes_with_their_reasons(result: Json) -> None:
    reason = "needs an arm evaluated closed, exact p0 and spent nats"
    assert any(a["free_energy_gap"].get("reason") == reason for a in result["arms"])
    for text in (printed(terminal(result)), markdown(result)):
        assert "–" in text and text.count(reason) <= 1
    assert reason in markdown(result)


def test_arms_without_signal_never_show_a_number() -> None:
    result = result_of(study(silent=True))
    text = markdown(result)
    rows = [line for line in text.splitlines() if re.match(r"\| \**rl·", line) and "9,000" not in line]
    rows = [row for row in rows if "spent >=" not in row]
    assert len(rows) == 2 * 3 + 1
    for row in rows:
        cells = row.strip("| ").split(" | ")[1:]
        assert all(re.fullmatch(r"no signal<sup>\w</sup>", cell) for cell in cells), row
    assert "no signal: no verified sample" in text
    shown = [line for line in printed(terminal(result), 240).splitlines() if line.startswith("rl·")]
    assert shown and not any(re.search(r"\d", line) for line in shown)


def test_violated_checks_are_told_in_full(result: Json) -> None:
    other = copy.deepcopy(result)
    broken = {"name": "spent >= required: rl·closed", "status": "violated", "detail": "spent 0.5 [x], required 2"}
    other["checks"] = [broken, {"name": "bits", "status": "not testable", "detail": "no hits"}]
    for text in (markdown(other), printed(terminal(other))):
        assert "0 hold, 1 violated, 1 not testable" in text
        assert "violated: spent >= required: rl·closed: spent 0.5 [x], required 2" in text


def test_files_are_written_and_the_same_twice(tmp_path: Path) -> None:
    counts = study()
    result = run_directory(tmp_path, counts)
    write_report(tmp_path, result)
    first = {name: (tmp_path / name).read_bytes() for name in (*PICTURES, "report.md")}
    write_report(tmp_path, result)
    assert {name: (tmp_path / name).read_bytes() for name in first} == first
    for name in PICTURES:
        assert first[name].startswith(b"\x89PNG") and len(first[name]) > 10_000
        assert f"]({name})" in first["report.md"].decode()


def emptied(result: Json) -> Json:
    """Every arm reads no signal and nothing is known about the base."""
    out = copy.deepcopy(result)
    gone = {"value": None, "reason": "no signal: nothing was verified"}
    for arm in out["arms"]:
        arm.update({k: gone for k, v in arm.items() if isinstance(v, dict) and k != "spent_by_class"})
        arm["spent_by_class"] = {k: gone for k in arm["spent_by_class"]}
    missing = {"value": None, "reason": "the base was not evaluated closed"}
    out |= {"frontier": [], "frontier_hard": [], "frontier_train": [], "checks": [], "support_sweep": []}
    return out | {"p0": {**missing, "hard": None}, "leak": {**missing, "passed": None}, "interaction": missing}


@pytest.mark.parametrize("case", ["sampled", "no hard tasks", "nothing"])
def test_poor_results_are_reported_too(case: str, tmp_path: Path) -> None:
    counts = study(exact=case != "sampled", p0=0.1 if case == "no hard tasks" else 1e-5)
    result = run_directory(tmp_path, counts)
    if case == "nothing":
        result = emptied(result)
        (tmp_path / "metrics.jsonl").unlink()
    assert result["hard"]["tasks"] == (0 if case == "no hard tasks" else 16)
    write_report(tmp_path, result)
    assert all((tmp_path / name).stat().st_size > 5_000 for name in PICTURES)
    assert strangers((tmp_path / "report.md").read_text(), result) == []
    assert "UNDECIDED" in printed(terminal(result)) or result["verdicts"][0]["verdict"] in printed(terminal(result))


def test_arm_curve_is_the_unbiased_pass_at_k_whatever_the_order_of_rows() -> None:
    counts = study()
    rows = [row for row in rows_of(counts, {"hard": {"tasks": 1}}) if row["arm"] == "base·live"]
    live = next(c for c in counts.arms if c.arm.name == "base·live")
    wanted = pass_curve(live.episodes[0], live.successes[0], 0.025)
    assert arm_curve(rows, 0.025) == wanted
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    assert [p.success.value for p in arm_curve(shuffled, 0.025)] == pytest.approx([p.success.value for p in wanted])
    two = rows + [{**row, "seed": 1, "successes": 0} for row in rows]
    assert arm_curve(two, 0.025)[0].success.value == pytest.approx(wanted[0].success.value / 2)


def test_importing_the_report_loads_no_matplotlib() -> None:
    code = "import sys, reachlab.studies.report, reachlab.studies.plots; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_thresholds_are_the_studys(result: Json) -> None:
    assert result["thresholds"] == record_to_json(Thresholds())
