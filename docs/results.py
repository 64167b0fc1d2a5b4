"""Print the README's table of results from finished runs. Command: ``python docs/results.py runs/demo [RUN ...]``.

Not covered: throughput (``benchmarks/throughput.py``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ARMS = (
    "base·closed", "base·live", "base·oracle", "rl·live", "rl·live→closed", "rl·live→silent", "rl·live→imagined",
    "rl·live→shuffled", "distil·live→closed", "base·closed (train)", "sft·closed (train)", "rl·closed (train)",
)  # fmt: skip
COLUMNS = ("success", "success_hard", "spent_nats", "required_nats", "surplus_nats")


def cell(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    low, high = estimate["ci"] or (None, None)
    ends = "" if low is None or high is None or low == high else f" [{low:.3g}, {high:.3g}]"
    return f"{estimate['value']:.3g}{ends}"


def main(runs: list[Path]) -> None:
    print("| arm | success | on hard tasks | spent, nats | required, nats | surplus, nats |")
    print("|---|---|---|---|---|---|")
    results = [json.loads((run / "result.json").read_text()) for run in runs]
    for name in ARMS:
        arm = next(a for a in results[0]["arms"] if a["name"] == name)
        # Spent on the hard tasks, where there are some: it adds up with required and surplus.
        paid = {**arm, "spent_nats": arm["spent_nats"].get("hard") or arm["spent_nats"]}
        print(f"| {name} | {' | '.join(cell(paid[column]) for column in COLUMNS)} |")
    for run, result in zip(runs, results, strict=True):
        print(f"\n{run.name}: {result['verdicts'][0]['sentence']}")


if __name__ == "__main__":
    main([Path(run) for run in sys.argv[1:]])
