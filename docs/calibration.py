"""Write docs/calibration.md and its picture from a finished calibration.

Command: ``reachlab calibrate && python docs/calibration.py runs/calibration-default-0``. Every number on the page comes
from that run. Not covered: the README's line about it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from reachlab.studies.calibration.report import markdown

HERE = Path(__file__).parent
READING = """\
A verdict is only worth its error rates. So the code that reads studies of language models is run on studies whose truth
is known: thousands of them, drawn from small tabular worlds in which every probability, nat and bit can be written
down. The verdict cannot tell: a world enters through the same records of counts that a language model's study produces.

**How a world is made.** A task is one of a thousand types. A policy calls the tool or not, the world answers with the
task's fact, with another one or with nothing, the policy copies what it was told or answers from its own head. The
success of every arm in every world, the KL it spends and the bits it imports follow by enumeration. Each world's label
(*truth* below) is computed from these laws, from p0 and from the thresholds, without the verdict's code: change k_acc
and the labels change. Boundary worlds are solved for, so that the quantity they are about is exactly at its threshold.
Those with a working tool, moved to the other side, are creation and read so: nothing else stood in the way.

**How to read the tables.** *False creation* counts a C rung where there is none, or a higher one than is true. *Found*
is the power. In worlds where no rung is true, UNDECIDED is the right answer. An interval is counted as covering if the
population's value lies in it: other tasks would have been drawn, and other training runs.

**What is not covered.** The rollouts, learners and tools of real studies. False creation with several training runs:
only power and coverage are measured there, for runs whose rates of calling differ normally (standard deviation .008).
Of printed intervals those below, of the primary arm: not the token classes, log-ratios, break-even, the sweep over
thresholds, nor what `compare` and `verdict` print; exact p0 is a statement about the tasks at hand. Spent nats have no
upper bound, so no limit of their mean holds for every distribution: ours allows for one unseen task at twice the most
seen, and if a few tasks in a thousand spent hundreds of times that much and none was drawn, surplus would be too high.
All limits err on the safe side, and creation must beat the base in four worlds at once: false creation is rarer than
the .001 each axis is allowed, and small effects read UNDECIDED (`reachlab plan` says what they need).
"""


def main(run: Path) -> None:
    """Write the page."""
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    title, _, rest = markdown(result).partition("\n\n")
    page = "\n\n".join([title, READING, rest.replace("(calibration.png)", "(images/calibration.png)")])
    (HERE / "calibration.md").write_text(page, encoding="utf-8")
    shutil.copy(run / "calibration.png", HERE / "images" / "calibration.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
