"""A plan in words, and the plan that an undecided run asks for.

Not covered: how a plan is found (``search``).
"""

from __future__ import annotations

from reachlab import Json, Thresholds
from reachlab.errors import BadValue
from reachlab.measure.intervals import MIN_SEEDS
from reachlab.measure.wording import number
from reachlab.studies.planning.effect import effect_of
from reachlab.studies.planning.pricing import cost, prices_of
from reachlab.studies.planning.search import plan
from reachlab.studies.spec import StudySpec

FEW_STUDIES, COARSE = 20, 8
"""Of the plan in a result: studies at each size, and one part of the tasks to which they are found."""


def decisive(result: Json) -> Json:
    """What a finished run's result.json says would decide it: its effect, planned with few simulated studies.

    Tokens and episodes are of a study like it on as many tasks. Nothing here depends on the machine.
    """
    try:
        effect = effect_of(result)
    except BadValue as error:
        return undecidable(str(error))
    spec, th = StudySpec.from_json(result["spec"]), Thresholds(**result["thresholds"])
    episodes = max(spec.profile.episodes, th.min_episodes)
    found = plan(effect, th, episodes=episodes, seeds=spec.seeds, replicates=FEW_STUDIES, fineness=COARSE)
    repeats = effect.base_repeats
    bill = cost(found.size, spec.profile, prices_of(result), base_repeats=repeats) if found.size else None
    return spoken({**found.to_json(), "cost": bill})


def undecidable(reason: str) -> Json:
    """A plan that is none."""
    size: Json = {"tasks": None, "episodes": None, "seeds": None}
    found: Json = {"power": None, "studies": 0, "claims": [], "reason": reason, "requirements": [], "effect": None}
    return spoken({**size, **found, "cost": None})


def spoken(found: Json) -> Json:
    """A plan with its ``sentence``."""
    return {**found, "sentence": sentence(found)}


def sentence(found: Json) -> str:
    """``146 test tasks x 16 episodes, 1 training run: creation found in 97 % [93, 99] of 200 simulated studies``."""
    if found["tasks"] is None:
        lead = "no number of tasks finds creation" if found["effect"] else "no plan can be made"
        return f"{lead}: {found['reason']}"
    runs = found["seeds"]
    text = f"{found['tasks']:,} test tasks x {found['episodes']} episodes, {runs} training run" + "s" * (runs > 1)
    power = found["power"]
    if power["value"] is None:
        text += f" ({found['reason']})"
    else:
        value, low, high = (f"{100 * v:.0f}" for v in (power["value"], *power["ci"]))
        text += f": creation found in {value} % [{low}, {high}] of {found['studies']} simulated studies"
    parts = [text, *_bill(found.get("cost"))]
    if runs < MIN_SEEDS:
        parts.append(f"{MIN_SEEDS} training runs for a statement that is not conditional on them")
    return "; ".join(parts)


def _bill(bill: Json | None) -> list[str]:
    if bill is None:
        return []
    paid = [f"about {large(bill['episodes'] + bill['training_episodes'])} episodes"]
    paid += [f"{large(bill['tokens'])} tokens"] if bill["tokens"] is not None else []
    paid += [f"{duration(bill['seconds'])} of one process on this machine"] if bill.get("seconds") else []
    missing = " and ".join(name for name in ("tokens", "seconds") if name in bill and bill[name] is None)
    return [", ".join(paid), *([f"{missing} not available ({bill['reason']})"] if missing else [])]


def large(count: float) -> str:
    """Two digits: ``82,000``, ``1.2 million``."""
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if count >= unit:
            return f"{float(f'{count / unit:.2g}'):,g} {name}"
    return number(count)


def duration(seconds: float) -> str:
    """``2 min 10 s``."""
    whole = max(1, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
