"""The commands. Each one reads its arguments, calls one function of ``reachlab.studies`` and prints what it returns.

Not covered: anything that a Python program would want to do itself; it calls ``reachlab.studies``.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachlab import Family, Json, Split, Treatment, World
from reachlab.cli import console
from reachlab.errors import BadValue, UnknownName

if TYPE_CHECKING:
    from reachlab.studies.spec import StudySpec

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Does interaction expand what a language model can do, or does training only tilt what it could do already?",
)

FamilyArgument = Annotated[str, typer.Argument(help="Family: a short name (see `list`) or module:attribute.")]
FolderArgument = Annotated[Path, typer.Argument(help="A finished run directory.")]
PolicyOption = Annotated[str, typer.Option(help="Base policy: tiny, a folder, or a Hugging Face name.")]
DialOption = Annotated[list[str] | None, typer.Option("--dial", help="Dial of the family, as name=JSON. Repeatable.")]
SeedOption = Annotated[int, typer.Option(help="Seed of tasks, episodes and training: same seed, same result.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
ResumeOption = Annotated[bool, typer.Option(help="Go on with the study that --out holds.")]
OutOption = Annotated[Path | None, typer.Option(help="Run directory; default: one in runs/ named after the arguments.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Processes; never changes a number.")]
ProfileOption = Annotated[str, typer.Option(help="Sizes of the study: smoke, default or full.")]
DesignOption = Annotated[str, typer.Option(help="Arms of the study: default, or a set with more rivals (see `list`).")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Training runs; with one the verdict is conditional on it.")]


@app.command()
def run(
    family: FamilyArgument,
    profile: ProfileOption = "default",
    policy: PolicyOption = "tiny",
    seed: SeedOption = 0,
    seeds: SeedsOption = 1,
    design: DesignOption = "default",
    dial: DialOption = None,
    out: OutOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a whole study: every arm, the frontier, the theorem checks, a verdict with error bars.

    Without --out it goes to runs/FAMILY-PROFILE-SEED, plus a tag for a policy, design, dials or seeds of your own.

    Example: reachlab run lexicon --profile smoke --out runs/first
    """
    from reachlab.studies import run as run_study
    from reachlab.studies.report import terminal

    hint = f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"
    with console.explained(hint):
        spec = _spec(family, profile, policy, seed, seeds, dial, design)
        folder = out or _folder(spec, profile)
        with console.Bar("analysing and drawing") as bar:
            command = f"reachlab {command_line()}"
            result = run_study(spec, folder, workers=workers, resume=resume, report=bar, command=command)
        if as_json:
            console.print_json(result)
        else:
            console.out.print(terminal(result))
            console.say(f"pictures and report: {folder}/report.md")
    if result["verdicts"][0]["verdict"] == "INVALID":
        raise typer.Exit(console.INVALID)


