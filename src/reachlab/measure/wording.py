"""The sentence of a verdict: plain English with the numbers, and for UNDECIDED what would decide it."""

from __future__ import annotations

import math

from reachlab import Estimate, Thresholds
from reachlab.measure.axes import Axes
from reachlab.measure.evidence import Evidence, met
from reachlab.measure.intervals import Interval, clopper_pearson

MEANING = {
    "C1": "affordance-borne expansion",
    "C2": "learned affordance use",
    "C3": "internalised",
    "C4": "transfers to a family it was not trained on",
}


def number(value: float) -> str:
    """Three significant digits; from a thousand on separators and two digits; ``1.2e+15`` from there on."""
    if not math.isfinite(value):
        return "unbounded" if value > 0 else "unbounded below" if value < 0 else "unknown"
    if abs(value) >= 1e15:
        return f"{value:.2g}"
    if abs(value) >= 1000:
        digits = 2 - len(str(int(abs(value))))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


def spoken(estimate: Estimate, unit: str = "") -> str:
    """``11.9 nats [11.6, 12.2]``; open ends are named."""
    if estimate.value is None:
        return f"not available ({estimate.reason})"
    low, high = estimate.ci or (None, None)
    ends = f"[{number(low) if low is not None else '..'}, {number(high) if high is not None else '..'}]"
    lead = "at least " if estimate.kind == "bound" else ""
    return f"{lead}{number(estimate.value)}{' ' + unit if unit else ''} {ends}"


def _limits(interval: Interval | None) -> str:
    return "not available" if interval is None else f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _runs(ev: Evidence) -> str:
    if not ev.conditional:
        return ""
    return "; conditional on one training run" if ev.seeds == 1 else f"; conditional on {ev.seeds} training runs"


def needed_tasks(contrast: Interval, tasks: int, threshold: float = 0.0, above: bool = True) -> int | None:
    """Tasks at which this contrast's limit would pass *threshold* if its value stayed; None if it is on the wrong side.

    The half-width falls as 1/sqrt(tasks) at least, so this errs upwards where one unseen task dominates it.
    """
    distance = contrast.value - threshold if above else threshold - contrast.value
    half = contrast.value - contrast.low if above else contrast.high - contrast.value
    if not distance > 0 or not math.isfinite(half):
        return None
    return math.ceil(tasks * max(1.0, (half / distance) ** 2))


def _creation(rung: str, ev: Evidence) -> str:
    what = MEANING[rung]
    if rung == "C2" and ev.closed_floor:
        what += " (both closed arms are at the floor: a training gain in live)"
    parts = [f"{what}; surplus {spoken(ev.surplus, 'nats')}"]
    share = 100 * (ev.newly.value or 0.0)
    least = "at least " if share < 99.5 else ""
    parts.append(f"{least}{share:.0f} % of the {ev.hard_tasks} hard tasks newly within reach")
    if ev.equivalent_k.value is not None:
        at_least = "at least " if ev.equivalent_k.kind == "bound" else ""
        parts.append(f"the closed base would need {at_least}k ≈ {number(ev.equivalent_k.value)} samples")
    internal = met(ev.internalised)
    if rung == "C3" and internal is not None:
        parts.append(f"{internal.arm} beats closed training by {_limits(internal.contrast)} on the hard tasks")
    return "; ".join(parts)


def _elicited(rung: str, ev: Evidence, thresholds: Thresholds) -> str:
    if rung == "E4":
        named = met(ev.reproduced)
        assert named is not None
        return f"a gain on the hard tasks that {named.arm} reproduces without information: format or room"
    if rung == "E3":
        named = met(ev.closed_gains)
        assert named is not None
        return f"{named.arm} gains {_limits(named.contrast)} on the hard tasks closed: its training data carried it"
    if rung == "E2":
        k = number(thresholds.k_acc)
        return f"tail elicitation, gain {_limits(ev.gain_tail)} where {k} closed attempts get there too"
    if rung == "E1":
        which = "a cheaper way to the same reach" if ev.cheaper else "core reweighting"
        where = f"tasks the closed base solves within {thresholds.tau_attempts} tries"
        return f"{which}, gain {_limits(ev.gain_core)} on {where}"
    return f"no gain over the closed base, {_limits(ev.gain)} (less than {thresholds.margin} at 97.5 %)"


