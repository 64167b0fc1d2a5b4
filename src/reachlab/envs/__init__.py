"""Gymnasium environments: one interaction core, worlds, budgets, one file per task family.

Importing this registers ``reachlab/<Family>-v0`` with Gymnasium, so that
``gymnasium.make("reachlab.envs:reachlab/Lexicon-v0", world="live")`` works in a fresh interpreter.
"""

from __future__ import annotations

import gymnasium

from reachlab.envs.core import Interaction
from reachlab.envs.environment import ReachEnv
from reachlab.envs.soundness import check_family
from reachlab.envs.spaces import Unicode
from reachlab.envs.vector import ReachVectorEnv

__all__ = ["ENVIRONMENTS", "SYNTHETIC", "Interaction", "ReachEnv", "ReachVectorEnv", "Unicode", "check_family"]

SYNTHETIC = ("lexicon", "arithmetic", "program", "lock", "countdown", "maze", "rule", "hash", "composition")
"""Families that need no options: their tasks are drawn from a seed, and what is known of them is exact."""
ENVIRONMENTS = {f"reachlab/{name.capitalize()}-v0": name for name in SYNTHETIC}
"""Gymnasium ids and the short names of their families."""

for _id, _family in ENVIRONMENTS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            _id,
            entry_point="reachlab.envs.environment:ReachEnv",
            vector_entry_point="reachlab.envs.vector:ReachVectorEnv",
            kwargs={"family": _family},
        )
