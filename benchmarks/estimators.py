"""Seconds and memory that the estimators take for a million episodes, as 1,000 tasks x 1,000 and as 62,500 x 16.

Command: ``python benchmarks/estimators.py [--repeats 3] [--json] [--check]``. Each repeat has fresh counts: nothing is
answered from a cache; medians with the range over the repeats.

The promise: all rows together in under 5 s, within 1 GB. ``--check`` exits with 1 where it is broken.
Not covered: sampling episodes (``throughput``), whole studies (``study``), the verdict, and the paired bootstrap, whose
cost is the number of resamples.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reachlab import FloatArray, IntArray
from reachlab.measure.estimators import cover_curve, pass_curve
from reachlab.measure.extrapolation import extrapolate, fit_zero_inflated
from reachlab.measure.flow import corrected_at, support_flow
from reachlab.measure.frontier import frontier_success, required_nats
from reachlab.measure.intervals import bounded_mean
from reachlab.measure.richness import chao1, compare_richness, unseen_mass
from reachlab.measure.sequential import allocate, confidence_sequence
from reachlab.measure.significance import holm, tost

ALPHA = 0.025
MOST_SECONDS = 5.0
MOST_MEGABYTES = 1_000.0
TAUS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
THRESHOLD = 0.083


class Sample(NamedTuple):
    """One repeat: a base and an arm on the same tasks, exact p0, and the behaviours that they showed."""

    n: IntArray
    base: IntArray
    arm: IntArray
    p0: FloatArray
    values: FloatArray
    base_behaviours: IntArray
    arm_behaviours: IntArray


def sample(tasks: int, episodes: int, seed: int) -> Sample:
    """A third of the tasks impossible, the rest Beta(.3, 3), lifted in the arm; behaviours after Zipf's law."""
    rng = np.random.default_rng(seed)
    p0 = np.where(rng.random(tasks) < 1 / 3, 0.0, rng.beta(0.3, 3.0, tasks))
    law = 1 / np.arange(1.0, 20_001.0)
    law /= law.sum()
    return Sample(
        n=np.full(tasks, episodes, np.int64),
        base=rng.binomial(episodes, p0),
        arm=rng.binomial(episodes, np.minimum(4 * p0 + 0.02, 1.0)),
        p0=p0,
        values=rng.random(tasks),
        base_behaviours=rng.multinomial(tasks * episodes, law),
        arm_behaviours=rng.multinomial(tasks * episodes // 2, law),
    )


def flow(s: Sample) -> None:
    """Support retention and its relatives, and the placebo-corrected flow at half the attempts."""
    found = support_flow((s.n, s.base), (s.n, s.arm))
    found.srr(ALPHA), found.ndr(ALPHA), found.sds(ALPHA), found.nscr(ALPHA), found.p_value()
    corrected_at((s.n, s.base), (s.n, s.arm), int(s.n[0]) // 2, ALPHA)


def frontier(s: Sample) -> None:
    frontier_success(s.p0, 0.5)
    required_nats(s.p0, (1 + float(s.p0.mean())) / 3)


def richness(s: Sample) -> None:
    """Good-Turing, Chao1, and both samples rarefied to the smaller n."""
    unseen_mass(s.base_behaviours, ALPHA)
    chao1(s.base_behaviours, ALPHA)
    compare_richness(s.base_behaviours, s.arm_behaviours, ALPHA)


ROWS: dict[str, Callable[[Sample], object]] = {
    "pass@k curve": lambda s: pass_curve(s.n, s.base, ALPHA),
    "Cover@tau, 6 thresholds": lambda s: cover_curve(s.n, s.base, TAUS, ALPHA),
    "support flow, SRR, placebo": flow,
    "zero-inflated fit": lambda s: fit_zero_inflated(s.n, s.base),
    "pass@K at 10 n, with limits": lambda s: extrapolate(s.n, s.base, [10 * int(s.n[0])], ALPHA),
    "Good-Turing, Chao1, rarefied": richness,
    "confidence sequence": lambda s: confidence_sequence(s.n, s.base, ALPHA),
    "allocation of a round": lambda s: allocate(s.n, s.base, THRESHOLD, 100_000, ALPHA),
    "frontier R and D": frontier,
    "bounded mean, all distinct": lambda s: bounded_mean(s.values, ALPHA),
    "Holm, equivalence": lambda s: (holm(s.values), tost(s.values - 0.5, 0.05)),
}


def clock(call: Callable[[Sample], object], given: Sample) -> float:
    began = time.perf_counter()
    call(given)
    return time.perf_counter() - began


def megabytes() -> float:
    """The most memory this process ever held. Not from getrusage, which remembers what the parent held at the fork."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 2**10


def measure(repeats: int, episodes: int) -> dict[str, dict[str, float]]:
    found = {}
    for tasks, each in ((1_000, episodes // 1_000), (episodes // 16, 16)):
        samples = [sample(tasks, each, seed) for seed in range(repeats + 1)]
        for name, call in ROWS.items():
            call(samples[0])  # warm-up: tables and lazy imports
            times = [clock(call, given) for given in samples[1:]]
            row = {"median": statistics.median(times), "low": min(times), "high": max(times)}
            found[f"{name}, {tasks:,} x {each:,}"] = row
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="promised seconds, all rows together")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.repeats, arguments.episodes)
    seconds, peak = sum(row["median"] for row in rows.values()), megabytes()
    kept = seconds < arguments.seconds and peak < MOST_MEGABYTES
    if arguments.json:
        print(json.dumps({"rows": rows, "seconds": seconds, "megabytes": peak, "kept": kept}, indent=1))
    else:
        for name, row in rows.items():
            print(f"{name:44} median {row['median']:7.3f} s   range {row['low']:.3f} to {row['high']:.3f}")
        print(f"{'together':44} median {seconds:7.3f} s   peak {peak:.0f} MB")
    if arguments.check and not kept:
        sys.exit(f"promised: {arguments.seconds} s and {MOST_MEGABYTES} MB; found: {seconds:.2f} s and {peak:.0f} MB")


if __name__ == "__main__":
    main()
