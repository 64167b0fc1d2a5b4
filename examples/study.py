"""Run a small study from Python and read its verdict. Command: ``python examples/study.py [OUT]``.

The command line does the same: ``reachlab run lexicon --profile smoke --out OUT``. A study this small has too few
hard tasks to decide anything, and its verdict says how many it would need.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from reachlab.registry import Spec
from reachlab.studies import PROFILES, StudySpec, run


def main(out: Path) -> None:
    spec = StudySpec(family=Spec("lexicon", {"digits": [1, 4, 6]}), profile=PROFILES["smoke"], seed=7)
    result = run(spec, out)
    print(result["verdicts"][0]["sentence"])
    for arm in result["arms"]:
        success, spent = arm["success"]["value"], arm["spent_nats"]["value"]
        if success is not None and spent is not None:
            print(f"{arm['name']:28} success {success:.3f}   spent {spent:6.3f} nats")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "run")
