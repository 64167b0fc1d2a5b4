"""The command line: ``reachlab run lexicon``, and what surrounds it.

Exit codes: 0 done, 1 the run is INVALID, 2 bad input (the message says what is allowed), 130 interrupted (the run
can be resumed). Heavy imports happen inside the commands, so that ``--help`` is quick.
"""

from reachlab.cli.commands import app

__all__ = ["app"]
