"""Verifiers: how the text of the final turn becomes a reward in [0, 1].

::

    verifier("normalised")                                          # a short name of VERIFIERS
    verifier({"name": "numeric", "options": {"relative": 1e-3}})    # or a kind of KINDS with its options

Only ``Exact`` may be enumerated for p0: the others accept texts beyond the listed answers (capitals, articles, words
around the answer), so enumeration would be a lower bound, and a lower bound on p0 fakes creation.

Not covered: rewards for anything but the final answer; judges that are models.
"""

from __future__ import annotations

import inspect
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]  # re, with a limit on the time of a match

from reachlab import Verifier
from reachlab.errors import BadValue, ToolFault, UnknownName

MATCH_SECONDS = 2.0
"""Processor time for one pattern on one text. Patterns are the harness's: one that needs longer is a fault."""


@dataclass(frozen=True, slots=True)
class Exact:
    """1 if the whole text is an accepted answer, to the character. Closed-book p0 can be enumerated."""

    exact: bool = True

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return float(text in answers)


@dataclass(frozen=True, slots=True)
class Last:
    """1 if the last match of *pattern* is an accepted answer: for models that think or talk before they answer.

    Enumerating the answers then gives a lower bound on p0 only, so p0 is sampled.
    """

    pattern: str
    exact: bool = False

    def __post_init__(self) -> None:
        _check(self.pattern)

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        found = _found(self.pattern, text)
        return float(bool(found) and found[-1] in answers)


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SIGN = r"(?:(?<![\w)])[-+−])?"  # in 2-4 it is no sign
_THOUSANDS = r"\d{1,3}(?:[,_'’\u00a0\u2009\u202f]\d{3})+(?!\d)"
_WITHIN = r"(?<![A-Za-z\d])"  # in cm2 and H2O it is no number
_NUMBER = re.compile(rf"{_SIGN}{_WITHIN}(?:(?:{_THOUSANDS}|\d+)(?:\.\d+)?(?:[eE][-+]?\d{{1,3}})?|\.\d+)")


def normalise(text: str) -> str:
    """As SQuAD compares answers: lower case, no punctuation, no articles, single spaces; beyond ASCII by Unicode's
    rules for what looks the same (NFKC), with any script's punctuation. ``-5`` equals ``5`` and ``1.5`` equals ``15``
    then, as in SQuAD: numbers are for ``Numeric``."""
    text = text.lower() if text.isascii() else _plain_text(text)
    return " ".join(_ARTICLES.sub(" ", text.translate(_PUNCTUATION)).split())


def _plain_text(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] != "P" and unicodedata.category(c) != "Cf")


@dataclass(frozen=True, slots=True)
class Normalised:
    """SQuAD's exact match: 1 if the whole text equals an accepted answer after ``normalise``."""

    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        said = normalise(text)
        return float(any(said == normalise(answer) for answer in answers))


@dataclass(frozen=True, slots=True)
class TokenF1:
    """SQuAD's token F1 against the nearest accepted answer: partial credit, in [0, 1].

    Where successes are counted, ``reachlab.SUCCESS`` (.5) is one: naming three words of which one is the answer is
    enough then. A *threshold* makes the reward 1 from there on, and 0 below.
    """

    threshold: float | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise BadValue("threshold", self.threshold, "above 0, at most 1")

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        said = normalise(text).split()
        best = max((_f1(said, normalise(answer).split()) for answer in answers), default=0.0)
        return best if self.threshold is None else float(best >= self.threshold)


