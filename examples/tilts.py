"""Tilt the tiny base and see it climb the frontier that no closed reweighting leaves.

Command: ``python examples/tilts.py``. On codes of one digit p0 is known by enumeration, so each tilt's success and KL
are known exactly; beside them stands what the drawn episodes say, and what they cost.
Not covered: tools (any world can be tilted), real models.
"""

from __future__ import annotations

import torch

from reachlab import Estimate, FloatArray, Prompt, World
from reachlab.envs.lexicon import Lexicon
from reachlab.measure import best_of, best_of_kl, frontier_success, tilt_kl
from reachlab.measure import tilt as tilted
from reachlab.policies.huggingface import tiny
from reachlab.policies.tilts import BestOf, Gibbs
from reachlab.studies.tilting import tilt


def exact(p0: FloatArray, rule: Gibbs | BestOf) -> tuple[float, float]:
    """Mean success and KL in nats, from p0 alone."""
    if isinstance(rule, Gibbs):
        return float(tilted(p0, 1 / rule.beta).mean()), float(tilt_kl(p0, 1 / rule.beta).mean())
    return float(best_of(p0, rule.draws).mean()), float(best_of_kl(p0, rule.draws).mean())


def interval(estimate: Estimate) -> str:
    low, high = estimate.ci or (None, None)
    return f"{estimate.value:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    torch.set_num_threads(1)  # the fastest at this size
    policy, family = tiny(), Lexicon(digits=(1,), hops=(1,))
    tasks = [family.task("test", seed) for seed in range(40)]
    prompts, answers = [Prompt(task.messages) for task in tasks], [task.answers for task in tasks]
    p0 = policy.exact_success(prompts, answers, family.budget.closed().tokens)
    print(f"base: success {p0.mean():.3f} (exact)\n")
    print(f"{'tilt':28} {'success, drawn':22} {'exact':7} {'KL, drawn':22} {'exact':7} {'R(KL)':7} draws  tokens")
    rules = (Gibbs(1.0), Gibbs(0.3), Gibbs(0.3, "resampling", 32), BestOf(4), BestOf(16))
    for rule in rules:
        found = tilt(policy, family, tasks, World.CLOSED, range(40), rule)
        success, nats = exact(p0, rule)
        reached = frontier_success(p0, nats)
        print(
            f"{rule.name:28} {interval(found.success):22} {success:.3f}   {interval(found.kl):22} {nats:.3f}   "
            f"{reached:.3f}   {found.draws.sum():5}  {found.cost.tokens}"
        )
        for warning in found.warnings:
            print(f"  ! {warning}")
        assert success <= reached + 1e-9


if __name__ == "__main__":
    main()
