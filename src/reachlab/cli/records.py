"""``replay``, ``provenance`` and ``repeat``: what a record says when it is played again.

Not covered: single episodes (``reachlab episode`` makes new ones).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import JsonOption, ResumeOption, WorkersOption, app, command_line

RunArgument = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
ArmOption = Annotated[str, typer.Option("--arm", help="One arm, as the report names it: rl·live.")]
_SHOWN = 10


@app.command()
def replay(run: RunArgument, arm: ArmOption = "", as_json: JsonOption = False) -> None:
    """Play every recorded episode of a run again, offline, and compare bit for bit.

    The policy samples from the recorded seed; tools answer from the record, so
    no sandbox, server or index is needed. Token ids, log-probabilities,
    messages, reward and stop reason must be the same. Exit code 4 if any
    episode differs (another version of a library, another processor).

    Example: reachlab replay runs/demo --arm rl·live
    """
    with console.explained():
        with console.Bar() as bar:
            from reachlab.studies.replay import replay_run

            found = replay_run(run, arm, bar)
        if as_json:
            console.print_json({"schema": "reachlab.replay/1", **asdict(found)})
        else:
            told = f"{found.episodes} episodes, {len(found.differences)} differ"
            console.say(told + (f", {found.skipped} faults left out" if found.skipped else ""))
            for one in found.differences[:_SHOWN]:
                console.say(f"{one.arm}  {one.task}  seed {one.seed}: other {one.what}")
            if len(found.differences) > _SHOWN:
                console.say(f"and {len(found.differences) - _SHOWN} more")
    if found.differences:
        raise typer.Exit(console.BROKEN_PROMISE)


@app.command()
def provenance(run: RunArgument, arm: ArmOption = "", as_json: JsonOption = False) -> None:
    """Exchange the evidence of live episodes for another task's: does the answer flip?

    Each live episode is repeated with its own seed, its last tool results
    replaced by what the shuffled world gives. A success whose answer changes
    is provenance-verified: the observation decided it. Default arm: the
    primary one, rl·live.

    Example: reachlab provenance runs/demo
    """
    with console.explained():
        with console.Bar() as bar:
            from reachlab.studies.provenance import provenance as measured

            found = measured(run, arm, bar)
        if as_json:
            console.print_json(found)
            return
        counted = f"{found['episodes']} episodes" + (f" ({found['faults']} faults left out)" if found["faults"] else "")
        console.say(f"{found['arm']}, {counted}; shares of episodes, 95 % limits over tasks")
        for name, meaning in MEANINGS.items():
            estimate = found[name]
            if estimate["value"] is None:
                console.say(f"{name:9} – {estimate['reason']}")
            else:
                low, high = estimate["ci"]
                console.say(f"{name:9} {estimate['value']:.3g} [{low:.3g}, {high:.3g}]  {meaning}")


@app.command()
def repeat(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="Folder of the new run.")],
    workers: WorkersOption = None,
    resume: ResumeOption = False,
) -> None:
    """Make a run again from the spec in its own record, and compare the results.

    Everything is sampled and learned anew. Exit code 4 if result.json differs
    in more than costs, version and command line.

    Example: reachlab repeat runs/demo --out runs/demo-again
    """
    with console.explained(f"Nothing is lost; go on with: reachlab {command_line(resume=True)}"):
        with console.Bar("analysing and drawing") as bar:
            from reachlab.studies.repeat import repeat as made_again

            command = f"reachlab {command_line()}"
            found = made_again(run, out, workers=workers, resume=resume, report=bar, command=command)
        console.say(f"differs in {', '.join(found)}" if found else "the same result")
    if found:
        raise typer.Exit(console.BROKEN_PROMISE)


MEANINGS = {
    "success": "solved with the true evidence",
    "verified": "solved, and the answer changes with the evidence",
    "unmoved": "solved, and the answer stays whatever is observed",
    "follows": "solved, and with the donor's evidence the answer is the donor's",
}
