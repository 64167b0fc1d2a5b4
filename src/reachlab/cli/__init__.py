"""The command line: ``reachlab run lexicon``, and what surrounds it.

Exit codes: 0 done; 1 an unexpected crash, with a traceback; 2 bad input, or a file or worker process that failed (the
message says what is allowed, or how to go on); 3 the run is done and its verdict is INVALID; 4 a promise is broken: a
calibration's error rates, a sandbox's isolation, a plug-in's soundness, a replay's sameness; 130 interrupted (the
run can be resumed). Heavy imports happen inside the commands, so that ``--help`` is quick.
"""

import os
import sys

from reachlab.cli import bench as bench
from reachlab.cli import boundary as boundary
from reachlab.cli import calibration as calibration
from reachlab.cli import check as check
from reachlab.cli import corpus as corpus
from reachlab.cli import counts as counts
from reachlab.cli import new as new
from reachlab.cli import plan as plan
from reachlab.cli import records as records
from reachlab.cli import sandbox as sandbox
from reachlab.cli import transfer as transfer
from reachlab.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """The console script. Like ``python -m reachlab`` it finds modules of the current folder, after installed ones."""
    sys.path.append(os.getcwd())
    app(prog_name="reachlab")
