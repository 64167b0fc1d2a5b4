"""Long documents cut into passages.

Not covered: overlap, sentences. What stands across a border is found in neither passage; ``coverage`` shows the price.
"""

from __future__ import annotations

import re

from reachlab.tools.retrieval.formats import Record
from reachlab.tools.retrieval.records import Document
from reachlab.tools.retrieval.words import WORD

_WORD = re.compile(WORD)


def passages(record: Record, longest: int) -> list[Document]:
    """The record as documents of at most *longest* characters each, the title not counted; none if it has no word.

    A title that is longer than that, or that has nothing under it, is text like any other.
    """
    head, body = (f"{record.title}\n" if record.title else ""), record.body.strip()
    if len(record.title) > longest or not _WORD.search(body):
        head, body = "", f"{head}{body}".strip()
    pieces = [piece for piece in split(body, longest) if _WORD.search(piece)]
    if len(pieces) < 2:
        return [Document(record.id, head + piece) for piece in pieces]
    return [Document(f"{record.id}#{number}", head + piece) for number, piece in enumerate(pieces)]


def split(text: str, longest: int) -> list[str]:
    """Pieces of at most *longest* characters, cut at white space where there is some."""
    pieces, start = [], 0
    while len(text) - start > longest:
        end = _last_space(text, start, start + longest + 1)
        pieces.append(text[start:end].rstrip())
        start = end
        while start < len(text) and text[start].isspace():
            start += 1
    return [*pieces, text[start:]] if start < len(text) else pieces


def _last_space(text: str, start: int, stop: int) -> int:
    """Where the last white space before *stop* stands; one character before *stop* if there is none after *start*."""
    for place in range(stop - 1, start, -1):
        if text[place].isspace():
            return place
    return stop - 1
