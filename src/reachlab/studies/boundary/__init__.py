"""The map: where reweighting turns from elicitation into creation, as a dial makes the tasks harder.

Command: ``reachlab boundary lexicon``. One study per value of the dial, one picture of all of them: the lines that
follow from p0 alone (``theory``), and the arms that were measured (``run``) on top.

Not covered: transfer between families; two dials at once.
"""

from reachlab.studies.boundary.run import boundary
from reachlab.studies.boundary.spec import BoundarySpec, boundary_spec

__all__ = ["BoundarySpec", "boundary", "boundary_spec"]
