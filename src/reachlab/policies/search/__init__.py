"""Search policies: tree search whose branches are a policy's sampled turns.

::

    found = search(tree, [root], SearchConfig("best-first", nodes=32))

==========  =================================================================================
tree        what is searched: states, and one operation, to sample a turn at each of some
algorithms  best-of-n, beam, best-first, mcts: which states are sampled next
driver      many searches side by side, each within its budget; which answer is chosen
config      the settings
==========  =================================================================================

A node is one sampled turn with the environment's step that it causes. Nothing here knows tasks, tokens or rewards.
Not covered: search over tokens within a turn.
"""

from reachlab.policies.search.algorithms import ALGORITHMS, Algorithm
from reachlab.policies.search.config import SearchConfig
from reachlab.policies.search.driver import Found, search
from reachlab.policies.search.tree import Node, State, Tree

__all__ = ["ALGORITHMS", "Algorithm", "Found", "Node", "SearchConfig", "State", "Tree", "search"]
