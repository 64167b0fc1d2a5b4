"""``calibrate``: how often the verdict errs.

Not covered: the studies of language models themselves (``cli.commands``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import JsonOption, ResumeOption, SeedOption, WorkersOption, app, command_line

ProfileOption = Annotated[str, typer.Option(help="Number of studies: smoke, default or full.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder; default: runs/calibration-PROFILE-SEED.")]


@app.command()
def calibrate(
    profile: ProfileOption = "default",
    seed: SeedOption = 0,
    out: OutOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the verdict on worlds of known truth: how often it cries creation where there is none, and sees it where
    there is.

    Prints the confusion table, false-creation, missed and UNDECIDED rates with intervals, the coverage of every printed
    interval, and power against tasks, episodes and training runs. smoke takes a minute, default ten on two cores.
    Exit code 4 if a promise is broken.

    Example: reachlab calibrate --profile smoke
    """
    with console.explained(f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"):
        with console.working("building the worlds"):
            from reachlab.studies.calibration import CalibrationSpec, calibration_profile
            from reachlab.studies.calibration import calibrate as run_calibration
            from reachlab.studies.calibration.report import terminal

            spec = CalibrationSpec(calibration_profile(profile), seed)
        folder = out or Path("runs") / f"calibration-{profile}-{seed}"
        with console.Bar("counting and drawing") as bar:
            command = f"reachlab {command_line()}"
            result = run_calibration(spec, folder, workers=workers, resume=resume, report=bar, command=command)
        if as_json:
            console.print_json(result)
        else:
            console.out.print(terminal(result))
            console.say(f"picture and report: {folder}/report.md")
    if any(promise["kept"] is False for promise in result["promises"]):
        raise typer.Exit(console.BROKEN_PROMISE)
