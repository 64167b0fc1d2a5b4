"""Calibration: the verdict run on worlds whose truth is known, thousands of times.

Command: ``reachlab calibrate``. Never loads torch.

=========  ================================================================================
process    the tabular process: exact laws of an episode
worlds     populations of tasks with four policies and a channel each; nulls and boundaries
truth      what is true of a world, from its laws and the thresholds
draw       studies drawn from a world, as the records that ``reachlab.measure`` reads
coverage   every printed interval beside the number it is about
trial      a chunk of studies, judged and counted
spec       sizes and numbers of replicates
run        the jobs, the result
tally      rates with intervals; the promises
report     text; ``picture`` draws
=========  ================================================================================

Not covered: the rollouts, learners and harness of language-model studies.
"""

from reachlab.studies.calibration.run import calibrate
from reachlab.studies.calibration.spec import CALIBRATIONS, CalibrationSpec, calibration_profile

__all__ = ["CALIBRATIONS", "CalibrationSpec", "calibrate", "calibration_profile"]
