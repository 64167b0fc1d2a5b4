"""Studies: arms, rollouts, trainings, and everything between a spec and its result.

``run(StudySpec(Spec("lexicon")), "runs/first")`` is the Python entry.

===========  ===========================================================================
spec         what is asked for: sizes, design, seeds
designs      which arms a study has
study        the jobs of a study and their order
jobs         executes a graph of jobs on local processes
context      what each job rebuilds: family, base, tasks
rollout      policy sessions against interactions: Episodes
streaming    tools beside sampling, for sessions that take requests while others run
searching    tree search in Episodes, over snapshots of interactions and forks of sessions
tilting      gibbs and best-of-n over any policy: success, KL, cost
abilities    what a policy can do, and so which arms there are
scoring      spent nats and imported bits of Episodes
sources      what each treatment learns from
training     the sample-learn loop
matching     what each training spent, and whether closed training spent as much (C3)
transfer     a run's policies on another family (C4)
evaluation   chunks of scored episodes; exact p0
store        the run directory
collect      from the run directory to counts
conclude     from counts to result.json
report       tables and report.md; ``plots`` draws, ``compare`` pairs two runs
calibration  the verdict's error rates, on worlds of known truth
bench        the study on every family, one table
boundary     the map: one dial, regions by p0, measured arms
planning     how large a study must be to decide an effect
published    the ladder's reading of published counts
tiny         the recipe of the tiny base
===========  ===========================================================================

Not covered: several machines.
"""

from reachlab.studies.spec import PROFILES, Profile, StudySpec
from reachlab.studies.study import run

__all__ = ["PROFILES", "Profile", "StudySpec", "run"]
