"""Does the tiny base compose as well as it does the parts? The product rule on Composition (arXiv 2602.08281).

Composition looks two codes up and adds them: Lexicon twice, Arithmetic once, each met alone on tasks of its own. The
tiny base's habits (a wrong query, an ignored result) were drawn once for a document, not for each step of it, so its
slips do not multiply. Run: ``python examples/product_rule.py``.
"""

import numpy as np

from reachlab import World
from reachlab.measure import Part, product_rule
from reachlab.policies.huggingface import tiny
from reachlab.registry import Spec
from reachlab.studies.rollout import rollout

DIGITS, TASKS, EPISODES = 3, 32, 8


def main() -> None:
    base = tiny()

    def rates(name: str, **dials: object) -> np.ndarray:
        """(N,) success of the base live."""
        family = Spec(name, {"digits": [DIGITS], **dials}).build("families")
        tasks = [family.task("test", n) for n in range(TASKS) for _ in range(EPISODES)]
        episodes = rollout(base, family, tasks, World.LIVE, list(range(len(tasks))))
        won = np.array([e.success for e in episodes], float).reshape(TASKS, EPISODES)
        return np.asarray(won.mean(1))

    parts = {"lexicon": Part(rates("lexicon"), times=2), "arithmetic": Part(rates("arithmetic", operators=["+"]))}
    rule = product_rule(rates("composition"), list(parts.values()), alpha=0.025)
    for name, part in parts.items():
        print(f"{name:12} {part.rates.mean():.3f} alone, needed {part.times}x")
    for name in ("composite", "product", "difference", "ratio"):
        found = getattr(rule, name)
        print(f"{name:12} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
    reading = "more than its parts" if rule.more else "less than its parts" if rule.less else "not told from its parts"
    print(f"the whole is {reading}")
    assert rule.composite.low <= rule.composite.value <= rule.composite.high


if __name__ == "__main__":
    main()
