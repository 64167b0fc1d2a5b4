"""Write docs/boundary.md and its picture from a finished map.

Command: ``reachlab boundary lexicon --profile default``, then ``python docs/boundary.py
runs/boundary-lexicon-digits-default-0``. Every measured number on the page comes from that run.
Not covered: the README's section about it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from reachlab import Json
from reachlab.measure.wording import number
from reachlab.studies.boundary.report import markdown
from reachlab.studies.boundary.run import arm
from reachlab.studies.reading import line

HERE = Path(__file__).parent
TITLE = "# The map: where reweighting turns from elicitation into creation"
READING = """\
A model that is trained to do something may only have been *tilted*: what it could do already, rarely, it now does
often. Or it may do what no tilt of it does. Which of the two it is depends on how rare the success was before
training, and on the budget that one grants the tilt. So the map has two axes: how hard the tasks are for the untrained
model without a tool (its success there is **p0**), and a budget. A dial of the family moves the tasks from easy to
hard; at each of its values a study of its own is run, and stands at its p0.

**In three seconds.** Orange is as far as reweighting without the tool gets with a budget. Blue triangles are the same
model trained with the tool. In the middle panel the filled blue triangles are under the orange line: they succeed for
fewer nats than any reweighting would have to pay. Where the background is blue as well, a thousand attempts without
the tool would not have found the answer either. That is creation.

**The background** follows from p0 alone. *E1, core*: at most 8 attempts without the tool find the answer with
probability 1/2; whoever gains here makes likelier what the model does anyway. *E2, tail*: that takes up to k_acc
attempts (1,000 unless said otherwise); training digs out what sampling would have found. *C, out of reach*: it takes
more. A gain here is creation if worlds in which the tool tells nothing do not show it, too: that is what the verdict
checks, and what the yellow triangles are for (the same policy, but the tool answers about another world).

**Left: closed samples.** The orange line is the k at which one of k closed attempts succeeds with probability 1/2: a
budget of k reaches the tasks to the left of where the line gets there. A mark stands at the k at which the best of k
closed attempts, chosen by a perfect verifier, would be as good as the arm. On the right the same budget in tokens.

**Middle: nats.** Training moves a policy away from its base; the KL divergence says how far. With this much of it no
closed policy whatever has more success than the frontier R allows; the lines are the nats at which R is .5 and .9. A
mark stands at the nats that its arm *paid*. Filled marks solve at least half of their tasks: those under the solid
line do what no closed policy can for that price. The dotted line leads up to what closed reweighting would have needed
for the arm's success; its length is the surplus, which the world paid. In E1 and E2 a surplus only says that the tool
was the cheaper way to what the base reaches anyway.

**Right: the tilt made visible.** Training *without* the tool can be right only by making a lucky answer likelier, on
the tasks it trains on. Each curve is the frontier at one value of the dial; the dots are the training as it goes, the
triangle where it ended. Where the base is right now and then it climbs along its frontier, as free energy has it, and
does not cross: it cannot. Where the base is never right there is nothing to tilt, and it does not move. The black
triangles of the other panels are the same arm.
"""
LIMITS = """\
**What the map does not say.** Each study has one training run and its own training tasks, only 16 of them: closed
training has nothing to learn but their answers, one by one, and of the 80 tasks of the default study it keeps few in
as many updates (its gap to the frontier there says how few; the frontier is what *could* be had). Verdicts hold one by
one, each at its own error. p0 is enumerated; where it is too small to be seen in samples, that it is exact rests on
the easier values of the same dial, on which sampled frequency agrees with it. The lines are drawn for tasks of one p0
each, the marks are measured on tasks whose p0 differ a little. The dial of Lexicon ends at six digits, p0 1e-6.

Other families and dials: `reachlab boundary FAMILY --dial NAME=VALUES`. The table's *optimum* is the success of the
best live policy under the family's budget of calls, *least calls* the fewest with which it reaches one half.
"""


def main(run: Path) -> None:
    """Write the page."""
    found = json.loads((run / "boundary.json").read_text(encoding="utf-8"))
    name = f"boundary-{found['spec']['family']}.png"
    shutil.copy(run / "boundary.png", HERE / "images" / name)
    command, picture, table = markdown(found).split("\n\n", 2)
    shown = picture.replace("(boundary.png)", f"(images/{name})")
    page = [TITLE, shown, f"*From {command}.*", READING, *seen(found), table, LIMITS]
    (HERE / "boundary.md").write_text("\n\n".join(part.strip("\n") for part in page) + "\n", encoding="utf-8")


def seen(found: Json) -> list[str]:
    """This run in numbers: at the hardest value, and at the easiest, where closed training has most to learn from."""
    dial, rows = found["spec"]["dial"], found["rows"]
    easy, hard = rows[0], rows[-1]
    live, tilted = arm(hard, "rl", "live", "live"), arm(easy, "rl", "closed", "closed", "train")
    out = ["## This run"]
    if live is not None:
        out.append(
            f"At {dial} {hard['value']} (p0 {hard['p0']['value']:.1g}) closed reweighting needs "
            f"{number(hard['samples'])} samples or {number(hard['nats'])} nats for one half. rl live succeeds with "
            f"{line(live['success'])} at {line(live['spent'])} nats, for which reweighting would need "
            f"{line(live['required'])}; it is worth {line(live['equivalent_k'])} closed samples and costs "
            f"{line(live['cost_k'])}. Verdict: {hard['verdict']}."
        )
    if tilted is not None:
        out.append(
            f"At {dial} {easy['value']} (p0 {easy['p0']['value']:.1g}) rl closed climbs to {line(tilted['success'])} "
            f"of its training tasks at {line(tilted['spent'])} nats; for that reweighting needs "
            f"{line(tilted['required'])}."
        )
    return out


if __name__ == "__main__":
    main(Path(sys.argv[1]))
