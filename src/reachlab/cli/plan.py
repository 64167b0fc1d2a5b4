"""``plan``: how large a study must be to decide an effect, and what it costs.

Not covered: studies themselves (``cli.commands``).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from reachlab import Json, Thresholds
from reachlab.cli import console
from reachlab.cli.commands import JsonOption, PolicyOption, app
from reachlab.errors import BadValue, CorruptRun, ReachlabError
from reachlab.measure import kl

if TYPE_CHECKING:
    from reachlab.studies.planning import Effect, Plan
    from reachlab.studies.planning.pricing import Survey
    from reachlab.studies.spec import StudySpec

SCHEMA = "reachlab.plan/1"
FamilyArgument = Annotated[
    str | None, typer.Argument(help="Family to measure on this machine: a few hundred episodes, some seconds.")
]
RunOption = Annotated[Path | None, typer.Option("--run", help="Finished run to take the effect and its tokens from.")]
SuccessOption = Annotated[float | None, typer.Option(help="Success of the trained arm on the hard tasks.")]
ClosedOption = Annotated[float | None, typer.Option(help="Closed-book success of the base on the hard tasks.")]
SpentOption = Annotated[float | None, typer.Option(help="Nats that training spends.")]
HardOption = Annotated[float | None, typer.Option(help="Share of the tasks that are hard.")]
PowerOption = Annotated[float, typer.Option(help="Share of studies that are to find it.")]
EpisodesOption = Annotated[
    int | None, typer.Option(min=1, help="Episodes per test task and arm; default 16, or as in the run.")
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, help="Training runs, default 1; from 3 on the verdict is not conditional on them.")
]
AlphaOption = Annotated[float | None, typer.Option(help="One-sided error of each axis; default .001, or the run's.")]
NoBoundOption = Annotated[
    bool, typer.Option("--no-bound", help="The base might know the answers: no bound on p0 holds.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the simulated studies: same seed, same plan.")]
Given = dict[str, float | None]


@app.command()
def plan(
    family: FamilyArgument = None,
    policy: PolicyOption = "tiny",
    run: RunOption = None,
    success: SuccessOption = None,
    closed: ClosedOption = None,
    spent: SpentOption = None,
    hard: HardOption = None,
    power: PowerOption = 0.95,
    episodes: EpisodesOption = None,
    seeds: SeedsOption = None,
    alpha: AlphaOption = None,
    no_bound: NoBoundOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How many tasks, episodes and training runs decide an effect, and what they cost.

    What is not given is taken from --run, else from FAMILY: the hard tasks and
    the bound on closed success that it states, the success live of its
    untrained base, and the least nats by which training could raise that to
    --success. The answer is found by running the verdict itself on simulated
    studies. The machine is timed with FAMILY and --policy, or those of the run.

    Example: reachlab plan --success 0.9 --closed 1e-5 --spent 1.2 --hard 0.6

    Example: reachlab plan lexicon --success 0.9
    """
    with console.explained("Nothing was written."):
        with console.working("starting"):
            from reachlab.studies import planning

        result = _finished(run)
        spec = _spec(result, family, policy)
        size = spec.profile.episodes if spec else 16, spec.seeds if spec else 1
        episodes, seeds = episodes or size[0], seeds or size[1]
        thresholds = _thresholds(result, alpha)
        planning.check(thresholds, power, episodes, seeds)
        survey, why = _survey(spec, thresholds, required=family is not None)
        given: Given = {"success": success, "closed": closed, "spent": spent, "hard": hard}
        effect = _effect(given, result, survey, no_bound, spec)
        with console.Bar() as bar:
            found = planning.plan(effect, thresholds, power, episodes, seeds, seed=seed, report=bar)
        content = _content(found, spec, result, survey, why)
        if as_json:
            console.print_json({"schema": SCHEMA, "alpha": thresholds.alpha, "wanted": power, "seed": seed, **content})
        else:
            console.say(_title(content["effect"]))
            console.out.print(_table(content))
            console.say(content["sentence"])


