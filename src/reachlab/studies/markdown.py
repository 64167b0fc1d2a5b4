"""``report.md``: a result with its pictures, as Markdown.

Every number comes from result.json, rounded to three digits (two from a thousand on).
Not covered: the pictures themselves (``studies.plots``, ``studies.curves``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from reachlab import Json
from reachlab.measure.wording import number
from reachlab.studies.reading import (
    DASH,
    LEDGER,
    MATCH,
    REACH,
    SEEN,
    Column,
    Notes,
    arms,
    cell,
    checks_line,
    claim_lines,
    leak_line,
    line,
    percent,
    short,
    spelled,
    tally,
)

READING = """\
- **KL to the closed base** (left and middle, across): nats by which an arm moved from the closed base, mean per \
episode; logarithmic, and linear near zero so that the untrained base can be shown.
- **Success** (left and middle, up): mean share of verified episodes. The curve is the most that any reweighting of \
the closed base reaches at that KL: a closed arm must lie below it, an arm above it got something from the world.
- **Required nats** (right, across): what a closed policy would have to spend for the arm's success on the hard tasks; \
grey was spent by the weights, blue is the surplus that the world paid, with its interval.
"""
PASSK = """\
- **Attempts k** (across): independent attempts judged by a perfect verifier; arms end at the episodes they have.
- **pass@k** (up): mean chance that at least one of k attempts succeeds. The dotted line is the accessibility budget.
"""
WORDS = """\
*Spent*: KL of the arm to the base on its own episodes; *required*: KL that closed reweighting needs for the same \
success; *surplus*: required less spent; *equivalent k*: closed attempts that match the arm; *bits gained*: log ratio \
of live to imagined success; *bits imported*: surprise of the observations to the base on successful episodes; *newly \
in reach*: least share of the hard tasks brought within reach. Success and bits are means over all tasks, the rest \
over the hard ones. *Frontier gap*: how far below the frontier the arm's success lies at what it spent."""
SCOPE = "Nats and frontier gap over all test tasks; k, success at that k and break-even over the hard ones."
PAID = (
    ("updates", "updates"),
    ("tokens", "tokens"),
    ("verifier_calls", "verifier calls"),
    ("path_tokens", "tokens, with its teacher's"),
    ("path_verifier_calls", "calls, with its teacher's"),
)
"""What a training spent, by key of ``studies.matching.ledger``."""
COUNTS = {"episodes": "episodes", "tokens": "tokens", "tool_calls": "tool calls", "verifier_calls": "verifier calls"}


def markdown(result: Json) -> str:
    """The whole report."""
    notes = Notes()
    body = [*_verdicts(result), *_claim(result), *_plan(result), *_pictures(result), *_tables(result, notes)]
    body += [*_sweep(result), *_flow(result), *_checks(result), *_cost(result), *_spec(result)]
    return "\n".join(body).rstrip() + "\n"


def _verdicts(result: Json) -> list[str]:
    first = result["verdicts"][0]
    title = f"# {first['mechanism'].capitalize()} on {first['evidence']['family']}: {first['verdict']}"
    return [title, "", *(f"**{_plain(v['sentence'])}.**\n" for v in result["verdicts"])]


def _plan(result: Json) -> list[str]:
    """Of an undecided study: the smallest one that would decide it, and what each condition needs alone."""
    plan = result.get("plan")
    if not plan:
        return []
    rows = [_row([r["name"], _count(r["tasks"]), _count(r["base_episodes"])]) for r in plan["requirements"]]
    head = ["condition", "test tasks that it needs alone", "base episodes in each world without information"]
    table = [_row(head), _row(["---", "---:", "---:"]), *rows, ""] if rows else []
    return ["## What would decide it", "", f"{_plain(plan['sentence'])}.", "", *table]


def _count(number_of: int | None) -> str:
    return DASH if number_of is None else f"{number_of:,}"


def _claim(result: Json) -> list[str]:
    return ["The claim is relative to:", "", *(f"- **{name}**: {text}" for name, text in claim_lines(result)), ""]


def _pictures(result: Json) -> list[str]:
    return [
        "## Success against KL", "", "![Success against KL, and what paid for it](reach.png)", "", READING,
        "## pass@k", "", "![pass@k of the closed base and of arms](passk.png)", "", PASSK,
        "## Training", "", "![Reward, KL, entropy and calls during training](training.png)", "",
        "Across: updates. Up: mean of the episodes or transcripts of one update; dashed was trained closed.", "",
    ]  # fmt: skip


def _tables(result: Json, notes: Notes) -> list[str]:
    tests, seen = arms(result, "test"), arms(result, "train")
    out = ["## Arms on test tasks", "", *_table(tests, (*REACH, *MATCH), notes), ""]
    out += [f"Brackets: {percent(result)} intervals; the primary arm, named before the run, is bold. {WORDS}", ""]
    if seen:
        out += ["## Arms on training tasks", "", *_table(seen, SEEN, notes), ""]
    out += ["## Ledger", "", SCOPE, "", *_table(tests, LEDGER, notes), ""]
    listed = [f"- <sup>{mark}</sup> {_plain(reason)}" for mark, reason in notes.listed()]
    return [*out, *(["Missing:", "", *listed, ""] if listed else [])]


def _table(rows: Sequence[Json], columns: Sequence[Column], notes: Notes) -> list[str]:
    lines = [_row(["arm", *(column.head for column in columns)]), _row(["---", *("---:" for _ in columns)])]
    for arm in rows:
        name = f"**{short(arm)}**" if arm["primary"] else short(arm)
        lines.append(_row([name, *(_cell(arm, column, notes) for column in columns)]))
    return lines


