"""A policy that is a table: every probability known, so that samplers can be tested against exact numbers.

::

    base = TabularPolicy("coin", {(): {"7": 0.1, "8": 0.9}, ("7",): {END: 1.0}, ("8",): {END: 1.0}})
    exact = tilt(base, prompt, lambda turns: float(turns[-1].text == "7"), tokens=4, beta=0.5)
    exact.policy, exact.success, exact.kl

======  ===================================================================================
policy  the table, and a session that samples from it
exact   every way an episode can go: exact success, exact divergence, the exact tilt
======  ===================================================================================

Not covered: environments that draw at random. (The tabular policies of ``studies.calibration`` are laws of whole
populations of tasks, without tokens or sessions; the tests hold the two together where both speak.)
"""

from reachlab.policies.tabular.exact import Course, Respond, Said, Tilt, courses, divergence, success, tilt
from reachlab.policies.tabular.policy import END, TabularPolicy, TabularSession, opening

__all__ = [
    "END",
    "Course",
    "Respond",
    "Said",
    "TabularPolicy",
    "TabularSession",
    "Tilt",
    "courses",
    "divergence",
    "opening",
    "success",
    "tilt",
]
