"""Wall time and peak memory of a study. Command: ``python benchmarks/study.py [FAMILY] [--profile NAME] [--seed N]``.

Memory is the proportional set size of the command and all its workers together (shared pages counted once), read
twice a second from /proc. Not covered: what takes the time (``throughput.py`` has the two main parts).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def family_of(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [p for child in children.read_text().split() for p in family_of(int(child))]
        except OSError:
            continue  # a thread that ended meanwhile
    return found


def megabytes(pid: int) -> float:
    """Proportional set size; 0 for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def measure(family: str, profile: str, seed: int, out: Path) -> dict[str, float | str]:
    command = [sys.executable, "-m", "reachlab", "run", family, "--profile", profile, "--seed", str(seed)]
    began, peak = time.monotonic(), 0.0
    process = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, sum(megabytes(p) for p in set(family_of(process.pid))))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(process.returncode)
    verdict = json.loads((out / "result.json").read_text())["verdicts"][0]["verdict"]
    return {"seconds": time.monotonic() - began, "peak MB": peak, "verdict": verdict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", nargs="?", default="lexicon")
    parser.add_argument("--profile", default="default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.family, arguments.profile, arguments.seed, Path(folder) / "run")
    print(f"{found['seconds']:.0f} s, peak {found['peak MB']:.0f} MB, verdict {found['verdict']}")


if __name__ == "__main__":
    main()
