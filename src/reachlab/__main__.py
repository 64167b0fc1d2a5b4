"""``python -m reachlab``: the command line, for where the console script is not on the path."""

from reachlab.cli import app

if __name__ == "__main__":
    app(prog_name="reachlab")