def _finished(run: Path | None) -> Json | None:
    """result.json of a finished study."""
    from reachlab.studies.conclude import SCHEMA as STUDY
    from reachlab.studies.store import read_json

    if run is None:
        return None
    path = run / "result.json"
    if not path.exists():
        raise CorruptRun(f"{run} is no finished run: it has no result.json")
    result = read_json(path)
    if not isinstance(result, dict) or result.get("schema") != STUDY:
        raise CorruptRun(f"{path} is no result of a study ({STUDY})")
    return result


def _spec(result: Json | None, family: str | None, policy: str) -> StudySpec | None:
    """The study that would be run: of FAMILY with the default profile, or like the finished one."""
    from reachlab.registry import Spec
    from reachlab.studies.spec import StudySpec

    if family is not None:
        return StudySpec(Spec(family), policy)
    return StudySpec.from_json(result["spec"]) if result else None


def _thresholds(result: Json | None, alpha: float | None) -> Thresholds:
    found = Thresholds(**result["thresholds"]) if result else Thresholds()
    return found if alpha is None else replace(found, alpha=alpha)


def _survey(spec: StudySpec | None, thresholds: Thresholds, required: bool) -> tuple[Survey | None, str]:
    """What the base tells on this machine, or why it was not asked; of a finished run the policy may be gone."""
    if spec is None:
        return None, "name a FAMILY, or a --run"
    with console.working(f"measuring {spec.policy} on {spec.family.name}"):
        from reachlab.studies.planning.pricing import measure

        try:
            return measure(spec.family, spec.policy, spec.profile, thresholds.t), ""
        except ReachlabError as error:
            if required:
                raise
            return None, str(error)


def _effect(
    given: Given, result: Json | None, survey: Survey | None, no_bound: bool, spec: StudySpec | None
) -> Effect:
    """What was given, the rest from the run or the family."""
    from reachlab.studies.planning import Effect, effect_of

    known: dict[str, Any] = {"hard": 1.0}
    if result is not None:
        known = asdict(effect_of(result))
    elif survey is not None:
        known = {"success": survey.live, "closed": survey.closed, "hard": survey.hard, "live": survey.live,
                 "cost": survey.cost, "easy": survey.easy, "bound": survey.closed is not None}  # fmt: skip
    known |= {name: value for name, value in given.items() if value is not None}
    known |= {"bound": False} if no_bound else {}
    known |= {"base_repeats": spec.profile.base_repeats} if spec and not known.get("bound", True) else {}
    if known.get("live") and known.get("success"):
        known.setdefault("spent", float(kl(known["success"], known["live"])))
    for name in given:
        if known.get(name) is None:
            raise BadValue(f"--{name}", None, "a number, where neither --run nor FAMILY tells it")
    return Effect(**known)


def _content(found: Plan, spec: StudySpec | None, result: Json | None, survey: Survey | None, why: str) -> Json:
    """The plan with its bill: tokens of the run, else measured; seconds measured."""
    from reachlab.studies.planning import advice, pricing
    from reachlab.studies.spec import PROFILES

    if found.size is None:
        return advice.spoken({**found.to_json(), "cost": None})
    profile = spec.profile if spec else PROFILES["default"]
    prices = pricing.prices_of(result) if result else survey.prices if survey else None
    repeats = found.effect.base_repeats
    bill = {**pricing.cost(found.size, profile, prices, base_repeats=repeats), "reason": why}
    bill["seconds"] = pricing.seconds(found.size, profile, survey.prices, repeats) if survey else None
    return advice.spoken({**found.to_json(), "cost": bill})


def _title(effect: Json) -> str:
    facts = f"success {effect['success']:.3g}, closed {effect['closed']:.2g}, {effect['spent']:.3g} nats spent"
    return f"On the hard tasks, {100 * effect['hard']:.0f} % of all: {facts}"


def _table(content: Json) -> Table:
    """One row per condition of creation."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    rows = content["requirements"]
    heads = ["condition of creation", "test tasks alone", "base episodes in each world without information"]
    for head in heads if any(row["base_episodes"] for row in rows) else heads[:2]:
        table.add_column(head, justify="left" if head == heads[0] else "right")
    for row in rows:
        cells = [row["name"], *("–" if n is None else f"{n:,}" for n in (row["tasks"], row["base_episodes"]))]
        table.add_row(*cells[: len(table.columns)])
    return table
