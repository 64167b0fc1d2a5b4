"""Tilts of a policy over verified episodes: gibbs(beta) and best-of-n, with the success, the KL and the whole bill.

::

    found = tilt(policy, family, tasks, World.CLOSED, seeds, Gibbs(beta=0.3))
    found.success, found.kl, found.cost, found.warnings

=======  =============================================================================
draw     draws the base's episodes and keeps one for each task
advice   what must be said of draws that are too few
limits   success and KL(pi, pi0) of what was kept: values, intervals, and of what kind
=======  =============================================================================

Any ``reachlab.Policy`` will do: neither weights nor log-probabilities are needed. The verifier scores every draw: that
is information no policy has at test time, and each of its calls is counted. ``reweigh`` tilts episodes that are there.
"""

from reachlab.policies.tilts import BestOf, Gibbs
from reachlab.studies.tilting.draw import Tilted, reweigh, tilt

__all__ = ["BestOf", "Gibbs", "Tilted", "reweigh", "tilt"]
