"""``boundary``: the map of one family, as a dial makes its tasks harder.

Not covered: one study (``reachlab run``), several families (``reachlab bench``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reachlab.cli import console
from reachlab.cli.commands import (
    FamilyArgument,
    JsonOption,
    PolicyOption,
    ProfileOption,
    ResumeOption,
    SeedOption,
    WorkersOption,
    app,
    command_line,
    options_of,
)
from reachlab.errors import BadValue


@app.command()
def boundary(
    family: FamilyArgument,
    dial: Annotated[
        str, typer.Option(help="What is swept, easiest first: NAME=VALUES, such as digits=1,2,3; default: as usual.")
    ] = "",
    fixed: Annotated[
        list[str] | None, typer.Option(help="Another dial of the family, as name=JSON. Repeatable.")
    ] = None,
    profile: ProfileOption = "default",
    policy: PolicyOption = "tiny",
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/boundary-FAMILY-DIAL-PROFILE-SEED.")] = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the map: where reweighting turns from elicitation into creation.

    One study for each value of a dial that makes tasks harder: the lines that
    follow from closed p0 alone, and the arms that were measured on top.

    Example: reachlab boundary lexicon --dial digits=1,2,4 --profile smoke --out runs/map
    """
    with console.explained(f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"):
        with console.Bar("drawing the map") as bar:
            from reachlab.studies.boundary import boundary as run_boundary
            from reachlab.studies.boundary import boundary_spec
            from reachlab.studies.boundary.report import terminal
            from reachlab.studies.spec import profile as find_profile

            name, values = swept(dial)
            spec = boundary_spec(family, find_profile(profile), name, values, options_of(fixed), policy, seed)
            short = family.rpartition(":")[2]
            folder = out or Path("runs") / f"boundary-{short}-{spec.dial}-{profile}-{seed}"
            found = run_boundary(spec, folder, workers=workers, resume=resume, report=bar,
                                 command=f"reachlab {command_line()}")  # fmt: skip
        if as_json:
            console.print_json(found)
        else:
            console.out.print(terminal(found))
            console.say(f"map, table and reports: {folder}")
    if any(row["verdict"] == "INVALID" for row in found["rows"]):
        raise typer.Exit(console.INVALID)


def swept(dial: str) -> tuple[str, list[Any]]:
    """``digits=1,2,3`` or ``digits=[1,2,3]``: a name and its values. A name alone is swept as usual."""
    name, equals, text = dial.partition("=")
    if not equals:
        return name, []
    parts = text.strip().removeprefix("[").removesuffix("]").split(",")
    values = [_value(part.strip()) for part in parts if part.strip()]
    if not name or not values:
        raise BadValue("--dial", dial, "NAME=VALUES with commas between, for example digits=1,2,3")
    return name, values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
