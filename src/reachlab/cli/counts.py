"""``verdict``: what the ladder reads in counts that somebody published.

Not covered: runs of one's own (``cli.commands``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import JsonOption, app

CountsArgument = Annotated[Path, typer.Argument(help="Comma-separated counts, one row a task, with a header.")]
HardOption = Annotated[
    list[str] | None,
    typer.Option("--hard", help="Stratum named hard before anyone saw the counts; all for the whole set. Repeatable."),
]
AccessOption = Annotated[
    int, typer.Option("--k-acc", min=1, help="Closed attempts within which a task counts as accessible.")
]


@app.command()
def verdict(
    counts: CountsArgument, hard: HardOption = None, k_acc: AccessOption = 1000, as_json: JsonOption = False
) -> None:
    """Read published counts: the verdict, and what each open rung would need.

    No model is run. Columns: task, base_n, base_c (attempts and successes of
    the base without tools), arm_n, arm_c (of the treated policy with them).
    Optional: shuffled_n, shuffled_c (of the treated policy while its tools
    answer about another task), spent_nats, cost_ratio, stratum.

    Creation (C1 to C4) needs the base in worlds that no such table holds:
    those rungs read excluded or not decidable. What counts can settle: is
    there a gain, does it lie within the base's reach, was the base tried often
    enough to say so, which tasks were gained and lost beyond chance.

    Example: reachlab verdict counts.csv --hard hops=3
    """
    with console.explained():
        with console.working("reading"):
            from reachlab import Thresholds
            from reachlab.studies.published import load, reading
            from reachlab.studies.published.terminal import terminal

            found = reading(load(counts), hard or (), Thresholds(k_acc=k_acc))
        if as_json:
            console.print_json(found)
        else:
            console.out.print(terminal(found))
    if found["verdict"] == "INVALID":
        raise typer.Exit(console.INVALID)
