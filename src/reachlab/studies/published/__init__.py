"""Counts that somebody published, read by the verdict's ladder: no model is run, and none is imported.

Command: ``reachlab verdict counts.csv``; from Python ``reading(load("counts.csv"), hard=("hops=3",))``. One row a task:

==================  =================================================================================================
task                its name, once
base_n, base_c      attempts and successes of the base without the affordance
arm_n, arm_c        attempts and successes of the treated policy with the affordance
shuffled_n, _c      optional: of the treated policy where the tools answer about another task
spent_nats          optional: KL of the treated policy to the base, summed over the policy tokens of a transcript
cost_ratio          optional: inference tokens of an attempt of the arm over those of one of the base, >= 1
stratum             optional: tasks of like difficulty; without it the set is one stratum
==================  =================================================================================================

The arm enters as trained and evaluated live, one training run; the base as closed. What the table does not give is
said to be not decidable, rung by rung. ``table`` reads, ``located`` asks where a gain lies, ``ladder`` goes through the
rungs, ``reading`` puts it together, ``terminal`` prints it.

Not covered: several arms or training runs, rewards between 0 and 1, counts with exact p0 (``reachlab.measure``).
"""

from reachlab.studies.published.reading import reading
from reachlab.studies.published.table import ALL, Published, load, parse, study_counts

__all__ = ["ALL", "Published", "load", "parse", "reading", "study_counts"]
