"""What counts as a word, for every retriever and for coverage alike.

Letters are compared by Unicode's compatibility form and without case, so that ``Zürich`` is found however its ü is
composed, and ``STRASSE`` finds ``Straße``. Not covered: stems, accents (``Fts5`` removes them), words of languages
that are written without white space.
"""

from __future__ import annotations

import re
import unicodedata

from reachlab.errors import BadValue

WORD = r"\w+"
VERSION = f"NFKC casefold {unicodedata.unidata_version}"
"""What an index follows from beside the pattern: part of the key of a cached one."""


def folded(text: str) -> str:
    """*text* in the form in which words are compared."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def word_pattern(word: str) -> re.Pattern[str]:
    """The compiled pattern; ``BadValue`` for what is none, for groups (only they would be found) and for no letter."""
    try:
        pattern = re.compile(word)
    except (re.error, TypeError) as error:
        raise BadValue("word", word, f"a regular expression ({error})") from error
    if not isinstance(word, str) or pattern.groups or pattern.search(""):
        raise BadValue("word", word, "a regular expression without groups, (?:...) aside, that needs a character")
    return pattern
