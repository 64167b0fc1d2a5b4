"""ReasoningGym: computation. Any generator of the ``reasoning-gym`` package, its own scoring as the verifier.

::

    ReasoningGym("chain_sum", config={"min_terms": 4, "max_terms": 6}, affordances=["python"])
    ReasoningGym({"chain_sum": [{"max_terms": 2}, {"max_terms": 6}], "leg_counting": {}})       # strata take turns

==================  ============================================================================================
observation         text: the prompt, then tool results
action              text: the assistant's raw turn
reward              1 where the generator's own score of the final turn is 1 (at least ``threshold``), else 0. With
                    ``threshold=None`` the score itself, in [0, 1]; from .5 it counts as a success then, and the
                    library gives that for half of the text: "17" where the answer is "7"
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``generators`` with their configs, ``affordances`` (default: ``python``), ``calls``, ``tokens``
closed-book p0      no policy-free bound: nothing is hidden. Never enumerated: the scorers accept more than the gold
optimum             1: the gold answer scores 1, and only items for which that is seen to hold are used
==================  ============================================================================================

There is no scripted solver of these generators: ``solution`` makes one call (by default code that prints the gold
answer) and then answers with gold. That shows the format and proves that the reward can be had; it is no policy that
found anything, and demonstrations from it teach to print a number, not to compute it.

``guess`` draws the gold answer of another task of the same generator and config.

Splits share no question: a question belongs to the split that its text hashes to. Needs the extra ``reasoning-gym``.
Refused, as no item has an answer that scores 1 where nonsense does not (0.1.25): ``boxnet`` and ``rush_hour`` state
none, the scorer of ``game_of_life_halting`` takes any text for "True".
Not covered: curricula, composites (name several generators), scorers that need a model.
"""

from reachlab.envs.reasoning_gym.family import ReasoningGym

__all__ = ["ReasoningGym"]
