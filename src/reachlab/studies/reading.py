"""How the numbers of result.json are put into words: shared by the terminal, ``report.md`` and the pictures.

Not covered: any number that result.json does not hold; a report computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reachlab import Json, Treatment
from reachlab.measure.wording import number

SILENCE = ("no signal", "not available")
"""What an arm without episodes reads instead of numbers; the reason follows it."""
DASH = "–"


class Column(NamedTuple):
    """One quantity of an arm: its key in result.json, how it is headed, and which way its bound points."""

    key: str
    head: str
    bound: str = "≥ "


REACH = (
    Column("success", "success"),
    Column("success_hard", "on hard"),
    Column("spent_hard", "spent"),
    Column("required_nats", "required"),
    Column("surplus_nats", "surplus"),
)
MATCH = (
    Column("equivalent_k", "equivalent k"),
    Column("bits_gained", "bits gained"),
    Column("bits_imported", "bits imported"),
    Column("newly_within_reach", "newly in reach"),
)
SEEN = (Column("success", "success"), Column("spent_nats", "spent"), Column("free_energy_gap", "frontier gap"))
LEDGER = (
    Column("spent_nats", "spent, all tasks"),
    Column("log_ratio_nats", "log-ratio nats"),
    Column("spent_reasoning", "reasoning"),
    Column("spent_call", "call"),
    Column("spent_answer", "answer"),
    Column("free_energy_gap", "frontier gap"),
    Column("cost_matched_k", "cost-matched k"),
    Column("closed_at_cost_matched_k", "closed at that k", "≤ "),
    Column("break_even_tasks", "break-even tasks"),
    Column("lost", "lost"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: the value and its interval, or neither and the reason."""

    value: str
    interval: str = ""
    reason: str = ""


def estimate(arm: Json, key: str) -> Json:
    """The estimate an arm has under *key*; ``spent_hard`` and the token classes live inside others."""
    if key == "spent_hard":
        spent: Json = arm["spent_nats"]
        fallback = {"value": None, "reason": spent.get("reason") or "no hard tasks"}
        inner: Json = spent.get("hard") or fallback
        return inner
    if key.startswith("spent_") and key != "spent_nats":
        inner = arm["spent_by_class"][key.removeprefix("spent_")]
        return inner
    found: Json = arm[key]
    return found


def silent(arm: Json) -> bool:
    """True for an arm that had nothing to learn from, or that this policy cannot be."""
    return arm["success"]["value"] is None and str(arm["success"].get("reason", "")).startswith(SILENCE)


def cell(arm: Json, column: Column, limit: Callable[[float], str] = number) -> Cell:
    """An arm without episodes reads so in every column. *limit* writes the ends of the interval."""
    if silent(arm):
        reason = str(arm["success"]["reason"])
        return Cell(next(word for word in SILENCE if reason.startswith(word)), "", reason)
    return spelled(estimate(arm, column.key), column.bound, limit)


