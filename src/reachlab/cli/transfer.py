"""``transfer``: what was learned on one family, evaluated on another.

Not covered: the run that learns it (``reachlab run``).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import (
    DialOption,
    JsonOption,
    OutOption,
    ResumeOption,
    WorkersOption,
    app,
    command_line,
    options_of,
)
from reachlab.registry import Spec


@app.command()
def transfer(
    source: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run: its trained policies are evaluated.")],
    family: Annotated[str, typer.Option(help="Family to evaluate on: not the one of the run.")],
    dial: DialOption = None,
    out: OutOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate what a run trained on another family: does what was learned carry over (C4)?

    The base and the run's policies meet fresh test tasks of the other family
    in all worlds: the same frontier, checks and table. C4 is C2 or C3 there.
    Without --out it goes to runs/transfer-RUN-FAMILY.

    Example: reachlab transfer runs/demo --family composition
    """
    with console.explained(f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"):
        with console.Bar("analysing and drawing") as bar:
            from reachlab.studies.report import terminal
            from reachlab.studies.transfer import transfer as evaluate

            spec = Spec(family, options_of(dial))
            folder = out or _folder(source, spec)
            command = f"reachlab {command_line()}"
            result = evaluate(source, spec, folder, workers=workers, resume=resume, report=bar, command=command)
        if as_json:
            console.print_json(result)
        else:
            console.out.print(terminal(result))
            console.say(f"pictures and report: {folder}/report.md")
    if result["verdicts"][0]["verdict"] == "INVALID":
        raise typer.Exit(console.INVALID)


def _folder(source: Path, family: Spec) -> Path:
    """runs/transfer-RUN-FAMILY, with a tag for dials."""
    dials = json.dumps(family.options, sort_keys=True)
    tag = [hashlib.sha256(dials.encode()).hexdigest()[:6]] if family.options else []
    return Path("runs") / "-".join(["transfer", source.resolve().name, family.name.rpartition(":")[2], *tag])
