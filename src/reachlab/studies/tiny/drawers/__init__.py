"""One drawer per family that the tiny base is made for.

A family to come adds a file here, its phrases to ``tiny.tokenizer``, and a line below; then the base is made anew.
"""

from __future__ import annotations

from reachlab.studies.tiny.documents import Drawer
from reachlab.studies.tiny.drawers import (
    arithmetic,
    composition,
    countdown,
    hash,
    lexicon,
    lock,
    maze,
    program,
    rule,
)

DRAWERS: dict[str, Drawer] = {
    "arithmetic": arithmetic.draw,
    "composition": composition.draw,
    "countdown": countdown.draw,
    "hash": hash.draw,
    "lexicon": lexicon.draw,
    "lock": lock.draw,
    "maze": maze.draw,
    "program": program.draw,
    "rule": rule.draw,
}
