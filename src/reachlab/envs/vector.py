"""``ReachVectorEnv``: what ``gymnasium.make_vec`` builds when no mode is asked for.

Not covered: parallelism. Stepping is no bottleneck; for processes ask ``make_vec`` for ``"async"`` with
``vector_kwargs={"shared_memory": False}``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gymnasium.vector import AutoresetMode, SyncVectorEnv

from reachlab.envs.environment import ReachEnv


class ReachVectorEnv(SyncVectorEnv):
    """``num_envs`` environments in this process; observations and actions are tuples of texts."""

    def __init__(
        self, num_envs: int = 1, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **options: Any
    ) -> None:
        """*options* go to every ``ReachEnv``."""
        super().__init__([partial(ReachEnv, **options)] * num_envs, autoreset_mode=autoreset_mode)
