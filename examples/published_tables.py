"""Published tables on expansion and shrinkage, read with limits and a placebo.

Command: ``python examples/published_tables.py``.
The counts are the papers' (arXiv 2507.14843 table 1, 2604.14877 section 4, 2508.19201 figure 3 and table 6,
2401.01879); intervals (95 %), exact McNemar p-values and the placebo are computed here. Not covered: runs of your own
(``reachlab run``), and what only attempts per task can tell (``reachlab.measure.flow.corrected_at``).
"""

from __future__ import annotations

import numpy as np

from reachlab.measure.flow import Flow, net_flow
from reachlab.measure.frontier import best_of_bound, best_of_kl
from reachlab.measure.intervals import Interval
from reachlab.measure.significance import mcnemar

ALPHA = 0.025
SUPPORT = {
    "ProRL-1.5B-v2": Flow(2388, 48, 175, 793),
    "Nemotron-1-7B": Flow(2715, 28, 56, 605),
    "OLMo-2-1B, math": Flow(761, 83, 104, 599),
    "Qwen3-8B, RL + tools": Flow(341, 79, 9, 83),
}
"""Preserved, expanded, shrunk, out: three rows of arXiv 2507.14843, one of 2508.19201 (512 tasks, k = 256)."""
BOUNDARIES = {"RL over base": (5, 1), "SFT over base": (3, 7), "RL over SFT": (9, 1)}
"""Of 100 bridge questions in 64 attempts: gained, lost (arXiv 2604.14877)."""
PURE_TEXT = {32: 0.5942, 64: 0.6271, 128: 0.6575, 256: 0.6836}
"""pass@k of Qwen3-8B without tools (arXiv 2508.19201, table 6)."""


def show(found: Interval) -> str:
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def support() -> None:
    print("Support dynamics: retention, discovery, net change; p of no net flow")
    for name, flow in SUPPORT.items():
        cells = "   ".join(show(metric(ALPHA)) for metric in (flow.srr, flow.ndr, flow.nscr))
        print(f"{name:20} {cells}   p {flow.p_value():.2g}")


def boundaries() -> None:
    print("\nBoundary differences in 100 tasks: gained : lost, net share of tasks, p")
    for name, (gained, lost) in BOUNDARIES.items():
        print(
            f"{name:20} {gained} : {lost}   {show(net_flow(gained, lost, 100, ALPHA))}   p {mcnemar(gained, lost):.2g}"
        )


def placebo() -> None:
    print("\nPlacebo: the share that a second run of the same model newly solves, pass@2k - pass@k")
    for k in (32, 64, 128):
        print(f"k = {k:<16} {PURE_TEXT[2 * k] - PURE_TEXT[k]:.1%}")
    tools = SUPPORT["Qwen3-8B, RL + tools"]
    gained, lost = tools.expanded / tools.tasks, tools.shrunk / tools.tasks
    print(f"with tools, k = 256: {gained:.1%} expanded, {lost:.1%} shrunk; net {show(tools.net(ALPHA))}")


def best_of_n() -> None:
    print("\nBest-of-n with a verifier, nats: bound log n - (n-1)/n, then the divergence at p0 = .3, 1e-3, 1e-6")
    for n in (4, 64, 4096, 10**7):
        spent = best_of_kl(np.array([0.3, 1e-3, 1e-6]), n)
        print(f"n = {n:<16} {best_of_bound(n):6.2f}   " + "   ".join(f"{x:6.2f}" for x in spent))


def main() -> None:
    support()
    boundaries()
    placebo()
    best_of_n()


if __name__ == "__main__":
    main()
