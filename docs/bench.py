"""Write docs/bench.md and its picture from a finished bench.

Command: ``reachlab bench``, then ``python docs/bench.py runs/bench-default-0``. Every measured number on the page comes
from that run. Not covered: the README's section about it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from reachlab.studies.bench_report import markdown

HERE = Path(__file__).parent
TITLE = "# Every mechanism beside the others"
READING = """\
Each family isolates one way in which interaction could expand reach; the study is the same for all (design `core`, for
Rule `internalise`), so the rows may be compared. One task in 13 is easy (Maze: three in seven), so that the theorem
checks are testable; numbers are of the hard tasks, where a thousand closed attempts do not get there. *Surplus*: the
nats that closed reweighting would have needed for this success, less those that the weights spent. *Bits imported* is
what the observations told the base, *bits gained* the gain over the same policy whose observations the base imagines;
it is never more. *Interaction*: how much more training gains with the tool than without. *Tool removed*: the
live-trained policy, evaluated closed."""


def main(run: Path) -> None:
    found = json.loads((run / "bench.json").read_text(encoding="utf-8"))
    command, _, table = markdown(found).partition("\n")
    table = table.replace("](bench.png)", "](images/bench.png)")
    (HERE / "bench.md").write_text(f"{TITLE}\n\n{READING}\n\n{command}\n{table}", encoding="utf-8")
    shutil.copy(run / "bench.png", HERE / "images" / "bench.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
