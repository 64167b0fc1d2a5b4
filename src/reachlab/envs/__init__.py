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

__all__ = ["ENVIRONMENTS", "Interaction", "ReachEnv", "ReachVectorEnv", "Unicode", "check_family"]

ENVIRONMENTS = {"reachlab/Lexicon-v0": "lexicon", "reachlab/Program-v0": "program"}
"""Gymnasium ids and the short names of their families."""

for _id, _family in ENVIRONMENTS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            _id,
            entry_point="reachlab.envs.environment:ReachEnv",
            vector_entry_point="reachlab.envs.vector:ReachVectorEnv",
            kwargs={"family": _family},
        )