def _cell(arm: Json, column: Column, notes: Notes) -> str:
    found = cell(arm, column)
    mark = f"<sup>{notes.mark(found.reason)}</sup>" if found.reason else ""
    interval = f"<br>{found.interval}" if found.interval else ""
    return f"{found.value or DASH}{mark}{interval}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


def _sweep(result: Json) -> list[str]:
    """Share newly within reach for other thresholds: rows are tau, columns k_acc."""
    points = result.get("support_sweep") or []
    if not points:
        return []
    budgets = list(dict.fromkeys((p["k_acc"], p["tasks"]) for p in points))
    heads = [f"k_acc {k:,} ({tasks:,} tasks)" for k, tasks in budgets]
    lines = [_row(["success that counts as reach", *heads]), _row(["---", *("---:" for _ in heads)])]
    for tau in dict.fromkeys(p["tau"] for p in points):
        found = {p["k_acc"]: p for p in points if p["tau"] == tau}
        cells = [_share(found.get(k)) for k, _ in budgets]
        lines.append(_row([number(tau), *cells]))
    return ["## Newly within reach under other thresholds", "", *lines, ""]


def _flow(result: Json) -> list[str]:
    """Tasks gained and lost by the primary arm, and what resampling the base would do by itself."""
    found = result.get("support")
    if not found or not found["flow"]:
        return []
    flow, n, k = found["flow"], found["attempts"], found["corrected_k"]
    counted = ", ".join(f"{name} {flow[name]:,}" for name in ("preserved", "expanded", "shrunk", "out"))
    rows = [_row([name.upper(), line(found[name])]) for name in ("srr", "ndr", "sds", "nscr")]
    rows += [_row([f"{name}, less the placebo, {k} attempts", line(found[name])]) for name in ("expanded", "shrunk")]
    rows += [_row([f"Cover@tau of the {who}", line(found[f"cover_{who}"])]) for who in ("arm", "base")]
    return [
        "## Tasks gained and lost", "",
        f"Solved at least once in {n} attempts, closed base against the primary arm: {counted} tasks; exact McNemar p "
        f"{found['mcnemar']:.2g}. SRR, NDR, SDS and NSCR are the support metrics of Wu et al., here per task.", "",
        _row(["metric", "value"]), _row(["---", "---"]), *rows, "",
    ]  # fmt: skip


def _share(point: Json | None) -> str:
    if point is None or point["value"] is None:
        return DASH
    read = spelled({"value": point["value"], "ci": (point["low"], point["high"]), "kind": "bound"})
    return f"{read.value}<br>{read.interval}"


def _checks(result: Json) -> list[str]:
    out = ["## Checks", "", f"- **Theorem checks**: {checks_line(result)}."]
    groups = tally(result["checks"])
    out += [f"  - violated: {_plain(c['name'])}: {_plain(c['detail'])}" for c in groups["violated"]]
    out += [
        f"- **Leak gate**: {leak_line(result)}.",
        f"- **Interaction effect** (training gain live less training gain closed): {line(result['interaction'])}.",
        f"- **Faults**: {result['faults']:,} episodes were lost to the infrastructure.",
        "",
    ]
    rows = [_row([_plain(c["name"]), status, _plain(c["detail"])]) for status, found in groups.items() for c in found]
    if rows:
        out += ["<details><summary>All theorem checks</summary>", "", _row(["check", "status", "where it is tightest"]),
                _row(["---"] * 3), *rows, "", "</details>", ""]  # fmt: skip
    return out


def _cost(result: Json) -> list[str]:
    cost = result.get("cost")
    if not cost:
        return []
    counted = ", ".join(f"{cost[key]:,} {name}" for key, name in COUNTS.items() if key in cost)
    out = ["## Cost", "", f"Of evaluation: {counted}"]
    out[-1] += f", {cost['flops']:.3g} FLOPs" if cost.get("flops") is not None else ""
    seconds = cost.get("rollout_seconds")
    out[-1] += "." if seconds is None else f", {seconds:.1f} episode-seconds (episodes of a batch run side by side)."
    if trained := cost.get("trainings"):
        out += ["", _row(["training", "run", "beta", *(head for _, head in PAID)]), _row(["---", *["---:"] * 7])]
        for one in trained:
            name = f"{one['treatment']}·{one['trained']}"
            out.append(_row([name, str(one["seed"]), f"{one['beta']}", *(f"{one[key]:,}" for key, _ in PAID)]))
    if (why := cost.get("unmatched")) is not None:
        held = "matches the path to distil: the same tasks and KL setting, at least its verifier calls and tokens"
        out += ["", f"Closed training {f'does not match, and C3 cannot be claimed: {why}' if why else held}."]
    return [*out, ""]


def _spec(result: Json) -> list[str]:
    spec = json.dumps(result["spec"], indent=1, ensure_ascii=False)
    made = f"reachlab {result['version']}, `{result['schema']}`, study seed {result['seeds']['study']}"
    runs = result["seeds"]["training_runs"]
    made += f", {runs} training run{'' if runs == 1 else 's'}."
    command = ["", f"Command: `{result['command']}`"] if result.get("command") else []
    return ["## Spec", "", made, *command, "", "```json", spec, "```"]


def _plain(text: str) -> str:
    """One line, nothing that Markdown would take for a tag."""
    return " ".join(text.split()).replace("<", "&lt;")
