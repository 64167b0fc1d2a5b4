"""Read a table of counts as a referee would: what it settles, and what each open rung would need.

Command: ``python examples/published_counts.py``; for a table of your own ``reachlab verdict counts.csv``.
The numbers of tasks that Qwen3-8B solves with and without tools in 256 attempts are the paper's (arXiv 2508.19201,
figure 3: 341 both, 79 with tools only, 9 without only, 83 neither). It does not give successes per task: here they are
spread evenly from 1 to 256, alike for both, so that rates and curves below are made up and only the flow is not.
"""

from __future__ import annotations

import csv
from pathlib import Path

from reachlab.measure.wording import number
from reachlab.studies.published import load, reading

ATTEMPTS = 256
TOTALS = {"both": 341, "tools": 79, "text": 9, "neither": 83}
COLUMNS = ("task", "base_n", "base_c", "arm_n", "arm_c")


def rows() -> list[tuple[str, int, int, int, int]]:
    out = []
    for kind, tasks in TOTALS.items():
        for i in range(tasks):
            hits = 1 + i * (ATTEMPTS - 1) // max(1, tasks - 1)
            base, arm = (hits if kind in ("both", only) else 0 for only in ("text", "tools"))
            out.append((f"{kind}-{i}", ATTEMPTS, base, ATTEMPTS, arm))
    return out


def main() -> None:
    path = Path("counts.csv")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows()])
    found = reading(load(path))
    print(found["sentence"], "\n")
    for step in found["ladder"]:
        print(f"{step['rung']:8} {step['status']:14} {step['why']}")
    support, reach = found["support"], found["base_reach"]
    print(f"\nflow {support['flow']}, McNemar p {support['mcnemar']:.1e}")
    gained = support["expanded"]["value"]
    print(f"gained beyond a rerun of the base at k = {support['corrected_k']}: {gained:.1%} of the tasks")
    limit, k = number(reach["unsolved_upper"]), reach["unsolved_certified_k"]
    print(f"{reach['unsolved']} tasks never solved by the base: p0 < {limit} at each, out of reach of {k} attempts;")
    print(f"{reach['attempts_at_each']:,} attempts at each would show it of {found['hard']['k_acc']:,}")


if __name__ == "__main__":
    main()