@dataclass(frozen=True, slots=True)
class Numeric:
    """1 if the last number of the text is the last number of an accepted answer, within either tolerance.

    Thousands separators (commas, underscores, apostrophes, narrow spaces), decimals and exponents are read; percent
    signs, currencies, units and words are not compared (50 % is 50). A digit right after a Latin letter is no number
    (cm2). Not read: fractions (1/2 is a 2), decimal commas (1,5 is a 5), powers (10^3 is a 3), numbers in words.
    """

    absolute: float = 1e-9
    relative: float = 0.0
    exact: bool = False

    def __post_init__(self) -> None:
        for name in ("absolute", "relative"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadValue(f"{name} tolerance", getattr(self, name), "a finite number, >= 0")

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        said = last_number(text)
        return float(said is not None and any(self._close(said, last_number(answer)) for answer in answers))

    def _close(self, said: Decimal, gold: Decimal | None) -> bool:
        if gold is None:
            return False
        return abs(said - gold) <= max(Decimal(self.absolute), Decimal(self.relative) * abs(gold))


@dataclass(frozen=True, slots=True)
class Regex:
    """1 if what *pattern* finds last in the text is an accepted answer: its only group, or the whole match.

    ``(?:####\\s*)?(\\S+)\\s*$`` reads the answer from the end of a longer reply, and accepts a bare answer too.
    It is run on the last ``reach`` characters. A pattern that takes ``MATCH_SECONDS`` on them is a fault.
    """

    pattern: str
    ignore_case: bool = False
    reach: int = 2000
    exact: bool = False

    def __post_init__(self) -> None:
        groups = _check(self.pattern)
        if groups > 1:
            raise BadValue("pattern", self.pattern, "at most one capturing group; write (?:...) for the others")
        if self.reach < 1:
            raise BadValue("reach", self.reach, ">= 1")

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        found = _found(self.pattern, text[-self.reach :], self.ignore_case)
        if not found:
            return 0.0
        fold = str.casefold if self.ignore_case else str
        return float(fold(found[-1]) in {fold(answer) for answer in answers})


def last_number(text: str) -> Decimal | None:
    """The last number that *text* holds. Decimal: no huge integer is ever expanded, whatever was written."""
    found = _NUMBER.findall(text)
    return Decimal(_SEPARATORS.sub("", found[-1]).replace("−", "-")) if found else None


_SEPARATORS = re.compile(r"[,_'’\s]")


def _check(pattern: str) -> int:
    """How many groups it has."""
    try:
        return int(_compiled(pattern, False).groups)
    except (regex.error, TypeError) as error:
        raise BadValue("pattern", pattern, f"a regular expression ({error})") from error


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool) -> Any:
    return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)


def _found(pattern: str, text: str, ignore_case: bool = False) -> list[str]:
    try:
        found: list[str] = _compiled(pattern, ignore_case).findall(text, timeout=MATCH_SECONDS)
    except TimeoutError as error:
        raise ToolFault(
            f"pattern {pattern!r} took {MATCH_SECONDS:g} s on {len(text)} characters: nested repeats backtrack"
        ) from error
    return found


def _f1(said: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold)) if common else 0.0


KINDS: dict[str, Callable[..., Verifier]] = {
    "exact": Exact,
    "last": Last,
    "normalised": Normalised,
    "numeric": Numeric,
    "regex": Regex,
    "token-f1": TokenF1,
}
"""What can be built with options."""

VERIFIERS: dict[str, Verifier] = {
    "exact": Exact(),
    "last-number": Last(r"\d+"),
    "last-word": Last(r"\w+"),
    "normalised": Normalised(),
    "numeric": Numeric(),
    "token-f1": TokenF1(),
}
"""What needs no options, by short name."""


def verifier(spec: str | Mapping[str, Any]) -> Verifier:
    """The verifier that *spec* describes: a short name, or ``{"name": kind, "options": {...}}``."""
    if isinstance(spec, str):
        if spec not in VERIFIERS:
            raise UnknownName("verifier", spec, VERIFIERS, "With options: {'name': kind, 'options': {...}}.")
        return VERIFIERS[spec]
    if not isinstance(spec, Mapping) or not set(spec) <= {"name", "options"} or "name" not in spec:
        raise BadValue("verifier", spec, 'a short name or {"name": kind, "options": {...}}')
    name, options = spec["name"], dict(spec.get("options", {}))
    if name not in KINDS:
        return _plain(name, options)
    known = [option for option in inspect.signature(KINDS[name]).parameters if option != "exact"]
    for option in options:  # exact is the verifier's own statement, never an option
        if option not in known:
            raise UnknownName(f"option of verifier {name!r}", option, known)
    try:
        return KINDS[name](**options)
    except TypeError as error:
        raise BadValue(f"options of verifier {name!r}", options, ", ".join(known) or "none") from error


def _plain(name: str, options: Mapping[str, Any]) -> Verifier:
    if name not in VERIFIERS or options:
        raise UnknownName("verifier", name, KINDS)
    return VERIFIERS[name]