def _silent(axes: Axes) -> str:
    parts = []
    for name in axes.failing():
        axis: Interval | None = getattr(axes, name)
        if axis is None:
            parts.append(f"{name} not available")
        elif name == "divergence" and axis.value <= 0:
            parts.append("divergence is silent (spent >= required), only compute speaks")
        else:
            parts.append(f"{name} {axis.value:.3g}, at least {axis.low:.3g}")
    return f"against the {axes.world} base: " + (axes.reason + ": " if axes.reason else "") + ", ".join(parts)


def _undecided(ev: Evidence, thresholds: Thresholds) -> str:
    """What is missing, and the tasks, episodes or runs that would supply it."""
    if ev.blocked:
        return ev.blocked
    out: list[str] = []
    if ev.hard_tasks == 0:
        out.append("no test task is hard")
    elif ev.gain_hard is None or ev.gain_hard.low <= 0:
        out.append(f"gain on the {ev.hard_tasks} hard tasks {_limits(ev.gain_hard)}")
        out += _more("to show it", ev.gain_hard, ev.hard_tasks)
    else:
        gone = [str(a.world) for a in ev.axes if a.kind == "missing"]
        out += [f"the base was not evaluated in {', '.join(gone)}"] if gone else []
        out += [_silent(a) for a in ev.axes if not a.passed and a.kind != "missing"]
        for a in ev.axes:
            out += _more(f"for compute against {a.world}", None if a.passed else a.compute, ev.hard_tasks)
            out += _base_episodes(a, thresholds)
        out += _gate(ev)
    if ev.absent is not None and ev.gain is not None and not ev.gain.low > 0:
        reach = Interval(ev.gain.value, ev.gain.low, ev.absent)
        out += _more("to rule a gain out", reach, ev.tasks, thresholds.margin, above=False)
    if ev.seeds in (1, 2) or (ev.seeds and ev.gain_hard is not None and ev.gain_hard.low <= 0):
        out.append("more training runs" if ev.seeds >= 3 else "three training runs to speak beyond these")
    return "; ".join(dict.fromkeys(out)) or "no row of the table is established"


def _base_episodes(axes: Axes, thresholds: Thresholds) -> list[str]:
    """How many episodes of the base would show that it does not reach the hard tasks, if that is so."""
    if axes.kind != "sampled" or axes.support is None or axes.support.low > 0 or not axes.attempts:
        return []
    t, error = thresholds.t, thresholds.alpha / 2
    reached = clopper_pearson(axes.hits, axes.attempts, error).high / t
    share = axes.support.low + reached  # what the arm's own lower limit supports
    if share <= 0:
        return [f"more tasks or training runs for support against {axes.world}"]
    needed = -math.log(error) / (t * share * 0.8)  # without a hit, U/t then falls to 80 % of that share
    if axes.hits >= t * max(axes.attempts, needed):
        return [f"the {axes.world} base reaches the hard tasks ({axes.hits} of {axes.attempts} episodes)"]
    return [f"about {number(needed)} base episodes in {axes.world} for support"]


def _gate(ev: Evidence) -> list[str]:
    if ev.leak.passed:
        return []
    if ev.leak.gate is None:
        return ["the leak gate needs shuffled, closed and live arms"]
    return [f"leak gate {_limits(ev.leak.gate)} is not below 0",
            *_more("to pass it", ev.leak.gate, ev.hard_tasks, above=False)]  # fmt: skip


def _more(why: str, contrast: Interval | None, tasks: int, threshold: float = 0.0, above: bool = True) -> list[str]:
    if contrast is None or not tasks:
        return []
    needed = needed_tasks(contrast, tasks, threshold, above)
    return [f"about {number(needed)} tasks {why}"] if needed is not None and needed > tasks else []


def sentence(rung: str, ev: Evidence, thresholds: Thresholds, note: str = "") -> str:
    """``retrieval on Lexicon is C2: learned affordance use; surplus 11.9 nats [11.6, 12.2]; ...``."""
    if rung == "INVALID":
        why = [f"{c.name}: {c.detail}" for c in ev.violated]
        why += [] if why else [f"observations leak: {ev.leak.arm} is above silent and imagined"]
        body = "the run cannot be read; " + "; ".join(why)
    elif rung == "UNDECIDED":
        body = (note + "; " if note else "") + _undecided(ev, thresholds)
        note = ""
    else:
        body = _creation(rung, ev) if rung in MEANING else _elicited(rung, ev, thresholds)
    tail = "" if rung in ("INVALID", "UNDECIDED") else _runs(ev)
    trained = f" (trained on {ev.transfer})" if ev.transfer else ""
    return f"{ev.mechanism} on {ev.family}{trained} is {rung}: {body}{tail}{'; ' + note if note else ''}"
