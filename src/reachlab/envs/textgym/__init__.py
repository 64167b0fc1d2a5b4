"""TextGym: any text environment of Gymnasium's, in six worlds, under a budget.

::

    family = TextGym(MyEnv)                                       # a class or function that makes the environment
    family = TextGym("my_package:MyEnv", {"rooms": 3})            # the same, from plain JSON
    family = TextGym("GuessNumber-v0")                            # an id that Gymnasium knows

The environment's ``step`` becomes the tool ``act(action)``: one environment per episode, reset with the task's seed.
What is verified is the final turn, which may be one of two things:

a plan      the actions, one a line; they are played in a fresh environment of the same seed, and what *it* pays is the
            reward. So the closed world has a meaning (play without seeing), and the live world differs from it in what
            is seen, and in nothing else.
a receipt   what ``act`` shows when the environment ends: it certifies what the episode was paid, and spares the policy
            the copying of a long plan. It is keyed by task and reward: another seed's receipt is worth nothing.

Neither can be written by a policy that was not paid: plans are played, and a receipt is guessed with chance 2^-40.

==================  ============================================================================================
observation         text: the environment's first observation and the instruction, then what ``act`` returned
action              text: the assistant's raw turn
reward              the environment's, ``last`` (default) or ``sum`` of the rewards, clipped to [0, 1]; 0 while it
                    has not ended, unless ``unended=True``
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault (the environment raised)
dials               ``env``, ``options``, ``reward``, ``calls``, ``tokens``, ``plans``, ``actions``, ``script``
closed              the prompt alone; a plan may be written
silent, imagined    ``act`` says nothing, or what the base wrote; the environment is not stepped; a plan may be written
shuffled            ``act`` plays the environment of another seed
live                ``act`` plays this task's environment
oracle              ``info["evidence"]`` of the reset, else its ``info["solution"]``; without both: closed
closed-book p0      None with plans. Without plans a receipt must be guessed: <= 2^-40
optimum             1, the only bound that holds for every environment
==================  ============================================================================================

Policies can be played and measured without a scripted solution; a study, which trains on demonstrations, and
``reachlab check-env`` need one of two: ``info["solution"]`` of the reset (a list of actions), or ``script``, a function
of the first observation and those since. A model whose context is too short for an episode needs lower ``calls``,
``tokens`` or ``observation_tokens``.

With plans, an attempt that went wrong live may be followed by a plan that goes right: acting is practice, the final
turn is what counts. ``plans=False`` judges the episode that was played and nothing else; closed, silent, imagined and
shuffled then have success 0 by construction, and a gain over them says only that acting is needed to act.

Splits share no seed of the environment (test seeds are odd); whether two seeds pose different problems is the
environment's own matter. An action that the action space refuses is an error observation and is not played (beware:
``gymnasium.spaces.Text`` refuses blanks unless told otherwise; ``reachlab.envs.Unicode`` takes any text); whatever the
environment raises is a fault. An environment must follow its seed: the same seed and actions, the same observations; a
snapshot is restored by playing its actions again.
Not covered: spaces that are not text, environments that wait for a person or for the clock, stopping an environment
whose ``step`` never returns (it is code of yours, not of the policy).
"""

from reachlab.envs.textgym.family import TextGym

__all__ = ["TextGym"]