@app.command()
def train(
    family: FamilyArgument,
    world: Annotated[str, typer.Option(help="World trained in.")] = "live",
    algorithm: Annotated[str, typer.Option(help="Treatment: rl, rl-random, sft, rft or distil.")] = "rl",
    profile: ProfileOption = "default",
    policy: PolicyOption = "tiny",
    seed: SeedOption = 0,
    dial: DialOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train one treatment and keep its weights in Hugging Face format.

    Example: reachlab train lexicon --world live --algorithm rl --out runs/rl
    """
    from reachlab.studies.study import train_one

    with console.explained(f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"):
        treatment, place = _member(Treatment, "algorithm", algorithm), _member(World, "world", world)
        spec = _spec(family, profile, policy, seed, 1, dial)
        folder = out or _folder(spec, profile, algorithm, world)
        with console.Bar() as bar:
            status = train_one(spec, folder, treatment, place, resume=resume, report=bar)
        if as_json:
            console.print_json(status)
            return
        console.say(f"weights: {status['weights']}")
        for line in _last_metrics(Path(status["weights"])):
            console.say(line)
        if not status["signal"]:
            console.say(f"no signal: {status['reason']}")


@app.command()
def episode(
    family: FamilyArgument,
    world: Annotated[str, typer.Option(help="World: closed, silent, imagined, shuffled, live or oracle.")] = "live",
    policy: PolicyOption = "tiny",
    base: Annotated[
        str | None, typer.Option(help="Who writes the observations of the imagined world; default: the policy.")
    ] = None,
    task: Annotated[int, typer.Option(min=0, help="Task seed.")] = 0,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    seed: SeedOption = 0,
    dial: DialOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play one episode and show its transcript.

    --policy script plays the family's own solution: the quickest way to see a
    tool or an environment of your own at work.

    Example: reachlab episode lexicon --world shuffled --policy runs/first/policies/rl-live-0
    """
    with console.explained():
        part, place = _split(split), _member(World, "world", world)
        with console.working("loading the model"):
            from reachlab.studies.rollout import play
            from reachlab.studies.transcript import as_json as to_json
            from reachlab.studies.transcript import render

            played = play(_family(family, dial), policy, base, place, part, task, seed)
        if as_json:
            console.print_json(to_json(*played))
        else:
            console.out.print(render(*played))


@app.command("list")
def list_names(as_json: JsonOption = False) -> None:
    """List what can be named: families, policies, tools, sandboxes, profiles, designs, worlds, treatments."""
    from reachlab.studies.designs import DESIGNS
    from reachlab.studies.spec import PROFILES

    with console.explained():
        content = _listing()
        content["profiles"] = {name: asdict(p) for name, p in PROFILES.items()} if as_json else list(PROFILES)
        content["designs"] = list(DESIGNS)
        if as_json:
            console.print_json(content)
            return
        for kind, names in content.items():
            console.say(", ".join(names) or "none", label=f"{kind}:")


@app.command()
def report(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Analyse a finished run again: table, pictures, report.md, result.json. Samples nothing."""
    with console.explained():
        with console.working("analysing and drawing"):  # the imports take their time too
            from reachlab.studies.conclude import conclude_again
            from reachlab.studies.report import terminal

            result = conclude_again(folder)
        if as_json:
            console.print_json(result)
        else:
            console.out.print(terminal(result))


@app.command()
def compare(
    first: FolderArgument,
    second: FolderArgument,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs arm by arm, paired on the tasks they share."""
    with console.explained():
        with console.working("comparing"):
            from reachlab.studies.compare import compare as compare_runs
            from reachlab.studies.compare import comparison

            result = compare_runs(first, second)
        if as_json:
            console.print_json(result)
        else:
            console.out.print(comparison(result))


def _spec(
    family: str, profile: str, policy: str, seed: int, seeds: int, dials: list[str] | None, design: str = "default"
) -> StudySpec:
    from reachlab.registry import Spec
    from reachlab.studies.spec import StudySpec
    from reachlab.studies.spec import profile as find_profile

    spec = StudySpec(Spec(family, options_of(dials)), policy, find_profile(profile), seed, seeds, design=design)
    _family(family, dials)  # a bad name or dial is said before anything is made
    return spec


def _family(family: str, dials: list[str] | None) -> Family:
    from reachlab.registry import Spec

    built = Spec(family, options_of(dials)).build("families")
    if not isinstance(built, Family):
        raise BadValue("family", family, f"a name of a reachlab.Family; this {type(built).__name__} is none")
    return built


def _folder(spec: StudySpec, profile: str, *training: str) -> Path:
    """The default --out: FAMILY-PROFILE-SEED, or FAMILY-ALGORITHM-WORLD-SEED of one training.

    What the name leaves out and is not the default makes a tag, so that two studies do not meet in one folder.
    """
    left_out: Json = {"dials": dict(spec.family.options)}
    left_out |= {name: getattr(spec, name) for name in ("policy", "seeds", "design")}
    usual: Json = {"policy": "tiny", "dials": {}, "seeds": 1, "design": "default"}
    if training:
        left_out["profile"], usual["profile"] = profile, "default"
    module, _, short = spec.family.name.rpartition(":")
    left_out["module"], usual["module"] = module, ""
    unusual = {name: value for name, value in left_out.items() if value != usual[name]}
    digest = hashlib.sha256(json.dumps(unusual, sort_keys=True).encode()).hexdigest()
    named = [short, *(training or [profile]), str(spec.seed), *([digest[:6]] if unusual else [])]
    return Path("runs") / "-".join(named)


def options_of(dials: list[str] | None) -> Json:
    """``name=JSON`` options; what is not JSON is taken as text."""
    options: Json = {}
    for dial in dials or []:
        name, equals, value = dial.partition("=")
        if not equals or not name:
            raise BadValue("--dial", dial, "name=JSON, for example hops=[1,2]")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _member(kind: Any, what: str, value: str) -> Any:
    if value not in list(kind):
        raise UnknownName(what, value, list(kind))
    return kind(value)


def _split(value: str) -> Split:
    match value:
        case "train":
            return "train"
        case "test":
            return "test"
    raise BadValue("split", value, "train or test")


def _listing() -> Json:
    from reachlab.registry import SHORT_NAMES, names, problems

    content: Json = {kind: names(kind) for kind in SHORT_NAMES}  # type: ignore[arg-type]
    broken = {name: why for kind in SHORT_NAMES for name, why in problems(kind).items()}  # type: ignore[arg-type]
    for name, why in broken.items():
        console.complain(why, label=f"plug-in {name} is broken:", style="yellow")
    return {**content, "worlds": list(World), "treatments": list(Treatment)}


def _last_metrics(weights: Path) -> list[str]:
    lines = [json.loads(line) for line in (weights / "metrics.jsonl").read_text().splitlines()]
    if not lines:
        return []
    shown = [lines[0], lines[-1]] if len(lines) > 1 else lines
    keys = ("step", "reward", "kl", "entropy", "calls", "length", "loss")
    return ["  ".join(f"{k} {line[k]:.4g}" for k in keys if line.get(k) is not None) for line in shown]


def command_line(resume: bool = False) -> str:
    arguments = sys.argv[1:] + (["--resume"] if resume and "--resume" not in sys.argv else [])
    return shlex.join(arguments)
