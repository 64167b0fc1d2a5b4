"""How large a study must be to find an effect, and what it costs.

Command: ``reachlab plan``; in Python ``plan(Effect(success=0.9, closed=1e-5, spent=1.2, hard=0.6))``. Loads torch only
to take the time of a policy.

============  ============================================================================
effect        what there is to find: stated, read from a run, or as a tabular world
requirements  what each condition of creation needs alone, in closed form
search        the least number of tasks at which the verdict itself finds it
pricing       episodes, tokens, seconds on this machine
advice        a plan in words; the plan of an undecided run
============  ============================================================================

Not covered: rungs other than creation.
"""

from reachlab.studies.planning.effect import Effect, effect_of
from reachlab.studies.planning.requirements import Requirement, requirements
from reachlab.studies.planning.search import Plan, check, plan

__all__ = ["Effect", "Plan", "Requirement", "check", "effect_of", "plan", "requirements"]
