"""``bench``: every mechanism beside the others.

Not covered: one study (``reachlab run``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import (
    JsonOption,
    PolicyOption,
    ProfileOption,
    ResumeOption,
    SeedOption,
    SeedsOption,
    WorkersOption,
    app,
    command_line,
)


@app.command()
def bench(
    families: Annotated[str, typer.Option(help="all, or names of families with commas between.")] = "all",
    profile: ProfileOption = "default",
    policy: PolicyOption = "tiny",
    seed: SeedOption = 0,
    seeds: SeedsOption = 3,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/bench-PROFILE-SEED.")] = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the default study on several families: one table, one picture.

    Which mechanisms create, and which only elicit: verdict, surplus, bits gained
    against bits imported, interaction effect, and what is left without the tool.
    Each study has a folder of its own in --out, with its full report.

    Example: reachlab bench --families lexicon,program --profile smoke --out runs/bench
    """
    with console.explained(f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"):
        with console.Bar("writing the table") as bar:
            from reachlab.studies.bench import BenchSpec, entries, size
            from reachlab.studies.bench import bench as run_bench
            from reachlab.studies.bench_report import terminal

            chosen = entries([name.strip() for name in families.split(",")])
            for one in chosen:
                one.family.build("families")  # a bad name is said before anything is made
            spec = BenchSpec(chosen, policy, size(profile), seed, seeds)
            folder = out or Path("runs") / f"bench-{profile}-{seed}"
            found = run_bench(spec, folder, workers=workers, resume=resume, report=bar,
                              command=f"reachlab {command_line()}")  # fmt: skip
        if as_json:
            console.print_json(found)
        else:
            console.out.print(terminal(found))
            console.say(f"table, picture and reports: {folder}")
    if any(row["verdict"] == "INVALID" for row in found["rows"]):
        raise typer.Exit(console.INVALID)
