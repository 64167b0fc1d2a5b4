"""Microseconds per confidence limit and per frontier solve, the steps of which an analysis takes hundreds.

Command: ``python benchmarks/intervals.py [--repeats 200] [--json] [--check]``. Each repeat has a fresh sample and an
empty cache; medians with the range over the repeats, and the ratio to sorting the same array within each repeat, since
absolute numbers mean little across machines. Set OMP_NUM_THREADS=1 beside other work.

The promise: a limit of 160 tasks under 1 ms, a frontier solve of 160 tasks under .5 ms. ``--check`` exits with 1 where
a median breaks it. Not covered: whole studies (``study``), accuracy (the tests).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from reachlab import FloatArray
from reachlab.measure import intervals
from reachlab.measure.frontier import equivalent_k, frontier_success, required_nats

ALPHA = 0.001
LIMIT, SOLVE = 1000.0, 500.0
"""Promised microseconds."""
SORTS = 20
"""Sorts timed together: one alone is about as short as reading the clock."""


class Row(NamedTuple):
    """One shape of sample, what is timed on it, and the most microseconds promised, if any."""

    draw: Callable[[np.random.Generator], FloatArray]
    call: Callable[[FloatArray], float]
    most: float = float("inf")


def rates(n: int) -> Callable[[np.random.Generator], FloatArray]:
    """Success rates over 16 episodes: at most 17 distinct values."""
    return lambda rng: rng.binomial(16, rng.beta(9, 1, n)) / 16


def distinct(n: int) -> Callable[[np.random.Generator], FloatArray]:
    return lambda rng: rng.random(n)


def nats(rng: np.random.Generator) -> FloatArray:
    """Skewed, all distinct, seen from the far end of their range as for an upper limit."""
    values = rng.lognormal(0.0, 0.8, 160)
    return 2 * float(values.max()) - values


def strata(rng: np.random.Generator) -> FloatArray:
    """p0 of 160 tasks at five difficulties."""
    return np.repeat(10.0 ** -rng.uniform(1, 7, 5), 32)


def unlike(rng: np.random.Generator) -> FloatArray:
    """p0 of 160 tasks, all distinct."""
    return 10.0 ** -rng.uniform(1, 7, 160)


def limit(values: FloatArray) -> float:
    return intervals.lower_limit(values, ALPHA)


ROWS: dict[str, Row] = {
    "limit, 12 tasks, rates": Row(rates(12), limit),
    "limit, 160 tasks, rates": Row(rates(160), limit, LIMIT),
    "limit, 160 tasks, zeros and ones": Row(lambda rng: (rng.random(160) < 0.9).astype(float), limit, LIMIT),
    "limit, 160 tasks, distinct": Row(distinct(160), limit, LIMIT),
    "limit, 160 tasks, nats": Row(nats, limit, LIMIT),
    "limit, 1,000 tasks, rates": Row(rates(1_000), limit),
    "limit, 1,000 tasks, distinct": Row(distinct(1_000), limit),
    "required nats, 5 strata": Row(strata, lambda p0: required_nats(p0, 0.95), SOLVE),
    "required nats, distinct": Row(unlike, lambda p0: required_nats(p0, 0.95), SOLVE),
    "frontier success, 5 strata": Row(strata, lambda p0: frontier_success(p0, 1.0), SOLVE),
    "frontier success, distinct": Row(unlike, lambda p0: frontier_success(p0, 1.0), SOLVE),
    "equivalent k, 5 strata": Row(strata, lambda p0: equivalent_k(p0, 0.95), SOLVE),
    "equivalent k, distinct": Row(unlike, lambda p0: equivalent_k(p0, 0.95), SOLVE),
}


def microseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e6


def sorting(values: FloatArray) -> float:
    return microseconds(lambda: [np.sort(values) for _ in range(SORTS)]) / SORTS


def summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure(repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    found = {}
    for name, row in ROWS.items():
        rng = np.random.default_rng(0)
        row.call(row.draw(rng)), sorting(row.draw(rng))  # warm-up
        times = []
        for _ in range(repeats):
            values = row.draw(rng)
            intervals._quantile.cache_clear()
            times.append((microseconds(partial(row.call, values)), sorting(values)))
        found[name] = {"microseconds": summary([t for t, _ in times]), "sorts": summary([t / s for t, s in times])}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for name, row in found.items():
            us, sorts = row["microseconds"], row["sorts"]
            spread = f"range {us['low']:.0f} to {us['high']:.0f}"
            print(f"{name:33} median {us['median']:7.0f} µs   {spread:24} = {sorts['median']:5.0f} sorts")
    broken = [name for name, row in found.items() if row["microseconds"]["median"] >= ROWS[name].most]
    if arguments.check and broken:
        sys.exit(f"promised: under {LIMIT:.0f} and {SOLVE:.0f} µs; not kept by {', '.join(broken)}")


if __name__ == "__main__":
    main()