def brief(value: float) -> str:
    """Two digits at most, three decimals, thousands as k, millions as M: interval ends in a narrow table."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{float(f'{value / size:.2g}'):g}{unit}"
    if 0 < abs(value) < 0.0005:
        return f"{value:.0e}".replace("e-0", "e-")
    text = f"{round(float(f'{value:.2g}'), 3):g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def spelled(found: Json, bound: str = "≥ ", limit: Callable[[float], str] = number) -> Cell:
    """``0.829`` and ``[0.774, 0.865]``; open ends are ``..``; a bound says which way."""
    if found.get("value") is None:
        return Cell("", "", str(found.get("reason") or "not available"))
    lead = bound if found.get("kind") == "bound" else ""
    ends = found.get("ci")
    if not ends or ends[0] == ends[1] == found["value"]:  # an exact value is its own interval
        return Cell(lead + number(found["value"]))
    low, high = (".." if end is None else limit(end) for end in ends)
    return Cell(lead + number(found["value"]), f"[{low}, {high}]")


def line(found: Json, bound: str = "≥ ") -> str:
    """The same as one string; a missing one gives its reason."""
    read = spelled(found, bound)
    return f"{read.value} {read.interval}".strip() if read.value else f"not available ({read.reason})"


class Notes:
    """Reasons in order of first use, each with a letter."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def mark(self, reason: str) -> str:
        if reason not in self.reasons:
            self.reasons.append(reason)
        index = self.reasons.index(reason)
        return (chr(ord("a") + index // 26 - 1) if index >= 26 else "") + chr(ord("a") + index % 26)

    def listed(self) -> list[tuple[str, str]]:
        return [(self.mark(reason), reason) for reason in self.reasons]


def arms(result: Json, split: str) -> list[Json]:
    return [arm for arm in result["arms"] if arm["split"] == split]


def short(arm: Json) -> str:
    """The arm's name without its split."""
    return str(arm["name"]).removesuffix(" (train)")


def tasks_of(result: Json, split: str) -> int:
    return max((int(arm["tasks"]) for arm in arms(result, split)), default=0)


def tally(checks: Sequence[Mapping[str, str]]) -> dict[str, list[Mapping[str, str]]]:
    """Checks by status; the three statuses are always there."""
    out: dict[str, list[Mapping[str, str]]] = {"holds": [], "violated": [], "not testable": []}
    for check in checks:
        out.setdefault(check["status"], []).append(check)
    return out


def checks_line(result: Json) -> str:
    count = {status: len(found) for status, found in tally(result["checks"]).items()}
    return f"{count['holds']} hold, {count['violated']} violated, {count['not testable']} not testable"


def leak_line(result: Json) -> str:
    leak = result["leak"]
    status = {True: "passed", False: "not passed"}.get(leak.get("passed"), "not testable")
    fraction = number(result["thresholds"]["leak_fraction"])
    return f"{status}: (shuffled - closed) - {fraction} (live - closed) = {line(leak)}; below zero passes"


def claim_lines(result: Json) -> list[tuple[str, str]]:
    """What accessible support is relative to: printed beside every claim."""
    base, verifier, decoder = result["base"], result["verifier"], result["decoder"]
    cuts = [f"{name} {decoder[key]}" for key, name in (("top_k", "top-k"), ("top_p", "top-p")) if decoder.get(key)]
    size = f", {base['parameters']:,} parameters" if base.get("parameters") else ""
    p0, hard = result["p0"], result["hard"]
    total = tasks_of(result, "test")
    on_hard = f", {line(p0['hard'], '≤ ')} on the hard ones" if p0.get("hard") else ""
    return [
        ("base policy", f"{base['policy']}{size}"),
        ("decoder", f"temperature {decoder['temperature']:g}" + "".join(f", {c}" for c in cuts)),
        ("verifier", verifier["name"] + (", accepts exactly the listed answers" if verifier["exact"] else "")),
        ("budget", "; ".join(f"{world}: {_budget(b)}" for world, b in result["budget"].items())),
        ("closed p0", f"{p0.get('kind', 'missing')}: mean {line(p0, '≤ ')}{on_hard}"),
        ("hard tasks", f"{hard['tasks']:,} of {total:,}, out of reach of {hard['k_acc']:,} closed attempts"),
        *_search(result),
    ]


def _search(result: Json) -> list[tuple[str, str]]:
    """How arms that search do it, and whether the verifier tells them more than a policy can know."""
    if not any(Treatment(arm["treatment"]).searches for arm in result["arms"]):
        return []
    config = result["spec"]["search"]
    told = "chooses among answers, every call counted" if config["verifier"] else "scores the chosen answer alone"
    return [("search", f"{config['algorithm']}, {config['nodes']} nodes; the verifier {told}")]


def _budget(budget: Json) -> str:
    names = (("turns", "turn"), ("tokens", "policy token"), ("calls", "call"))
    return ", ".join(f"{budget[key]:,} {name}{'' if budget[key] == 1 else 's'}" for key, name in names)


def percent(result: Json) -> str:
    """The confidence of printed intervals: ``95 %``."""
    return f"{100 * (1 - result['thresholds']['alpha_report']):g} %"
